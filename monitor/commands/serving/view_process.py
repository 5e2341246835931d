"""The process that makes a view of a log directory and keeps it up to date, while the server starts and serves."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.base import fail

if TYPE_CHECKING:
    from typing_extensions import Self

CLOSE_TIMEOUT_S = 10.0
_PACKAGES = Path(__file__).parents[3]  # where `monitor` is
# The path is that of this process, whatever made it so.
SCRIPT = """
import json, sys
asked = json.loads(sys.argv[1])
sys.path[:] = asked.pop("path")
from monitor.commands.serving.served_runs import serve_view
serve_view(**asked)
"""


class ViewProcess:
    """Starts the process and asks it. It ends with this one, even a killed one, and removes the view then.

    Attributes:
        folder: what is to be served, once it is made.
        chosen: the number of runs that are shown at first.
        found: the number of runs in the log directory.
    """

    def __init__(self, logdir: Path, expression: str | None, last: int | None, *, full: bool) -> None:
        """Start the process. Does not block.

        Args:
            logdir: the log directory.
            expression: the runs to show, as a filter; all without one.
            last: how many of them, the newest; all without it.
            full: show large runs as they are.
        """
        self.folder, self.chosen, self.found = Path(), 0, 0
        path = [*sys.path, str(_PACKAGES)]
        asked = {"path": path, "logdir": os.fspath(logdir), "expression": expression, "last": last, "full": full}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SCRIPT, json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_alive(self) -> bool:
        """Whether the view is kept up to date."""
        return self._process.poll() is None

    def wait(self, timeout: float) -> bool:
        """Block until the view is made, or for so many seconds; tell whether it is made, and on stderr what it has.

        If it cannot be made, say why and exit.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            return False
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        if not answer:
            fail(f"the process that chooses the runs ended with status {self._process.wait()}", 1)
        if "error" in answer:
            fail(answer["error"], answer["status"])
        click.echo(answer["line"], err=True)
        self.folder, self.chosen, self.found = Path(answer["folder"]), answer["chosen"], answer["found"]
        return True

    def close(self) -> None:
        """End the process, and wait until it has removed the view. Blocks for at most 10 s; idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the next view removes what it leaves
            self._process.wait()
