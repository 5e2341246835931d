from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray import tune
from ray.train import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from monitor import MemorySink, SpecError
from monitor.integrations.ray import UNFINISHED, MonitorLoggerCallback, MonitorTrainCallback
from tests.support import event_reader
from tests.support.logged_runs import ending, run_file
from tests.support.snippets import section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [  # for Ray's warnings, and because it starts slowly
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Start Ray with two processors, and stop it at the end, which ends its processes."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    yield
    ray.shutdown()
    del os.environ["RAY_AUTH_MODE"]


@pytest.fixture(autouse=True)
def leaves_nothing_behind(cluster: None) -> None:
    """Let Ray keep its processes from test to test, in place of the check of the same name."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trial(config: dict[str, Any]) -> None:
    """Report three losses; fail if the rate is too high."""
    for step in range(3):
        tune.report({"train": {"loss": config["lr"] / (step + 1)}, "word": "text"})
    if config["lr"] > 0.1:
        raise ArithmeticError("the rate is too high")


def fit(callbacks: list[Any], tmp_path: Path, rates: list[float]) -> Any:
    space = {"lr": tune.grid_search(rates)}
    config = tune.RunConfig(name="search", storage_path=str(tmp_path / "results"), callbacks=callbacks, verbose=0)
    return tune.Tuner(trial, param_space=space, run_config=config).fit()


def runs_of(folder: Path) -> dict[float, Path]:
    return {run_file(run)["config"]["lr"]: run for run in folder.iterdir()}


def test_each_trial_of_tune_is_a_run(tmp_path: Path) -> None:
    fit([MonitorLoggerCallback()], tmp_path, [0.1, 0.5])
    runs = runs_of(tmp_path / "runs" / "search")
    assert sorted(runs) == [0.1, 0.5]
    for rate, run in runs.items():
        expected = {step: rate / step for step in (1, 2, 3)}
        assert dict(event_reader.series(run, "train/loss")) == pytest.approx(expected)
        found = event_reader.read(run).Tags()
        assert found["scalars"] == ["train/loss"]
        texts = {tag for tag in found["tensors"] if tag.endswith("/text_summary")}
        assert texts == {"config/text_summary", "word/text_summary"}
    assert ending(runs[0.1]) == ("finished", None)
    assert ending(runs[0.5]) == ("failed", "ArithmeticError: the rate is too high")


def test_tune_finds_the_callback_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TUNE_CALLBACKS", "monitor.integrations.ray.MonitorLoggerCallback")
    fit([], tmp_path, [0.1])
    (run,) = (tmp_path / "runs" / "search").iterdir()
    assert len(event_reader.series(run, "train/loss")) == 3


def test_trials_of_an_experiment_that_ends_early_are_interrupted(tmp_path: Path) -> None:
    class Sketch:
        trial_id, config = "1", {"lr": 0.1}

        class storage:
            experiment_dir_name = "search"

        def __str__(self) -> str:
            return "trial_1"

    callback = MonitorLoggerCallback(name="early")
    callback.log_trial_start(Sketch())
    callback.on_experiment_end([Sketch()])
    assert ending(tmp_path / "runs" / "early" / "trial_1") == ("interrupted", UNFINISHED)


def test_a_sink_that_cannot_be_made_again_is_refused() -> None:
    make: Any
    for make in (MonitorLoggerCallback, MonitorTrainCallback):
        with pytest.raises(TypeError, match="each run has its own"):
            make(sinks=[MemorySink()])
        with pytest.raises(SpecError, match="unknown sink"):
            make(sinks=["nowhere"])


def loop(config: dict[str, Any]) -> None:
    """Report two losses from each worker, and fail if told to."""
    rank = ray.train.get_context().get_world_rank()
    for step in range(2):
        ray.train.report({"loss": 1.0 / (step + 1) + rank, "nested": {"f1": 0.5}})
    if config["fails"]:
        raise ArithmeticError("out of luck")


def trainer(tmp_path: Path, *callbacks: Any, fails: bool = False, workers: int = 1) -> Any:
    return DataParallelTrainer(
        loop,
        train_loop_config={"lr": 0.1, "fails": fails},
        scaling_config=ScalingConfig(num_workers=workers),
        run_config=RunConfig(name="training", storage_path=str(tmp_path / "results"), callbacks=list(callbacks)),
    )


def test_a_training_is_a_run_of_what_rank_0_reports(tmp_path: Path) -> None:
    trainer(tmp_path, MonitorTrainCallback(name="own", logdir="elsewhere"), workers=2).fit()
    run = tmp_path / "elsewhere" / "own"
    assert event_reader.series(run, "loss") == [(0, 1.0), (1, 0.5)]
    assert event_reader.series(run, "nested/f1") == [(0, 0.5), (1, 0.5)]
    assert run_file(run)["config"] == {"lr": 0.1, "fails": False}
    assert ending(run) == ("finished", None)


def test_train_finds_the_callback_in_the_environment_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_CALLBACKS", "monitor.integrations.ray.MonitorTrainCallback")
    with pytest.raises(Exception, match="out of luck"):
        trainer(tmp_path, fails=True).fit()
    run = tmp_path / "runs" / "training"
    assert event_reader.series(run, "loss") == [(0, 1.0), (1, 0.5)]
    assert ending(run) == ("failed", "ArithmeticError: out of luck")


def test_the_snippet_of_the_docs(tmp_path: Path) -> None:
    exec(compile(section("integrations.md", "Ray"), "integrations.md", "exec"), {"__name__": "docs"})
    runs = [path.parent for path in (tmp_path / "runs").rglob("run.json")]
    assert len(runs) == 3
    assert all(event_reader.series(run, "loss") for run in runs)
    assert {ending(run) for run in runs} == {("finished", None)}
