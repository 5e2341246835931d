"""Lightning's newest release, and the runs of `MonitorLogger`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import monitor
from monitor import Checkpoint, Logger, MemorySink
from monitor.integrations.lightning import MonitorLogger
from tests.support import event_reader, snippets
from tests.support.lightning_training import Regression, loader, trainer_of
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from tests.support.processes import Start

pytestmark = [
    pytest.mark.usefixtures("in_an_empty_folder"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class CountingLogger(Logger):
    """A logger that counts its flushes."""

    flushes = 0

    def flush(self, timeout: float = 10.0) -> bool:
        CountingLogger.flushes += 1
        return super().flush(timeout)


class BrokenSink(MemorySink):
    """A sink that takes nothing."""

    def write(self, records: Any) -> None:
        raise RuntimeError("broken")


def test_the_snippet(tmp_path: Path) -> None:
    exec(compile(snippets.section("integrations.md", "Lightning"), "integrations.md", "exec"), {"__name__": "docs"})
    run = tmp_path / "runs" / "regression"
    losses = event_reader.series(run, "train/loss")
    assert [step for step, _ in losses] == list(range(20))
    assert losses[-1][1] < losses[0][1]
    assert run_file(run)["config"] == {"lr": 0.1}
    assert ending(run) == ("finished", None)
    assert list(run.rglob("*.ckpt"))


def test_fit_and_test_are_one_run(tmp_path: Path) -> None:
    logger = MonitorLogger("mlp", config={"seed": 3})
    trainer = trainer_of(logger)
    model = Regression()
    trainer.fit(model, loader(), loader())
    run = tmp_path / "runs" / "mlp"
    assert ending(run) == ("finished", None)
    trainer.test(model, loader(), verbose=False)
    assert ending(run) == ("finished", None)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mlp"]
    assert set(event_reader.read(run).Tags()["scalars"]) >= {"train/loss", "val/loss", "test/loss", "epoch"}
    assert [step for step, _ in event_reader.series(run, "train/loss")] == list(range(8))
    assert [step for step, _ in event_reader.series(run, "test/loss")] == [8]
    fields = run_file(run)
    assert set(fields["metrics"]) >= {"train/loss", "val/loss", "test/loss"}
    assert fields["config"] == {"seed": 3, "lr": 0.1}


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("bad loss"), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(3), "failed")],
)
def test_the_status_is_true(tmp_path: Path, error: BaseException, status: str) -> None:
    with pytest.raises(SystemExit if isinstance(error, KeyboardInterrupt) else type(error)):
        trainer_of(MonitorLogger("mlp")).fit(Regression(error), loader())
    found, reason = ending(tmp_path / "runs" / "mlp")
    assert found == status
    assert reason is not None
    assert reason.startswith(type(error).__name__)


def test_sigterm_kills_the_run(tmp_path: Path, start: Start) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from monitor.integrations.lightning import MonitorLogger
from tests.support.lightning_training import *
class Slow(Regression):
    def on_train_batch_start(self, batch, index):
        if self.global_step == 1:
            print("training", flush=True)
trainer_of(MonitorLogger("mlp"), max_epochs=-1, enable_checkpointing=False).fit(Slow(), loader())
"""
    process = start("-c", code, fresh=True, cwd=tmp_path)
    assert process.stdout is not None
    assert "training\n" in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert ending(tmp_path / "runs" / "mlp") == ("killed", "SIGTERM")


def test_a_failed_fit_can_be_repeated(tmp_path: Path) -> None:
    logger = MonitorLogger("mlp")
    with pytest.raises(ValueError, match="bad loss"):
        trainer_of(logger).fit(Regression(ValueError("bad loss")), loader())
    trainer_of(logger).fit(Regression(), loader())
    fields = run_file(tmp_path / "runs" / "mlp")
    assert fields["status"] == "finished"
    assert [life["error"] for life in fields["lives"]] == ["ValueError: bad loss"]


def test_a_broken_sink_does_not_end_the_training(tmp_path: Path) -> None:
    trainer = trainer_of(MonitorLogger("mlp", sinks=[BrokenSink(), "tensorboard"]))
    trainer.fit(Regression(), loader())
    assert trainer.global_step == 8
    assert len(event_reader.series(tmp_path / "runs" / "mlp", "train/loss")) == 8


def test_save_does_not_flush(tmp_path: Path) -> None:
    with CountingLogger(tmp_path / "run", [MemorySink()]) as log:
        logger = MonitorLogger(logger=log)
        trainer_of(logger).fit(Regression(), loader())
        logger.save()
        assert (type(log), CountingLogger.flushes) == (CountingLogger, 0)


def test_a_logger_of_ones_own_stays_open(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "mine", [memory], {"seed": 1}) as log:
        logger = MonitorLogger(logger=log)
        assert (logger.name, logger.version) == ("mine", 1)
        trainer_of(logger).fit(Regression(), loader())
        assert logger.experiment is log
        log.scalar("after", 1.0, 0)
    assert len(memory.series("train/loss")) == 8
    assert log.run.config == {"seed": 1, "lr": 0.1}


def test_where_things_are(tmp_path: Path) -> None:
    first = MonitorLogger("mlp", tmp_path / "logs")
    first.log_metrics({"loss": 1.0})
    first.finalize("success")
    logger = MonitorLogger("mlp", save_dir=tmp_path / "logs")
    assert not (tmp_path / "logs" / "mlp-2").exists()
    trainer = trainer_of(logger, max_epochs=1)
    trainer.fit(Regression(), loader())
    assert (logger.name, logger.version) == ("mlp", 2)
    assert logger.root_dir == str(tmp_path / "logs")
    assert logger.log_dir == logger.save_dir == trainer.log_dir == str(tmp_path / "logs" / "mlp-2")
    assert Path(trainer.checkpoint_callback.best_model_path).is_relative_to(tmp_path / "logs" / "mlp-2")


def test_checkpoints_can_be_continued_from(tmp_path: Path) -> None:
    memory = MemorySink()
    trainer = trainer_of(MonitorLogger("mlp", sinks=["tensorboard", memory]), max_epochs=1)
    trainer.fit(Regression(), loader())
    marks = [(record.name, record.step) for record in memory.of(Checkpoint)]
    path = trainer.checkpoint_callback.best_model_path
    assert marks == [(Path(path).name, 4)]
    again = Logger(monitor.reopen(tmp_path / "runs" / "mlp", *marks[0]))
    with again:
        trainer_of(MonitorLogger(logger=again)).fit(Regression(), loader(), ckpt_path=path)
    assert [step for step, _ in event_reader.series(tmp_path / "runs" / "mlp", "train/loss")] == list(range(8))


def test_metrics_without_a_step_get_the_next_one() -> None:
    memory = MemorySink()
    logger = MonitorLogger("mlp", sinks=[memory], prefix="fold 1")
    logger.log_metrics({"loss": torch.tensor(1.0), "note": "text"})
    logger.log_metrics({"val_loss": 2.0}, 7)
    logger.log_metrics({"loss": 3.0})
    logger.log_hyperparams({"lr": 0.1}, {"hp_metric": 4.0})
    logger.finalize("success")
    assert memory.series("fold 1/loss") == [(0, 1.0), (8, 3.0)]
    assert memory.series("fold 1/val/loss") == [(7, 2.0)]
    assert memory.series("fold 1/hp_metric") == [(9, 4.0)]
    assert run_file(Path("runs/mlp"))["config"] == {"lr": 0.1}


def test_the_graph() -> None:
    trainer_of(MonitorLogger("with", log_graph=True), max_steps=1).fit(Regression(), loader())
    trainer_of(MonitorLogger("without"), max_steps=1).fit(Regression(), loader())
    assert event_reader.read(Path("runs/with")).Tags()["graph"]
    assert not event_reader.read(Path("runs/without")).Tags()["graph"]
