"""Foreign scripts under `monitor run`, in processes as a user's shell starts them."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from monitor.runs.listing import RunInfo, scan
from tests.support.processes import start_fresh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_S = 200
# What the import hook puts in place of both packages' writers; importing those takes seconds, because of torch.
WRITER = "from monitor import SummaryWriter\n"


def command(*arguments: str) -> list[str]:
    """Return the arguments of Python that run a script without dashboards."""
    return ["-m", "monitor", "run", "--sink", "console", *arguments]


def write_script(folder: Path, code: str, name: str = "script.py") -> Path:
    """Write a script into a folder of its own, which is where it is run."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(code)
    return folder


def start_script(
    folder: Path, *arguments: str, stdin: int = subprocess.DEVNULL, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `monitor run` with the script in `folder`."""
    return start_fresh(*command(*arguments), cwd=folder, stdin=stdin, env={**os.environ, **(environment or {})})


def run_script(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `monitor run` with the script in `folder`; what its options leave out is `script.py`."""
    return subprocess.run(
        [sys.executable, *command(*(arguments or ("script.py",)))],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def runs_of(logdir: Path) -> dict[str, RunInfo]:
    """Return the runs of a log directory by name."""
    return {info.name: info for info in scan(logdir)}


def only_run(folder: Path) -> RunInfo:
    """Return the one run of a script, wherever below its folder it is."""
    (info,) = scan(folder)
    return info


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a script printed as JSON."""
    return json.loads(done.stdout)


class OnTerminal:
    """A command on a pseudo-terminal, as its controlling terminal, where keys can be typed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start Python with these arguments."""
        self.output = ""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                os.execv(sys.executable, [sys.executable, *arguments])
            finally:
                os._exit(127)

    def read_until(self, text: str) -> None:
        """Read until the output contains `text`; raises `TimeoutError` if nothing comes for long."""
        while text not in self.output:
            if not self._read():
                raise AssertionError(f"no {text!r} in {self.output!r}")

    def type(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._terminal, keys)

    def end(self) -> int:
        """Read to the end; return the return code, negative for a signal."""
        while self._read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._terminal)
        return code

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], TIMEOUT_S)[0]:
            raise TimeoutError(self.output)
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.output += data.decode(errors="replace")
        return bool(data)
