"""The run of an adapter: opened when used, continued after its end, shared by its copies and by child processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
from typing import TYPE_CHECKING

import pytest

from monitor import AlertError, DataError, Logger, MemorySink, SpecError
from monitor.integrations.session import Session
from monitor.runs.resume import continue_run
from tests.support import event_reader
from tests.support.logged_runs import ending, run_file

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.records import Record
    from tests.support.processes import Start


class RecallingSink(MemorySink):
    """A sink that says what earlier processes logged."""

    def __init__(self) -> None:
        super().__init__()
        self.recalled: list[Record] = []

    def recall(self, records: list[Record]) -> None:  # type: ignore[override]
        self.recalled += records


def log_one(session: Session, step: int) -> None:
    """Log a point, in whatever process."""
    session.logger.scalar("loss", 0.5, step)


def test_nothing_is_written_before_the_first_use(tmp_path: Path) -> None:
    session = Session(name="run", logdir=tmp_path / "runs", config={"lr": 0.1})
    session.add_config({"seed": 3})
    assert not session.is_open
    session.end()
    assert list(tmp_path.iterdir()) == []
    log_one(session, 1)
    assert session.path == tmp_path / "runs" / "run"
    session.end()
    assert run_file(session.path)["config"] == {"lr": 0.1, "seed": 3}
    assert event_reader.series(session.path, "loss") == [(1, 0.5)]


def test_wrong_arguments_raise_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError):
        Session(name="run", logdir=tmp_path, sinks=["visdum"])
    with pytest.raises(AlertError):
        Session(name="run", logdir=tmp_path, alerts=["loss is bad"])
    with pytest.raises(TypeError, match="sinks is a list"):
        Session(name="run", logdir=tmp_path, sinks="console")
    with Logger(tmp_path / "run", []) as log, pytest.raises(TypeError, match="has its own"):
        Session(log, name="run", sinks=["console"])
    monkeypatch.setenv("MONITOR_SINKS", "visdum")
    with pytest.raises(SpecError):
        Session(name="run", logdir=tmp_path)


def test_use_after_the_end_continues_the_run(tmp_path: Path) -> None:
    session = Session(name="run", logdir=tmp_path)
    log_one(session, 1)
    session.end("failed", "ValueError: bad")
    assert ending(tmp_path / "run") == ("failed", "ValueError: bad")
    log_one(session, 2)
    session.add_config({"batch": 16})
    assert run_file(tmp_path / "run")["status"] == "running"
    session.end()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert event_reader.series(tmp_path / "run", "loss") == [(1, 0.5), (2, 0.5)]
    fields = run_file(tmp_path / "run")
    assert ending(tmp_path / "run") == ("finished", None)
    assert fields["config"] == {"batch": 16}
    assert fields["metrics"]["loss"]["step"] == 2
    assert [(life["status"], life["error"]) for life in fields["lives"]] == [("failed", "ValueError: bad")]
    ends = [event_reader.read(tmp_path / "run").summary_metadata[tag] for tag in ("_hparams_/session_end_info",)]
    assert b"\x08\x01" in ends[0].plugin_data.content  # STATUS_SUCCESS: the end that was recorded first is gone


def test_metrics_of_before_stay_in_the_run_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(name="run", logdir=tmp_path, alerts=["loss > 0.4"])
    log_one(session, 1)
    session.end()
    session.logger.scalar("test/loss", 0.25, 1)
    session.end()
    fields = run_file(tmp_path / "run")
    assert set(fields["metrics"]) == {"loss", "test/loss"}
    assert [alert["rule"] for alert in fields["alerts"]] == ["loss > 0.4"]
    assert not [line for line in caplog.messages if "nothing was logged" in line], "it was, before"


def test_a_sink_object_is_used_again_with_what_it_has(tmp_path: Path) -> None:
    sink = RecallingSink()
    session = Session(name="run", logdir=tmp_path, sinks=["tensorboard", sink])
    for step in (1, 2):
        log_one(session, step)
        session.end()
    assert sink.series("loss") == [(1, 0.5), (2, 0.5)]
    assert sink.recalled == []


def test_a_run_that_was_removed_is_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(name="run", logdir=tmp_path, sinks=[])
    log_one(session, 1)
    session.end()
    (tmp_path / "run" / "run.json").unlink()
    log_one(session, 2)
    session.end()
    assert "what follows goes into another run" in caplog.text
    assert ending(tmp_path / "run") == ("finished", None)


def test_a_logger_of_ones_own_is_never_closed(tmp_path: Path) -> None:
    with Logger(tmp_path / "run", ["memory"]) as log:
        session = Session(log, name="other")
        session.end("failed")
        log_one(session, 1)
        assert session.logger is log
        assert not session.owns
    assert ending(tmp_path / "run") == ("finished", None)
    with pytest.raises(RuntimeError, match="this logger is closed"):
        log_one(session, 2)


def test_copies_are_the_same_session(tmp_path: Path) -> None:
    session = Session(name="run", logdir=tmp_path, sinks=["memory"])
    before = copy.deepcopy(session)
    log_one(session, 1)
    assert before is session
    assert copy.deepcopy(session) is session
    assert pickle.loads(pickle.dumps(session)) is session
    session.end()


CHILD = """
import multiprocessing, sys
from monitor.integrations.session import Session

def log_one(session, step):
    session.logger.scalar("loss", 0.5, step)

if __name__ == "__main__":
    session = Session(name="run", logdir=sys.argv[1])
    if sys.argv[2] == "open":
        log_one(session, 1)
    child = multiprocessing.get_context("spawn").Process(target=log_one, args=(session, 2))
    child.start()
    child.join()
    assert child.exitcode == 0
"""


@pytest.mark.parametrize(("parent", "steps"), [("open", [1, 2]), ("closed", [2])])
def test_a_child_logs_into_the_run_of_its_parent(tmp_path: Path, start: Start, parent: str, steps: list[int]) -> None:
    """It opens the run itself if the parent has not."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    process = start(str(script), str(tmp_path / "runs"), parent)
    _, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run"]
    assert event_reader.series(tmp_path / "runs" / "run", "loss") == [(step, 0.5) for step in steps]


def test_a_pickle_of_a_process_that_is_gone_continues_its_run(tmp_path: Path, start: Start) -> None:
    code = """
import pickle, sys
from pathlib import Path
from monitor.integrations.session import Session
session = Session(name="run", logdir=sys.argv[1])
session.logger.scalar("loss", 0.5, 1)
Path(sys.argv[2]).write_bytes(pickle.dumps(session))
"""
    process = start("-c", code, str(tmp_path / "runs"), str(tmp_path / "session"))
    assert process.communicate(timeout=200)[1] == ""
    session = pickle.loads((tmp_path / "session").read_bytes())
    log_one(session, 2)
    session.end()
    assert event_reader.series(tmp_path / "runs" / "run", "loss") == [(1, 0.5), (2, 0.5)]


def test_a_run_that_is_running_is_not_continued(tmp_path: Path, start: Start) -> None:
    code = """
import sys
from monitor import Logger
with Logger(sys.argv[1], []) as log:
    print("open", flush=True)
    sys.stdin.read()
"""
    process = start("-c", code, str(tmp_path / "run"), fresh=True, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(DataError, match="still running, in process"):
        continue_run(tmp_path / "run")
    process.communicate("", timeout=200)
    assert continue_run(tmp_path / "run").is_resumed
