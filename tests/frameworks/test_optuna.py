from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
import pytest

from monitor import Logger, MemorySink, Text
from monitor.integrations.optuna import MonitorCallback
from tests.support import event_reader
from tests.support.logged_runs import ending, run_file
from tests.support.snippets import section

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the framework


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def objective(trial: optuna.Trial) -> float:
    """Return a parabola, in three steps; the third trial is pruned, the fourth fails."""
    x: float = trial.suggest_float("x", -1, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    for step in range(3):
        trial.report(x * x + 3 - step, step)
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise ArithmeticError("too small")
    return x * x


def study(**options: Any) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(0), **options)


def test_a_study_is_a_run_of_curves(tmp_path: Path) -> None:
    searched = study(study_name="parabola")
    with MonitorCallback(name="parabola") as callback:
        searched.optimize(objective, n_trials=5, callbacks=[callback], catch=ArithmeticError)
    run = tmp_path / "runs" / "parabola"
    values = {t.number: t.value for t in searched.trials if t.state.name == "COMPLETE"}
    assert dict(event_reader.series(run, "study/value")) == pytest.approx(values)
    best = event_reader.series(run, "study/best")
    assert [step for step, _ in best] == [0, 1, 2, 3, 4]
    assert best[-1][1] == pytest.approx(searched.best_value)
    xs = {t.number: t.params["x"] for t in searched.trials}
    assert dict(event_reader.series(run, "params/x")) == pytest.approx(xs)
    for state, count in (("complete", 3), ("pruned", 1), ("fail", 1)):
        assert event_reader.series(run, f"trials/{state}")[-1] == (4, count)
    assert run_file(run)["config"]["directions"] == ["minimize"]
    assert run_file(run)["config"]["sampler"] == "RandomSampler"
    assert ending(run) == ("finished", None)
    found = run_file(run)["metrics"]["study/value"]
    assert (found["goal"], found["best"]) == ("min", pytest.approx(searched.best_value))


def test_each_trial_as_a_run_too(tmp_path: Path) -> None:
    searched = study(study_name="parabola")
    with MonitorCallback(name="parabola", trials=True) as callback:
        searched.optimize(objective, n_trials=4, callbacks=[callback], catch=ArithmeticError)
    runs = tmp_path / "runs" / "parabola-trials"
    assert sorted(run.name for run in runs.iterdir()) == [f"trial-000{number}" for number in range(4)]
    assert [ending(runs / f"trial-000{number}") for number in range(4)] == [
        ("finished", None), ("finished", None), ("pruned", None), ("failed", None),
    ]  # fmt: skip
    first = searched.trials[0]
    assert run_file(runs / "trial-0000")["config"] == first.params
    assert [step for step, _ in event_reader.series(runs / "trial-0000", "trial/value")] == [0, 1, 2]
    assert dict(event_reader.series(runs / "trial-0000", "study/value")) == pytest.approx({2: first.value})


def test_several_objectives(tmp_path: Path) -> None:
    memory = MemorySink()
    searched = study(directions=["minimize", "maximize"])
    searched.set_metric_names(["size", "accuracy"])
    with MonitorCallback(sinks=[memory]) as callback:
        searched.optimize(lambda trial: (trial.suggest_int("n", 1, 9), 0.5), n_trials=2, callbacks=[callback])
    assert [value for _, value in memory.series("study/accuracy")] == [0.5, 0.5]
    assert len(memory.series("study/size")) == 2
    assert memory.series("study/best") == []
    metrics = run_file(tmp_path / "runs" / "optuna")["metrics"]
    assert [metrics[f"study/{name}"]["goal"] for name in ("size", "accuracy")] == ["min", "max"]


def test_choices_are_texts() -> None:
    memory = MemorySink()
    searched = study()
    with MonitorCallback(sinks=[memory]) as callback:
        searched.optimize(objective, n_trials=2, callbacks=[callback])
    assert [text.text for text in memory.of(Text)] == [trial.params["kind"] for trial in searched.trials]
    assert {text.tag for text in memory.of(Text)} == {"params/kind"}


def test_trials_of_several_threads() -> None:
    memory = MemorySink()
    with MonitorCallback(sinks=[memory]) as callback:
        study().optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=20, n_jobs=4, callbacks=[callback])
    assert sorted(step for step, _ in memory.series("study/value")) == list(range(20))
    assert max(value for _, value in memory.series("trials/complete")) == 20


def test_an_objective_that_raises_is_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError), MonitorCallback(name="broken") as callback:
        study().optimize(objective, n_trials=5, callbacks=[callback])
    assert ending(tmp_path / "runs" / "broken") == ("failed", "ArithmeticError: too small")


def test_the_name_of_the_study_is_that_of_the_run_and_leads_nowhere_else(tmp_path: Path) -> None:
    for name in ("parabola", "../../parabola", None):
        callback = MonitorCallback()
        study(study_name=name).optimize(objective, n_trials=1, callbacks=[callback])
        callback.close()
    assert sorted(run.name for run in (tmp_path / "runs").iterdir()) == ["-..-parabola", "optuna", "parabola"]


def test_a_logger_of_ones_own_and_an_alert_that_stops_the_study(tmp_path: Path) -> None:
    memory = MemorySink()
    with Logger(tmp_path / "own", [memory], alerts=["study/value >= 0"], stop_on_alert=True) as log:
        searched = study()
        searched.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=100_000, callbacks=[MonitorCallback(log)])
    assert len(searched.trials) < 100_000
    assert ending(tmp_path / "own")[0] == "stopped"


def test_the_snippet_of_the_docs(tmp_path: Path) -> None:
    exec(compile(section("integrations.md", "Optuna"), "integrations.md", "exec"), {"__name__": "docs"})
    (run,) = (tmp_path / "runs").glob("*/run.json")
    assert event_reader.series(run.parent, "study/best")
    assert ending(run.parent) == ("finished", None)
