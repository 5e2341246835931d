"""A run that another process goes on with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitor import Logger
from monitor.events.files import event_files
from tests.support import event_reader

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_process_whose_run_another_one_goes_on_with_leaves_it_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a restart on another machine, while this one was cut off or frozen."""
    log = Logger(tmp_path / "a", ["tensorboard"])
    log.scalar("loss", 1.0, 0)
    assert log.flush()
    file = tmp_path / "a" / "run.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "notes": [{"text": "by hand"}]}))
    log.run.update(tags=["ours"])
    assert json.loads(file.read_text())["tags"] == ["ours"], "the process is still this one"
    other = {**fields, "process": {**fields["process"], "machine": "b"}, "pid": 7, "host": "b"}
    file.write_text(json.dumps(other))
    log.scalar("loss", 2.0, 1)
    assert log.close(status="failed", error="a reason")
    assert json.loads(file.read_text()) == other
    assert log.run.is_taken_over
    (said,) = (record.getMessage() for record in caplog.records if "goes on" in record.getMessage())
    assert said == f"{tmp_path / 'a'}: process 7 on b goes on with this run; this process leaves its status alone"
    assert event_reader.series(tmp_path / "a", "loss") == [(0, 1.0), (1, 2.0)]
    assert not any(b"session_end_info" in path.read_bytes() for path in event_files(tmp_path / "a")), (
        "no end in HPARAMS"
    )
