"""scikit-learn's callbacks, new in 1.9, and `MonitorCallback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from monitor import Logger, MemorySink, Scalar, Sink
from monitor.integrations.sklearn import MonitorCallback
from tests.support import event_reader, snippets
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from tests.support.processes import Start

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)


class Failing(LogisticRegression):  # type: ignore[misc]
    """A classifier without a score."""

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        raise ValueError("no score")


class BrokenSink(MemorySink):
    """A sink that takes nothing."""

    def write(self, records: Any) -> None:
        raise RuntimeError("broken")


@pytest.fixture
def memory() -> MemorySink:
    return MemorySink()


def callback(tmp_path: Path, memory: Sink | str, **options: Any) -> MonitorCallback:
    return MonitorCallback(name="fit", logdir=tmp_path, sinks=[memory], **options)


def test_the_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets.section("integrations.md", "scikit-learn"), "integrations.md", "exec"), {"__name__": "docs"})
    run = tmp_path / "runs" / "search"
    losses = event_reader.series(run, "train/neg_log_loss")
    assert len(losses) > 3
    assert losses[-1][1] > losses[0][1]
    assert run_file(run)["metrics"]["train/neg_log_loss"]["best"] == pytest.approx(max(loss for _, loss in losses))
    assert [step for step, _ in event_reader.series(run, "val/score")] == [0, 1, 2]
    assert ending(run) == ("finished", None)


def test_each_iteration_of_a_fit(tmp_path: Path, memory: MemorySink) -> None:
    model = LogisticRegression(C=0.5).set_callbacks(callback(tmp_path, memory)).fit(X, Y)
    scores = memory.series("train/score")
    assert [step for step, _ in scores] == list(range(int(model.n_iter_[0])))
    assert scores[-1][1] == pytest.approx(model.score(X, Y))
    config = run_file(tmp_path / "fit")["config"]
    assert (config["estimator"], config["C"], config["max_iter"]) == ("LogisticRegression", 0.5, 100)
    assert ending(tmp_path / "fit") == ("finished", None)


def test_each_fit_is_a_run(tmp_path: Path, memory: MemorySink) -> None:
    model = LogisticRegression().set_callbacks(callback(tmp_path, memory))
    model.fit(X, Y)
    model.fit(X, Y)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit", "fit-2"]


def test_several_scores_of_every_fifth_iteration(tmp_path: Path, memory: MemorySink) -> None:
    made = callback(tmp_path, memory, scoring=["accuracy", "neg_log_loss"], every=5)
    LogisticRegression().set_callbacks(made).fit(X, Y)
    steps = [step for step, _ in memory.series("train/accuracy")]
    assert steps[:3] == [0, 5, 10]
    assert [step for step, _ in memory.series("train/neg_log_loss")] == steps


def test_no_scores(tmp_path: Path, memory: MemorySink) -> None:
    LogisticRegression().set_callbacks(callback(tmp_path, memory, scoring=False)).fit(X, Y)
    assert memory.of(Scalar) == []


def test_a_search(tmp_path: Path, memory: MemorySink) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3)
    search.set_callbacks(callback(tmp_path, memory)).fit(X, Y)
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
    assert memory.series("val/score") == list(enumerate(search.cv_results_["mean_test_score"]))
    fits = {record.tag for record in memory.of(Scalar) if record.tag.startswith("candidate")}
    assert fits == {f"candidate-split-evaluation/score/{number}" for number in range(6)}
    for tag in (*fits, "train/score"):
        steps = [step for step, _ in memory.series(tag)]
        assert steps == list(range(len(steps)))
    assert memory.series("train/score")[-1][1] == pytest.approx(search.score(X, Y))  # of the last fit, to all data
    config = run_file(tmp_path / "fit")["config"]
    assert config["estimator"] == "GridSearchCV"
    assert {name: config[f"best_params.{name}"] for name in search.best_params_} == search.best_params_


PARALLEL = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.frameworks.test_sklearn import *
if __name__ == "__main__":
    search = GridSearchCV(LogisticRegression(), {{"C": [0.1, 1.0]}}, cv=3, n_jobs=2)
    search.set_callbacks(callback(Path(sys.argv[1]), "tensorboard")).fit(X, Y)
"""


def test_a_search_in_several_processes(tmp_path: Path, start: Start) -> None:
    script = tmp_path / "search.py"
    script.write_text(PARALLEL)
    process = start(str(script), str(tmp_path / "runs"), fresh=True)
    _, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["fit"]
    run = tmp_path / "runs" / "fit"
    for number in range(6):
        steps = [step for step, _ in event_reader.series(run, f"candidate-split-evaluation/score/{number}")]
        assert steps == list(range(len(steps)))
        assert len(steps) > 3
    assert [step for step, _ in event_reader.series(run, "val/score")] == [0, 1]
    assert ending(run) == ("finished", None)


def test_the_estimators_of_a_pipeline(tmp_path: Path, memory: MemorySink) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    pipeline.set_callbacks(callback(tmp_path, memory)).fit(X, Y)
    assert len(memory.series("train/score")) > 3
    assert run_file(tmp_path / "fit")["config"]["logisticregression__C"] == 1.0


def test_a_score_that_fails_does_not_end_the_fit(
    tmp_path: Path, memory: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    Failing().set_callbacks(callback(tmp_path, memory)).fit(X, Y)
    assert caplog.text.count("no scores of Failing: no score") == 1
    assert ending(tmp_path / "fit") == ("finished", None)


def test_a_broken_sink_does_not_end_the_fit(tmp_path: Path) -> None:
    model = LogisticRegression().set_callbacks(callback(tmp_path, BrokenSink())).fit(X, Y)
    assert model.score(X, Y) > 0.9


def test_the_status_of_a_fit_that_raises(tmp_path: Path, memory: MemorySink) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [-1.0]}, cv=3, error_score="raise")
    with pytest.raises(ValueError, match="C"):
        search.set_callbacks(callback(tmp_path, memory)).fit(X, Y)
    status, error = ending(tmp_path / "fit")
    assert status == "failed"
    assert error is not None
    assert "The 'C' parameter" in error


def test_a_logger_of_ones_own_stays_open(tmp_path: Path, memory: MemorySink) -> None:
    with Logger(tmp_path / "mine", [memory], {"seed": 1}) as log:
        LogisticRegression().set_callbacks(MonitorCallback(log)).fit(X, Y)
        log.scalar("after", 1.0, 0)
    assert len(memory.series("train/score")) > 3
    assert {"seed", "C"} <= set(log.run.config)


def test_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        MonitorCallback(every=0)
