"""A logger of one's own says in one line where to look."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING

from monitor import Run
from monitor.dashboards.announcement import where_to_look
from monitor.dashboards.leases import Lease
from monitor.sinks import registry
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start
    from tests.support.servers import VisdomServer

SCRIPT = """
import sys
from monitor import Logger, Run
with Logger(sys.argv[1], ["tensorboard"]) as log:
    log.scalar("loss", 1.0, 0)
with Logger(Run(sys.argv[1]), ["tensorboard"]):
    pass  # a run that somebody else has announced
"""


def test_addresses_of_what_is_up_and_commands_for_what_is_not(tmp_path: Path, visdom_server: VisdomServer) -> None:
    run = Run(tmp_path / "a", is_written=False)
    command = f"TensorBoard: monitor serve tensorboard --logdir {tmp_path}"
    sinks = [registry.make(spec) for spec in ("tensorboard", visdom_server.spec(), "console")]
    expected = f"Run: {tmp_path / 'a'} · {command} · Visdom: {visdom_server.url}/env/a"
    assert where_to_look(run, sinks) == expected
    down = registry.make(f"visdom://127.0.0.1:{free_port()}")
    assert where_to_look(run, [down]) == f"Run: {tmp_path / 'a'} · Visdom: monitor serve visdom"

    server = Lease.create()  # a TensorBoard that another run has started
    assert server is not None
    server.publish("TensorBoard", "http://127.0.0.1:6006", logdir=str(tmp_path.resolve()))
    assert where_to_look(run, sinks[:1]) == f"Run: {tmp_path / 'a'} · TensorBoard: http://127.0.0.1:6006"
    assert server.claim()
    server.remove()
    server.close()


def test_it_is_said_on_a_terminal_once_and_nowhere_else(tmp_path: Path, start: Start) -> None:
    master, slave = pty.openpty()
    assert start("-c", SCRIPT, str(tmp_path / "a"), stderr=slave).wait(60) == 0
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)
    assert said == f"Run: {tmp_path / 'a'} · TensorBoard: monitor serve tensorboard --logdir {tmp_path}\r\n"
    elsewhere = start("-c", SCRIPT, str(tmp_path / "b"))
    assert elsewhere.communicate(timeout=60)[1] == ""
