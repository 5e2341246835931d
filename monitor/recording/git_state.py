"""Record what the checkout has beyond its last commit: the changes as a patch, and the names of untracked files.

The repository is only read: nothing is refreshed or locked there. Of the programs that its settings name, only filters
such as that of Git LFS are started, without which unchanged files would count as changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.recording.line_endings import converted_files, patch_of_bytes
from monitor.recording.run_files import add_file
from monitor.runs.environment import QUIET_GIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIFF_FILE, UNTRACKED_FILE = "diff.patch", "untracked.txt"
MAX_DIFF_BYTES = 8 * 2**20  # a patch that is cut off cannot be applied, so a larger one is left out
MAX_UNTRACKED_BYTES = 2**20
TIMEOUT_S = 30.0  # of one command
POLL_INTERVAL_S = 0.1
# Whatever the user's settings are, `git apply` must be able to read it.
SETTINGS = ("diff.autoRefreshIndex=false", "diff.noprefix=false", "diff.mnemonicPrefix=false", "diff.relative=false",
            "diff.orderFile=/dev/null", "core.quotePath=true")  # fmt: skip
DIFF = ("diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
        "--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3",
        "--inter-hunk-context=0")  # fmt: skip


# Variables that change what the arguments mean.
CONFUSING = ("GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
             "GIT_ICASE_PATHSPECS")  # fmt: skip

# Variables that say where a repository is, such as those of a hook of git that starts a run.
LOCATIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
             "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX")  # fmt: skip


class GitError(Exception):
    """A command of git failed, took too long, or printed too much; the message says so."""


def record_code(folders: Sequence[str], directory: Path, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Record the changes as `record_git` does, in the first folder that is in a checkout; or say why not."""
    for folder in folders:
        recorded = record_git(Path(folder), directory, is_cancelled)
        if recorded:
            return recorded
    where = " or ".join(folders) or "the working directory, which was removed"
    reason = f"no git repository at {where}" if shutil.which("git") else "git is not installed"
    return {"diff": {"file": None, "left_out": reason}}


def record_git(folder: Path, directory: Path, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Write the changes in the checkout around `folder` into `directory`; return what `run.json` says about them.

    Outside a checkout, nothing is recorded. Blocks while git runs, until `is_cancelled`. Raises `OSError` if the
    files cannot be written.
    """
    git = Git(folder, is_cancelled)
    try:
        top = os.fsdecode(git.read("rev-parse", "--show-toplevel").removesuffix(b"\n"))
    except (OSError, GitError):
        return {}  # git is missing, or there is no checkout, or it belongs to somebody else
    git = Git(top, is_cancelled)
    recorded: dict[str, Any] = {}
    for name, record in (("diff", _record_diff), ("untracked", _record_untracked), ("submodules", _submodules)):
        try:
            recorded[name] = record(git, directory)
        except GitError as error:
            recorded[name] = {"file": None, "left_out": str(error)}
    return {name: value for name, value in recorded.items() if value}


def _record_diff(git: Git, directory: Path) -> dict[str, Any]:
    base = _base(git)
    notes: dict[str, Any] = {}
    without: list[str] = []
    converted: list[str] = []
    patch_of_others = b""
    try:
        found = converted_files(git, base)
        converted = found.uncertain
        if found.as_bytes:
            patch_of_others = patch_of_bytes(git, base, found.as_bytes, MAX_DIFF_BYTES)
            without = [":/", *(f":(top,exclude,literal){name}" for name in found.as_bytes)]
    except GitError as error:
        notes["line_endings"] = f"changes of line endings are left out: {error}"
    patch = git.read(*DIFF, base, "--", *without, limit=MAX_DIFF_BYTES) + patch_of_others
    if len(patch) > MAX_DIFF_BYTES:
        raise GitError(f"it is larger than {MAX_DIFF_BYTES / 2**20:g} MiB")
    if converted:
        notes["converted"] = [escape_name(name) for name in converted]
    return {"file": add_file(directory, DIFF_FILE, patch) if patch else None, **notes}


def escape_name(name: str) -> str:
    """Return the name of a file as text that UTF-8 can encode."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _record_untracked(git: Git, directory: Path) -> dict[str, Any]:
    """Write the names, one per line, quoted as git does; without those of the runs themselves."""
    logdir = directory.resolve().parent
    top = os.path.realpath(git.folder)
    runs = logdir if str(logdir) != top and logdir.is_relative_to(top) else directory.resolve()
    without = []
    if runs.is_relative_to(top):
        without = ["--", ":/", f":(top,exclude,literal){runs.relative_to(top)}"]
    names = git.read("ls-files", "--others", "--exclude-standard", *without, limit=MAX_UNTRACKED_BYTES)
    count = names.count(b"\n")
    return {"file": add_file(directory, UNTRACKED_FILE, names) if names else None, "count": count}


def _submodules(git: Git, _directory: Path) -> dict[str, str]:
    """Return the commit of each submodule, as `git submodule status` shows it: `+` marks another one than recorded."""
    if not os.path.exists(os.path.join(git.folder, ".gitmodules")):  # noqa: PTH110, PTH118 - may not be UTF-8
        return {}
    lines = git.read("submodule", "status", limit=MAX_UNTRACKED_BYTES).decode("utf-8", "replace").splitlines()
    found = [line[1:].split(" ", 1) for line in lines]
    return {
        path.rsplit(" (", 1)[0]: f"{line[0].strip()}{commit}" for line, (commit, path) in zip(lines, found, strict=True)
    }


def _base(git: Git) -> str:
    """Return the last commit; before the first one, the empty tree."""
    try:
        git.read("rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        return git.read("hash-object", "-t", "tree", "/dev/null").decode().strip()
    return "HEAD"


class Git:
    """Runs git in a folder."""

    def __init__(self, folder: str | Path, is_cancelled: Callable[[], bool], repository: str | None = None) -> None:
        """`is_cancelled` is asked now and then; once it says so, git is killed. `repository` is another one to use."""
        self._repository = repository
        self.folder = os.fspath(folder)
        self._is_cancelled = is_cancelled

    def read(self, *arguments: str, limit: int = 2**16) -> bytes:
        """Return what a command prints. Raises `GitError`; `OSError` if git cannot be started."""
        options = [option for setting in SETTINGS for option in ("-c", setting)]
        variables = {name: value for name, value in os.environ.items() if name not in CONFUSING}
        if self._repository is not None:
            options += [f"--git-dir={self._repository}", f"--work-tree={self.folder}"]
            variables = {name: value for name, value in variables.items() if name not in LOCATIONS}
        deadline = time.monotonic() + TIMEOUT_S
        with tempfile.TemporaryFile(prefix="monitor-git-") as output:
            process = subprocess.Popen(
                [*QUIET_GIT, *options, *arguments],
                cwd=self.folder,
                env={**variables, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the training
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
