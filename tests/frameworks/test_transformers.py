from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from monitor import Logger, MemorySink, Text
from monitor.integrations.transformers import UNFINISHED, MonitorCallback
from tests.support import event_reader
from tests.support.framework_scripts import TORCHRUN, run_script
from tests.support.logged_runs import ending, run_file
from tests.support.snippets import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import Start

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the framework

TINY = {
    "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test where it may write, and close the runs that it left open, as the end of a program does."""
    monkeypatch.chdir(tmp_path)
    made: list[MonitorCallback] = []
    make = MonitorCallback.__init__

    def note(self: MonitorCallback, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(MonitorCallback, "__init__", note)
    yield
    for callback in made:
        callback.close()


def trainer(*callbacks: Any, **arguments: Any) -> Trainer:
    """Return a trainer of a BERT with 1,500 weights, for six steps."""
    torch.manual_seed(0)
    rows = [{"input_ids": torch.randint(0, 20, (8,)), "labels": torch.tensor(i % 2)} for i in range(12)]
    options: dict[str, Any] = {
        "output_dir": "out/bert", "max_steps": 6, "logging_steps": 2, "per_device_train_batch_size": 4, "use_cpu": True,
        "eval_strategy": "steps", "eval_steps": 3, "save_strategy": "no", "disable_tqdm": True, "report_to": "none",
    }  # fmt: skip
    return Trainer(
        BertForSequenceClassification(BertConfig(**TINY)),
        TrainingArguments(**options | arguments),
        train_dataset=rows,
        eval_dataset=rows[:4],
        callbacks=list(callbacks),
    )


def callback_of(trained: Trainer) -> MonitorCallback:
    (found,) = (each for each in trained.callback_handler.callbacks if isinstance(each, MonitorCallback))
    return found


class Breaks(TrainerCallback):  # type: ignore[misc]
    """Raise an error in the middle of the training."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 3:
            raise RuntimeError("out of luck")


def test_report_to_monitor_logs_the_training_and_its_evaluations(tmp_path: Path) -> None:
    trained = trainer(report_to="monitor", learning_rate=0.01)
    trained.train()
    run = tmp_path / "runs" / "bert"
    assert ending(run) == ("finished", None)
    trained.evaluate()
    logged = {entry["step"]: entry["loss"] for entry in trained.state.log_history if "loss" in entry}
    assert dict(event_reader.series(run, "train/loss")) == pytest.approx(logged)
    assert [step for step, _ in event_reader.series(run, "eval/loss")] == [3, 6, 6]
    assert [step for step, _ in event_reader.series(run, "train/learning_rate")] == [2, 4, 6]
    fields = run_file(run)
    assert fields["status"] == "finished"
    assert fields["config"]["learning_rate"] == 0.01
    assert fields["config"]["model.hidden_size"] == 8
    assert fields["progress"]["step"] == 6
    assert "loss" not in "".join(name for name in event_reader.read(run).Tags()["scalars"] if "/" not in name)


def test_tokens_are_not_recorded(tmp_path: Path) -> None:
    trained = trainer(report_to="monitor", hub_token="hf_abcdef")
    trained.train()
    assert "hf_abcdef" not in (tmp_path / "runs" / "bert" / "run.json").read_text()


def test_a_training_that_raises_is_a_failed_run(tmp_path: Path) -> None:
    broken = trainer(Breaks(), report_to="monitor")
    with pytest.raises(RuntimeError, match="out of luck"):
        broken.train()
    callback_of(broken).close()
    assert ending(tmp_path / "runs" / "bert") == ("failed", UNFINISHED)


def test_each_training_is_a_run(tmp_path: Path) -> None:
    trained = trainer(report_to="monitor", run_name="first")
    trained.train()
    trained.train()
    assert ending(tmp_path / "runs" / "first") == ("finished", None)
    assert ending(tmp_path / "runs" / "first-2") == ("finished", None)


def test_a_training_after_one_that_raised_ends_that_run(tmp_path: Path) -> None:
    trained = trainer(Breaks(), report_to="monitor")
    with pytest.raises(RuntimeError):
        trained.train()
    assert ending(tmp_path / "runs" / "bert") == ("running", None)
    trained.remove_callback(Breaks)
    trained.train()
    assert ending(tmp_path / "runs" / "bert") == ("failed", UNFINISHED)
    assert ending(tmp_path / "runs" / "bert-2") == ("finished", None)


def test_an_evaluation_before_the_training_is_in_the_same_run(tmp_path: Path) -> None:
    trained = trainer(report_to="monitor")
    trained.evaluate()
    trained.train()
    run = tmp_path / "runs" / "bert"
    assert [step for step, _ in event_reader.series(run, "eval/loss")] == [0, 3, 6]
    assert not (tmp_path / "runs" / "bert-2").exists()


def test_a_logger_of_ones_own_stays_open(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "own", [memory]) as log:
        trainer(MonitorCallback(log), learning_rate=0.02).train()
        log.scalar("after", 1.0, 7)
    assert [step for step, _ in memory.series("train/loss")] == [2, 4, 6]
    assert memory.series("after") == [(7, 1.0)]
    assert run_file(tmp_path / "own")["config"]["learning_rate"] == 0.02


def test_texts_and_what_is_not_a_number() -> None:
    memory = MemorySink()
    callback = MonitorCallback(sinks=[memory], name="odd")
    trained = trainer(callback)
    trained.log({"note": "warm", "loss": torch.tensor(0.5), "eval_matrix": [[1, 2], [3, 4]], "eval_f1": 1})
    callback.close()
    assert memory.series("train/loss") == [(0, 0.5)]
    assert memory.series("eval/f1") == [(0, 1.0)]
    assert [(text.tag, text.text) for text in memory.of(Text)] == [("train/note", "warm")]


def test_an_alert_stops_the_training(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "own", [memory], alerts=["train/loss > 0"], stop_on_alert=True) as log:
        trained = trainer(MonitorCallback(log), max_steps=100_000, logging_steps=1, eval_strategy="no")
        trained.train()
    assert trained.state.global_step < 100_000
    assert ending(tmp_path / "own")[0] == "stopped"


class BrokenSink(MemorySink):
    """A sink that takes nothing."""

    def write(self, records: Any) -> None:
        raise RuntimeError("broken")


def test_a_sink_that_fails_does_not_reach_the_training(tmp_path: Path) -> None:
    trained = trainer(MonitorCallback(sinks=["tensorboard", BrokenSink()]))
    assert trained.train().global_step == 6
    assert [step for step, _ in event_reader.series(tmp_path / "runs" / "bert", "train/loss")] == [2, 4, 6]


def test_each_trial_of_a_search_is_a_run(tmp_path: Path) -> None:
    searching = trainer(report_to="monitor")
    searching.model_init = lambda _trial: BertForSequenceClassification(BertConfig(**TINY))
    searching.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
        compute_objective=lambda metrics: metrics["eval_loss"],
        n_trials=2,
        backend="optuna",
        hp_name=lambda trial: f"trial-{trial.number}",
    )
    runs = sorted((tmp_path / "runs").iterdir())
    assert [run.name for run in runs] == ["bert-trial-0", "bert-trial-1"]
    rates = [run_file(run)["config"]["learning_rate"] for run in runs]
    assert len(set(rates)) == 2
    assert all(ending(run) == ("finished", None) for run in runs)


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import monitor.integrations.transformers
from tests.frameworks.test_transformers import Breaks, trainer
broken = {broken}
trainer(*([Breaks()] if broken else []), report_to="monitor").train()
"""


def script(broken: bool) -> str:
    return SCRIPT.format(root=str(Path(__file__).parents[2]), broken=broken)


def test_the_end_of_the_program_ends_the_run(start: Start, tmp_path: Path) -> None:
    status, errors = run_script(start, tmp_path, script(broken=False))
    assert status == 0, errors
    assert ending(tmp_path / "runs" / "bert") == ("finished", None)


def test_a_program_that_ends_with_an_exception_says_which(start: Start, tmp_path: Path) -> None:
    status, _ = run_script(start, tmp_path, script(broken=True))
    assert status == 1
    assert ending(tmp_path / "runs" / "bert") == ("failed", "RuntimeError: out of luck")


def test_of_two_processes_one_logs(start: Start, tmp_path: Path) -> None:
    status, errors = run_script(start, tmp_path, script(broken=False), *TORCHRUN)
    assert status == 0, errors
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["bert"]
    assert [step for step, _ in event_reader.series(tmp_path / "runs" / "bert", "train/loss")] == [2, 4, 6]


def test_the_snippet_of_the_docs(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(section("integrations.md", "Hugging Face transformers"), "integrations.md", "exec"), names)
    (run,) = (tmp_path / "runs").iterdir()
    assert event_reader.series(run, "train/loss")
    assert ending(run) == ("finished", None)
