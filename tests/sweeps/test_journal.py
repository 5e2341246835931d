"""Optuna's journal under the lock of a sweep: whole changes, whatever happens to a driver."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from monitor.sweeps.engines.journal import SweepJournal
from monitor.sweeps.engines.optuna_engine import OptunaEngine
from monitor.sweeps.locks import SweepLock
from monitor.sweeps.results import Result
from monitor.sweeps.settings import Sweep
from monitor.sweeps.space import parse
from monitor.sweeps.target import Target
from tests.support.sweeps import states, stored_trials

if TYPE_CHECKING:
    from pathlib import Path

SPACE = (parse("lr=log:1e-4..1e-1"), parse("optimizer=sgd,adam"), parse("width=10..50:10"), parse("amp=flag"))


def sweep(sampler: str, trials: int = 8, *space: str) -> Sweep:
    target = Target("script", "trial.py")
    dimensions = tuple(map(parse, space)) or SPACE
    return Sweep("s", target, dimensions, metric="loss", goal="min", trials=trials, sampler=sampler)


def opened(wanted: Sweep, logdir: Path) -> tuple[OptunaEngine, SweepLock]:
    """Open the study as a driver of its own does."""
    folder = logdir / "s.sweep"
    folder.mkdir(exist_ok=True)
    lock = SweepLock(folder / "sweep.lock")
    return OptunaEngine(wanted, folder, lock), lock


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_drivers_that_come_and_go_draw_what_one_driver_would(sampler: str, tmp_path: Path) -> None:
    wanted = sweep(sampler)

    def run(logdir: Path, *, restarts: bool) -> list[dict[str, Any]]:
        logdir.mkdir()
        engine, lock = opened(wanted, logdir)
        drawn: list[dict[str, Any]] = []
        for _ in range(wanted.trials):
            if restarts:
                engine, lock = opened(wanted, logdir)
            with lock:
                trial = engine.ask(wanted.trials)
                assert trial is not None
                drawn.append(dict(trial.parameters))
                engine.tell(Result(trial, "complete", float(trial.parameters["lr"])))
        with lock:
            assert engine.ask(wanted.trials) is None
        return drawn

    drawn = run(tmp_path / "a", restarts=True)
    assert drawn == run(tmp_path / "b", restarts=False)
    assert len({str(values) for values in drawn}) == 8
    assert states(tmp_path / "a", "s") == ["COMPLETE"] * 8


def test_a_grid_has_each_point_once_over_several_drivers(tmp_path: Path) -> None:
    wanted = sweep("grid", 6, "a=1..3", "b=x,y")
    found, failures = [], []

    def drive() -> None:
        try:
            engine, lock = opened(wanted, tmp_path)
            while True:
                with lock:
                    trial = engine.ask(wanted.trials)
                    if trial is None:
                        return
                    found.append((trial.number, *trial.parameters.values()))
                with lock:
                    engine.tell(Result(trial, "failed" if trial.number == 2 else "complete", 1.0))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=drive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(number for number, *_ in found) == list(range(6))
    assert sorted(point for _, *point in found) == [[a, b] for a in (1, 2, 3) for b in "xy"]


def test_results_are_told_once_and_read_back(tmp_path: Path) -> None:
    wanted = sweep("random", 4)
    engine, lock = opened(wanted, tmp_path)
    with lock:
        trials = [engine.ask(4) for _ in range(4)]
        assert None not in trials
        first, pruned, failed, running = (trial for trial in trials if trial is not None)
        assert engine.tell(Result(first, "complete", 0.5, 3, None, "runs/s-0"))
        assert engine.tell(Result(pruned, "pruned", 0.7, 2))
        assert engine.tell(Result(failed, "failed", None, None, "it broke"))
        assert not engine.tell(Result(first, "complete", 0.1))
    other, _ = opened(wanted, tmp_path)
    assert other.running() == [running]
    assert [(r.state, r.value, r.error, r.run) for r in other.results()] == [
        ("complete", 0.5, None, "runs/s-0"),
        ("pruned", 0.7, None, None),
        ("failed", None, "it broke", None),
    ]
    assert stored_trials(tmp_path, "s")[1].intermediate_values == {2: 0.7}


def test_half_a_line_of_a_machine_that_went_down_harms_nothing(tmp_path: Path) -> None:
    wanted = sweep("random", 4)
    engine, lock = opened(wanted, tmp_path)
    with lock:
        engine.ask(4)
    journal = tmp_path / "s.sweep" / "journal.log"
    whole = journal.read_bytes()
    for half in (b'{"op_code":4,"worker_id":"', b"x" * 10_000, b"\0" * 100):
        journal.write_bytes(whole + half)
        reader, lock = opened(wanted, tmp_path)
        assert len(reader.running()) == 1
        with lock:
            assert (trial := reader.ask(4)) is not None
        assert trial.number == 1
        assert states(tmp_path, "s") == ["RUNNING", "RUNNING"]


def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    journal = SweepJournal(path, SweepLock(tmp_path / "lock"))
    journal.append_logs([{"n": 0}])

    def begin() -> None:
        with journal.transaction():
            journal.append_logs([{"n": 1}])
            assert list(journal.read_logs(0)) == [{"n": 0}, {"n": 1}]
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        begin()
    assert path.read_bytes() == b'{"n":0}\n'
    with journal.transaction():
        journal.append_logs([{"n": 1}, {"n": 2}])
        assert list(journal.read_logs(1)) == [{"n": 1}, {"n": 2}]
        assert list(journal.read_logs(2)) == [{"n": 2}]
        journal.append_logs([{"n": 3}])
        assert path.read_bytes() == b'{"n":0}\n'
    assert list(SweepJournal(path, SweepLock(tmp_path / "lock")).read_logs(0)) == [{"n": n} for n in range(4)]
