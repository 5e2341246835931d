"""Run git so that it changes nothing in the user's repository, whatever the settings are, and for a limited time."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.machine.priority import OWN_GROUP
from monitor.runs.processes.environment import QUIET_GIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMEOUT_S = 120.0  # of one command, which may get little of a busy processor
POLL_INTERVAL_S = 0.1
# Whatever the user's settings are, `git apply` must be able to read it.
SETTINGS = ("diff.autoRefreshIndex=false", "diff.noprefix=false", "diff.mnemonicPrefix=false", "diff.relative=false",
            "diff.orderFile=/dev/null", "core.quotePath=true")  # fmt: skip
# Variables that change what the arguments mean.
CONFUSING = ("GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
             "GIT_ICASE_PATHSPECS")  # fmt: skip

# Variables that say where a repository is, such as those of a hook of git that starts a run.
LOCATIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
             "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX")  # fmt: skip


class GitError(Exception):
    """A command of git failed, took too long, or printed too much; the message says so."""


class Git:
    """Runs git in a folder."""

    def __init__(self, folder: str | Path, is_cancelled: Callable[[], bool], repository: str | None = None) -> None:
        """`is_cancelled` is asked now and then; once it says so, git is killed. `repository` is another one to use."""
        self._repository = repository
        self.folder = os.fspath(folder)
        self._is_cancelled = is_cancelled

    def read(self, *arguments: str, limit: int = 2**16, given: bytes = b"") -> bytes:
        """Return what a command prints that is given something. Raises `GitError`; `OSError` if git cannot start."""
        options = [option for setting in SETTINGS for option in ("-c", setting)]
        variables = {name: value for name, value in os.environ.items() if name not in CONFUSING}
        if self._repository is not None:
            options += [f"--git-dir={self._repository}", f"--work-tree={self.folder}"]
            variables = {name: value for name, value in variables.items() if name not in LOCATIONS}
        deadline = time.monotonic() + TIMEOUT_S
        with (
            tempfile.TemporaryFile(prefix="monitor-git-") as output,
            tempfile.TemporaryFile(prefix="monitor-git-") as source,
        ):
            source.write(given)
            source.seek(0)
            process = subprocess.Popen(
                [*QUIET_GIT, *options, *arguments],
                cwd=self.folder,
                env={**variables, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
                stdin=source,
                stdout=output,
                stderr=subprocess.DEVNULL,
                **OWN_GROUP,
            )
            try:
                problem = self._wait(process, output.fileno(), limit, deadline)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # its filters too
                    process.wait()
            if problem is None and process.returncode:
                problem = f"git {arguments[0]} failed with exit status {process.returncode}"
            if problem is not None:
                raise GitError(problem)
            output.seek(0)
            return output.read()

    def in_repository(self, repository: str) -> Git:
        """Return one for the same folder and another repository, whatever the environment says."""
        return Git(self.folder, self._is_cancelled, repository)

    def text(self, *arguments: str) -> str:
        """Return the line that a command prints, as `read` does."""
        return os.fsdecode(self.read(*arguments).removesuffix(b"\n"))

    def _wait(self, process: subprocess.Popen[bytes], output: int, limit: int, deadline: float) -> str | None:
        """Wait for the end; return why the output is of no use, if it is not."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_INTERVAL_S)
            if os.fstat(output).st_size > limit:
                return f"it is larger than {limit / 2**20:g} MiB"
            if process.returncode is not None:
                return None
            if self._is_cancelled():
                return "the run ended first"
            if time.monotonic() > deadline:
                return f"git took longer than {TIMEOUT_S:g} s"
