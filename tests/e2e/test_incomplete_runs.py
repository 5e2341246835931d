"""A run whose durable sink misses records is not plain finished."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor import Logger, MemorySink
from monitor.cli import main
from monitor.runs.listing import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start


class FullDisk(MemorySink):
    """A durable sink whose disk is full."""

    name = "archive"
    durable = True

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_it_is_marked_wherever_it_is_listed(tmp_path: Path) -> None:
    with Logger(tmp_path / "good", [MemorySink()]) as log:
        log.scalar("test/loss", 1.0, 0)
    with Logger(tmp_path / "short", [FullDisk()], close_timeout=0.3) as log:
        log.scalar("test/loss", 2.0, 0)
    fields = json.loads((tmp_path / "short" / "run.json").read_text())
    assert (fields["status"], fields["incomplete"]) == ("finished", {"archive": 2})
    table = CliRunner().invoke(main, ["runs", str(tmp_path)]).stdout
    assert "finished*" in table
    assert "short: 2 records are not in archive" in " ".join(table.split())
    assert table.count("finished") == 2
    compared = CliRunner().invoke(main, ["compare", "good", "short", "--logdir", str(tmp_path)]).stdout
    assert compared.count("finished*") == 1
    (tmp_path / "short" / "run.json").write_text(json.dumps(fields | {"incomplete": {"archive": 1}}))
    assert load(tmp_path / "short").problem == "1 record is not in archive"


@pytest.mark.slow
@pytest.mark.parametrize("bytes_allowed", [20_000])
def test_a_training_says_so_and_exits_with_1(tmp_path: Path, start: Start, bytes_allowed: int) -> None:
    """No file may grow beyond some kilobytes: the event file is cut off, and the run goes on to its end."""
    script = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_allowed}, {bytes_allowed}))
from monitor.cli import main
main(["train", "logistic", "--epochs", "3000", "--sink", "tensorboard", "--logdir", sys.argv[1], "--name", "a"])
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    process = start("-c", script, str(tmp_path), fresh=True)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 1, (out, err)
    assert "Records are missing in: tensorboard" in err
    fields = json.loads((tmp_path / "a" / "run.json").read_text())
    assert fields["status"] == "finished"
    assert fields["incomplete"]["tensorboard"] > 0
