"""Pruning by peers: the decisions of Optuna's own pruner, what may be written in a rule, and the files between runs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from monitor import Logger
from monitor.errors import AlertError
from monitor.rules.halving import Halving, PruneRule, parse_prune, parse_settings
from monitor.runs.trials.pruning import Pruner
from monitor.runs.trials.rungs import Rungs

if TYPE_CHECKING:
    from pathlib import Path

NAN, INF = float("nan"), float("inf")
STUDIES, TRIALS = 50, 20  # of one value stream each: 1,000


@pytest.mark.parametrize("group", range(5))
def test_the_decisions_are_those_of_optuna(group: int, tmp_path: Path) -> None:
    """1,000 random streams of values, of many trials at the same time, in 50 studies with random settings."""
    optuna.logging.disable_default_handler()
    verdicts = [
        verdict
        for seed in range(group * STUDIES // 5, (group + 1) * STUDIES // 5)
        for verdict in decide_in_both(random.Random(seed), tmp_path / str(seed))
    ]
    assert [ours for ours, _ in verdicts] == [theirs for _, theirs in verdicts]
    assert sum(theirs for _, theirs in verdicts) > 30, "some are pruned"
    assert len(verdicts) > 600


def decide_in_both(chance: random.Random, folder: Path) -> list[tuple[bool, bool]]:
    """Feed both with the same values; return the decisions after each value, ours and Optuna's."""
    goal = chance.choice(["min", "max"])
    settings: dict[str, Any] = {
        "min_resource": chance.choice(["auto", 1, 1, 2, 3]),
        "reduction_factor": chance.choice([2, 3, 4]),
        "min_early_stopping_rate": chance.choice([0, 0, 1]),
    }
    settings["bootstrap_count"] = 0 if settings["min_resource"] == "auto" else chance.choice([0, 0, 1, 3])
    resource = chance.choice(["values", "steps"])
    pruner = optuna.pruners.SuccessiveHalvingPruner(**settings)
    direction = "minimize" if goal == "min" else "maximize"
    study = optuna.create_study(direction=direction, pruner=pruner)
    rule = PruneRule("a", goal, Halving.from_fields({**settings, "resource": resource}))
    verdicts: list[tuple[bool, bool]] = []
    running: list[tuple[optuna.Trial, Pruner, list[int]]] = []
    started = 0
    while started < TRIALS or running:
        if started < TRIALS and (not running or chance.random() < 0.2):
            trial, started = study.ask(), started + 1
            running.append((trial, Pruner(rule, Rungs(folder, str(trial.number))), []))
        trial, ours, steps = chance.choice(running)
        step = some_step(chance, steps, resource)
        value = some_value(chance)
        trial.report(value, len(steps) + 1 if resource == "values" else step)
        steps.append(step)
        ours.add([step], [value])
        verdicts.append((ours.decide() is not None, trial.should_prune()))
        if any(verdicts[-1]) or chance.random() < 0.06:
            end(chance, study, trial, ours, is_pruned=verdicts[-1][1], value=value)
            running = [other for other in running if other[0] is not trial]
    return verdicts


def some_step(chance: random.Random, steps: list[int], resource: str) -> int:
    """Return a step: the next, one some steps on, or for steps, rarely, one that lies back and was not reported."""
    if resource == "steps" and steps and chance.random() < 0.05:
        return chance.choice([step for step in range(max(steps) + 1) if step not in steps] or [max(steps) + 1])
    return max(steps, default=-1) + chance.choice([1, 1, 1, 2, 5, 40])


def some_value(chance: random.Random) -> float:
    """Return a value, of which many are equal, and a few are not finite."""
    kind = chance.random()
    if kind < 0.02:
        return chance.choice([NAN, INF, -INF])
    return round(chance.random(), 1) if kind < 0.5 else chance.gauss(0, 1e3)


def end(
    chance: random.Random, study: optuna.Study, trial: optuna.Trial, ours: Pruner, *, is_pruned: bool, value: float
) -> None:
    """End a trial in both: pruned, complete, or failed."""
    if is_pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    elif chance.random() < 0.2 or value != value:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(trial, value)
        ours.finish()


def test_rules() -> None:
    assert parse_prune(None) is parse_prune("none") is None
    assert parse_prune("test/accuracy") == PruneRule("test/accuracy", "max")
    text = "odd min min_resource=auto reduction_factor=3 min_early_stopping_rate=1 resource=steps peers=a-b.c"
    rule = parse_prune(text)
    assert rule == PruneRule("odd", "min", Halving(None, 3, 1, 0, "steps"), "a-b.c")
    assert parse_prune(rule) is rule
    assert Halving.from_fields(rule.halving.fields()) == rule.halving
    assert parse_settings("bootstrap_count=2 min_resource=3") == Halving(3, bootstrap_count=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no metric"),
        ("peers=a", "names no metric"),
        ("odd peers=a", "whether 'odd' should be high or low is not known"),
        ("loss best", "is not a rule"),
        ("loss peers=a peers=b", "is not a rule"),
        ("loss factor=3", "factor=3 is no setting"),
        ("loss reduction_factor=1", "reduction_factor must be a whole number from 2, not 1"),
        ("loss min_resource=0", "min_resource must be a whole number from 1, not 0"),
        ("loss min_resource=1.5", "must be a whole number from 1, not '1.5'"),
        ("loss min_resource=auto bootstrap_count=1", "bootstrap_count needs a min_resource"),
        ("loss resource=epochs", "is no setting"),
        ("loss peers=../a", "cannot be a name of a folder"),
        ("loss reduction_factor=3", "needs peers=NAME"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(AlertError, match=says) as error:
        Logger(tmp_path / "a", [], prune=text)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()
    with pytest.raises(TypeError, match="prune is a rule such as"):
        Logger(tmp_path / "a", [], prune=3)  # type: ignore[arg-type]


def test_the_files_of_peers(tmp_path: Path) -> None:
    """Hostile and long names stay apart, and files of others count for nothing."""
    folder = tmp_path / "deep" / "down"
    names = ["a", "a b", "../../x", "é" * 200, ".hidden", "%41", "A"]
    runs = [Rungs(folder, name) for name in names]
    for number, run in enumerate(runs):
        assert run.completed() == 0
        run.add(0, number / 3)
        run.add(0, number / 3)  # once more, as after an error
        assert run.completed() == 1
    runs[1].add(1, INF)
    (folder / "rungs" / "0" / "no value").touch()
    (folder / "rungs" / "0" / "nan").touch()
    (folder / "rungs" / "0" / "x nan").touch()
    assert sorted(runs[1].others(0)) == [number / 3 for number in range(7) if number != 1]
    assert runs[0].others(1) == [INF]
    assert [path.name for path in tmp_path.rglob("x*")] == ["x nan"]
    assert runs[0].base() is None
    runs[0].add_end(499)
    assert runs[1].base() == 4
    runs[2].add_end(10_000)
    assert runs[3].base() == 4, "it is estimated once"


def test_a_disk_that_is_away_delays_the_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rule = parse_prune("loss reduction_factor=2 peers=p")
    assert rule is not None
    Rungs(tmp_path / "p", "other").add(0, 0.5)
    ours = Pruner(rule, Rungs(tmp_path / "p", "own"))
    (tmp_path / "p").rename(tmp_path / "away")
    (tmp_path / "p").touch()  # what is below it cannot be read
    ours.add([1, 2], [0.7, 0.1])
    assert ours.decide() is ours.decide() is None
    assert [record.message.partition(":")[0] for record in caplog.records] == ["prune"]
    (tmp_path / "p").unlink()
    (tmp_path / "away").rename(tmp_path / "p")
    pruned = ours.decide()
    assert pruned is not None
    assert pruned == ("loss 0.7 at rung 0, step 1 is not the best of 2", 1)
