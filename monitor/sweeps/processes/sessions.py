"""The processes of a trial besides the one that the driver knows: all in a session of their own."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runs.trials.trial import SWEEP_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

END_TIMEOUT_S = 10.0


def send_signal(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """Send a signal to a process, or to all of its group; nothing if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def end_session(leader: int) -> None:
    """Kill what is left of a trial whose first process, `leader`, has just been killed.

    A script goes on for a moment when its `monitor run` is gone; if that was killed at once, for longer. Blocks until
    it is gone.
    """
    send_signal(leader, signal.SIGKILL, group=True)
    _wait_for_end([leader], is_group=True)


def end_strays(folder: Path, trial: int, leader: int | None) -> None:
    """Kill what is left on this machine of a trial whose first process was killed while nobody looked.

    These are processes in its session, that of `leader` if it is known, whose environment names the trial. Blocks until
    they are gone.
    """
    found = [pid for pid in _strays(str(folder.absolute()), trial) if leader in (None, _session(pid))]
    for pid in found:
        send_signal(pid, signal.SIGKILL)
    _wait_for_end(found)


def _strays(folder: str, trial: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError, ValueError):
            variables = path.read_bytes().split(b"\0")
            value = next((v for v in variables if v.startswith(SWEEP_VARIABLE.encode() + b"=")), b"=null")
            known = json.loads(value.partition(b"=")[2])
            if isinstance(known, dict) and (known.get("folder"), known.get("trial")) == (folder, trial):
                yield int(path.parent.name)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _wait_for_end(pids: list[int], *, is_group: bool = False) -> None:
    """Wait until processes are gone, or zombies that only their parent's wait removes."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while time.monotonic() < deadline and any(_is_there(pid, is_group) for pid in pids):
        time.sleep(0.01)


def _is_there(pid: int, is_group: bool) -> bool:
    try:
        (os.killpg if is_group else os.kill)(pid, 0)
        return is_group or Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
