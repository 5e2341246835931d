"""Adapters in a script under `monitor run`: where their runs go, and what alerts watch them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from monitor.integrations import common
from monitor.integrations.session import Session
from monitor.runs.run import Run
from monitor.runs.scripts import script_runs
from monitor.runs.scripts.script_session import (
    ALERTS_VARIABLE,
    DIRECTORY_VARIABLE,
    FOLDER_VARIABLE,
    SUPERVISOR_VARIABLE,
)
from tests.support import event_reader
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the run that `monitor run`, which is this process too, keeps for a script."""
    made = Run(tmp_path / "logs" / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(made.path))
    monkeypatch.setenv(SUPERVISOR_VARIABLE, str(os.getpid()))
    monkeypatch.setenv(ALERTS_VARIABLE, json.dumps(["loss > 0.4"]))
    return made


def test_a_logger_that_nobody_named_is_the_run_and_later_ones_are_beside_it(run: Run) -> None:
    with common.open_logger(None, name=None, default="keras", config={"lr": 0.1}) as first:
        first.scalar("loss", 0.5, 1)
        with common.open_logger(None, name=None, default="keras") as second:
            assert second.run.path == run.path.with_name("mine-2")
    fields = run_file(run.path)
    assert (fields["status"], fields["config"]) == ("finished", {"lr": 0.1})
    assert [alert["rule"] for alert in fields["alerts"]] == ["loss > 0.4"]
    assert event_reader.series(run.path, "loss") == [(1, 0.5)]


def test_what_the_script_chose_counts(run: Run, tmp_path: Path) -> None:
    with common.open_logger(None, name="own", sinks=[]) as named:
        assert named.run.path == run.path.with_name("own")
    with common.open_logger(None, name=None, default="keras", logdir="elsewhere", sinks=[]) as placed:
        assert placed.run.path.absolute() == tmp_path / "elsewhere" / "keras"
    with common.open_logger(None, name="watched", sinks=[], alerts=["loss > 1"]) as watched:
        watched.scalar("loss", 0.5, 1)
    assert "alerts" not in run_file(watched.run.path)


def test_the_run_goes_on_after_its_end_in_the_same_directory(run: Run) -> None:
    session = Session(default="keras", sinks=["tensorboard"])
    session.logger.scalar("loss", 0.25, 1)
    session.end()
    Run(run.path, previous=run_file(run.path))  # as `monitor run` does while the script goes on
    session.logger.scalar("loss", 0.5, 2)
    session.end()
    assert event_reader.series(run.path, "loss") == [(1, 0.25), (2, 0.5)]
    fields = run_file(run.path)
    assert "lives" not in fields
    assert [alert["rule"] for alert in fields["alerts"]] == ["loss > 0.4"]
    assert [path.name for path in run.path.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(("is_chosen", "name"), [(True, "bert"), (False, "mine")])
def test_a_suggested_name_counts_if_the_user_chose_it(is_chosen: bool, name: str, run: Run) -> None:
    session = Session(default="trainer", sinks=[])
    session.suggest("bert", is_chosen=is_chosen)
    assert session.logger.run.path == run.path.with_name(name)
    session.end()
    session.start_over()
    assert session.logger.run.path == run.path.with_name(f"{name}-2")
    session.end()


@pytest.mark.parametrize(("status", "kept"), [("failed", "failed"), ("finished", "running")])
def test_a_script_that_goes_on_keeps_its_run_running_unless_it_failed(
    status: str, kept: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_runs, "HEARTBEAT_INTERVAL_S", 0.0)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    watched = script_runs.ScriptRuns(run, tmp_path)
    session = Session(default="keras", sinks=[])
    session.logger.scalar("loss", 0.1, 1)
    session.end(status)
    end = run_file(run.path)["end"]
    _give_to_another_process(run)
    watched.update(lambda _path: None)
    assert ending(watched.path) == (kept, None)
    Run(run.path.with_name("next"))  # the script goes on to another run
    watched.update(lambda _path: None)
    assert (ending(run.path), run_file(run.path)["end"]) == ((status, None), end)


def test_a_trial_of_ray_tune_ends_before_the_script(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray copies its directory, maybe before the script ends, and nobody would write the end into the copy."""
    monkeypatch.setattr(script_runs, "HEARTBEAT_INTERVAL_S", 0.0)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    watched = script_runs.ScriptRuns(run, tmp_path)
    trial = Run(tmp_path / "search" / "driver_artifacts" / "trial")
    watched.update(lambda _path: None)
    assert (watched.path, ending(trial.path)) == (trial.path, ("running", None))
    trial.finish("finished")
    end = run_file(trial.path)["end"]
    _give_to_another_process(trial)
    watched.update(lambda _path: None)
    assert (ending(trial.path), run_file(trial.path)["end"]) == (("finished", None), end)


def _give_to_another_process(run: Run) -> None:
    """Let the script's process, which wrote `run.json`, be another one than that of `monitor run`."""
    fields = run_file(run.path)
    fields["process"] = {**fields["process"], "pid": 1}
    (run.path / "run.json").write_text(json.dumps(fields))
