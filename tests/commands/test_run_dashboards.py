"""`monitor run`: dashboards and alerts get what the script logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import event_reader
from tests.support.scripts import (
    WRITER,
    only_run,
    printed,
    run_script,
    write_script,
)
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer


def test_alerts_watch_what_the_writers_log(tmp_path: Path) -> None:
    code = (
        WRITER
        + """
with SummaryWriter() as w:
    for step in range(10):
        w.add_scalar("loss", step, step)
"""
    )
    done = run_script(write_script(tmp_path, code), "--alert", "loss > 5", "--alert", "loss > 100", "script.py")
    (alert,) = only_run(tmp_path).fields["alerts"]
    assert alert["rule"] == "loss > 5"
    assert "alert: loss > 5: 6 at step 6" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("package", ["tensorboardX", "torch.utils.tensorboard"])
def test_the_writers_of_both_packages_show_in_visdom(package: str, visdom_server: VisdomServer, tmp_path: Path) -> None:
    code = f"""
def late():
    from {package} import SummaryWriter
    return SummaryWriter()
w = late()
for step in range(10):
    w.add_scalar("train/loss", 1 / (step + 1), step)
    w.add_scalar("norm", 1.0, step)
w.add_text("note", "text")
w.close()
"""
    options = ["--sink", visdom_server.spec(), "--name", "a", "--chart", "norms=norm*"]
    done = run_script(write_script(tmp_path, code), *options, "script.py")
    assert done.returncode == 0, done.stderr
    assert f"Visdom: {visdom_server.url}\n" in done.stderr
    assert f"Visdom: {visdom_server.url}/env/a\n" in done.stderr
    assert {"loss", "norms", "note"} <= set(visdom_server.windows("a"))
    assert len(visdom_server.trace("a", "loss", "train")) == 10
    assert len(event_reader.series(tmp_path / "runs" / "a", "train/loss")) == 10
    assert only_run(tmp_path).status == "finished"


@pytest.mark.slow
@pytest.mark.usefixtures("assets")
def test_dashboards_are_started_and_end_with_the_script(tmp_path: Path) -> None:
    """On ports of their own; the script asks them what they show."""
    code = (
        WRITER
        + """
import json, os, time, urllib.request
w = SummaryWriter()
w.add_scalar("loss", 1.0, 0)
url = f"http://127.0.0.1:{os.environ['MONITOR_TENSORBOARD_PORT']}/data/runs"
for _ in range(300):
    runs = json.load(urllib.request.urlopen(url))
    if runs:
        break
    time.sleep(0.1)
print(json.dumps([runs, os.environ["MONITOR_SINKS"]]))
"""
    )
    ports = {"MONITOR_TENSORBOARD_PORT": str(free_port()), "MONITOR_VISDOM_PORT": str(free_port())}
    done = run_script(
        write_script(tmp_path, code), "--sink", "visdom", "--sink", "tensorboard", "--name", "a", "script.py", **ports
    )
    assert printed(done) == [["a"], f"console,visdom://127.0.0.1:{ports['MONITOR_VISDOM_PORT']},tensorboard"]
