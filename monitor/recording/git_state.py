"""Record what the checkout has beyond its last commit: the changes as a patch, and the names of untracked files.

The repository is only read: nothing is refreshed or locked there. Of the programs that its settings name, only filters
such as that of Git LFS are started, without which unchanged files would count as changed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.recording.git_command import Git, GitError
from monitor.recording.line_endings import converted_files, patch_of_bytes
from monitor.recording.run_files import add_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIFF_FILE, UNTRACKED_FILE = "diff.patch", "untracked.txt"
MAX_DIFF_BYTES = 8 * 2**20  # a patch that is cut off cannot be applied, so a larger one is left out
MAX_UNTRACKED_BYTES = 2**20
DIFF = ("diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
        "--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3",
        "--inter-hunk-context=0")  # fmt: skip


def record_code(folders: Sequence[str], directory: Path, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Record the changes as `record_git` does, in the first folder that is in a checkout; or say why not."""
    for folder in folders:
        recorded = record_git(Path(folder), directory, is_cancelled)
        if recorded:
            return recorded
    where = " or ".join(map(escape_name, folders)) or "the working directory, which was removed"
    reason = f"no git repository at {where}" if shutil.which("git") else "git is not installed"
    around = [place for folder in folders for place in (Path(folder), *Path(folder).parents)]
    refused = next((place for place in around if (place / ".git").exists()), None)
    if refused is not None and shutil.which("git"):
        name = escape_name(str(refused))
        reason = f"git does not read {name}, maybe because it is another user's; `git status` there says why"
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
