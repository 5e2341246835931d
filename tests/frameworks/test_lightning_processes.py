"""Lightning's newest release: copies, processes, threads, and the hook that needs no import."""

from __future__ import annotations

import configparser
import copy
import pickle
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyExperiment
from lightning.pytorch.utilities import rank_zero_only

from monitor.integrations import lightning as adapter
from monitor.integrations.lightning import MonitorLogger
from tests.support import event_reader
from tests.support.lightning_training import Regression, loader, trainer_of
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from tests.support.processes import Start

pytestmark = [
    pytest.mark.usefixtures("in_an_empty_folder"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


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
from monitor.integrations.lightning import MonitorLogger
from tests.support.lightning_training import *
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
