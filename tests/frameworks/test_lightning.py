"""Lightning's newest release, and `MonitorLogger`."""

from __future__ import annotations

import configparser
import copy
import pickle
import signal
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyExperiment
from lightning.pytorch.utilities import rank_zero_only

import monitor
from monitor import Checkpoint, Logger, MemorySink
from monitor.integrations import lightning as adapter
from monitor.integrations.lightning import MonitorLogger
from tests.support import event_reader, snippets
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import Start

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Regression(LightningModule):  # type: ignore[misc]
    """A model that can be told to raise in its training."""

    def __init__(self, error: BaseException | None = None, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters(ignore="error")
        self.error = error
        self.layer = torch.nn.Linear(4, 1)
        self.example_input_array = torch.zeros(1, 4)

    def forward(self, x: Any) -> Any:
        return self.layer(x)

    def _step(self, name: str, batch: Any) -> Any:
        x, y = batch
        loss = torch.nn.functional.mse_loss(self(x), y)
        self.log(name, loss)
        return loss

    def training_step(self, batch: Any, _index: int) -> Any:
        if self.error is not None and self.global_step == 2:
            raise self.error
        return self._step("train_loss", batch)

    def validation_step(self, batch: Any, _index: int) -> Any:
        self._step("val_loss", batch)

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        self._step("test_loss", batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


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


def loader() -> Any:
    x = torch.randn(64, 4)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)


def trainer_of(logger: Any, **options: Any) -> Trainer:
    return Trainer(
        logger=logger,
        **{"max_epochs": 2, "log_every_n_steps": 1, "accelerator": "cpu", "enable_progress_bar": False}
        | {"enable_model_summary": False}
        | options,
    )


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a folder of the test, and undo what Lightning does to the handlers of signals."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


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
from tests.frameworks.test_lightning import *
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


def test_copies_log_into_the_same_run(tmp_path: Path) -> None:
    logger = MonitorLogger("mlp")
    logger.log_metrics({"loss": 0.0}, 0)
    for step, other in enumerate((copy.deepcopy(logger), pickle.loads(pickle.dumps(logger))), 1):
        assert (other.name, other.save_dir) == (logger.name, logger.save_dir)
        other.log_metrics({"loss": 0.0}, step)
    logger.finalize("success")
    assert [step for step, _ in event_reader.series(tmp_path / "runs" / "mlp", "loss")] == [0, 1, 2]


SPAWNED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.frameworks.test_lightning import *
if __name__ == "__main__":
    logger = MonitorLogger("mlp")
    if sys.argv[1] == "open":
        logger.log_metrics({{"before": 1.0}}, 0)
    trainer_of(logger, strategy="ddp_spawn", devices=2, max_epochs=1).fit(Regression(), loader())
"""


@pytest.mark.parametrize("parent", ["open", "closed"])
def test_processes_that_are_spawned(tmp_path: Path, start: Start, parent: str) -> None:
    """Rank 0 logs, into the run of the parent if it is open, and the other rank logs nothing."""
    script = tmp_path / "spawn.py"
    script.write_text(SPAWNED)
    process = start("-W", "ignore", str(script), parent, cwd=tmp_path)
    _, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    run = tmp_path / "runs" / "mlp"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mlp"]
    assert [step for step, _ in event_reader.series(run, "train/loss")] == [0, 1]
    assert ending(run) == ("finished", None)


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = MonitorLogger("mlp")
    assert isinstance(logger.experiment, DummyExperiment)
    logger.log_metrics({"loss": 1.0})
    logger.log_hyperparams({"lr": 0.1})
    logger.log_graph(Regression())
    logger.finalize("success")
    assert logger.save_dir == "runs/mlp"
    assert list(tmp_path.iterdir()) == []


def test_an_alert_of_a_metric(tmp_path: Path) -> None:
    trainer_of(MonitorLogger("mlp", alerts=["train/loss > 0"])).fit(Regression(), loader())
    assert [alert["metric"] for alert in run_file(tmp_path / "runs" / "mlp")["alerts"]] == ["train/loss"]


def test_training_threads_stay_as_they_were() -> None:
    before = threading.active_count()
    trainer_of(MonitorLogger("mlp")).fit(Regression(), loader())
    assert threading.active_count() == before


# The hook that needs no import


def factories() -> dict[str, str]:
    """Return Lightning's entry points of this package, by group."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    groups = dict(config["options.entry_points"])
    return {name: value for name, value in groups.items() if name.endswith("callbacks_factory")}


def test_the_entry_points_lead_to_the_factory() -> None:
    found = factories()
    assert sorted(found) == ["lightning.pytorch.callbacks_factory", "pytorch_lightning.callbacks_factory"]
    for group, line in found.items():
        name, _, value = line.strip().partition(" = ")
        assert EntryPoint(name, value, group).load() is adapter.callbacks


@pytest.mark.parametrize(
    ("logger", "is_added"),
    [("csv", True), ("tensorboard", False), ("ours", False), ("none", False)],
)
def test_monitor_run_watches_trainers_that_log_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str, is_added: bool
) -> None:
    monkeypatch.setenv("MONITOR_SINKS", "memory")
    loggers = {"csv": CSVLogger, "tensorboard": TensorBoardLogger, "ours": lambda where: MonitorLogger("mine", where)}
    made = loggers[logger](tmp_path / "logs") if logger in loggers else False
    trainer_of(made, callbacks=adapter.callbacks()).fit(Regression(), loader())
    assert (tmp_path / "runs" / "lightning").exists() == is_added
    if is_added:
        assert ending(tmp_path / "runs" / "lightning") == ("finished", None)
        assert len(event_reader.series(tmp_path / "runs" / "lightning", "train/loss")) == 8


def test_nothing_is_added_without_monitor_run() -> None:
    assert adapter.callbacks() == []
