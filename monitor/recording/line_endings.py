"""Changes of line endings that git's diff does not show, because it converts files by their attributes first.

They are recorded as binary patches of the bytes, made in a repository of their own that borrows the objects.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from monitor.recording.git_command import Git

MAX_FILES = 200  # in one patch of bytes
MAX_LIST_BYTES = 2**24
ENDINGS = ("text", "eol", "crlf")  # the attributes about line endings; the last is an old name of the first
DEPENDING = ("filter", "ident", "working-tree-encoding")  # conversions other than those of line endings


class LineEndings(NamedTuple):
    """Files that git converts.

    Attributes:
        as_bytes: those whose bytes must be recorded, because git would store others.
        uncertain: those whose bytes `git apply` changes, whatever the patch has.
    """

    as_bytes: list[str]
    uncertain: list[str]


def converted_files(git: Git, base: str) -> LineEndings:
    """Find the tracked files whose line endings `git apply` would not restore. Raises `GitError`."""
    as_bytes, uncertain = [], []
    setting = git.read("config", "--default", "false", "--get", "core.autocrlf").strip()
    if setting != b"input" and not _has_attributes(git):
        return LineEndings([], [])
    for entry in git.read("ls-files", "--eol", "-z", limit=MAX_LIST_BYTES).split(b"\0")[:-1]:
        states, _, path = entry.partition(b"\t")
        index, worktree, attributes = (part.partition(b"/")[2].strip() for part in states.split(maxsplit=2))
        if attributes.endswith(b"eol=crlf"):
            if worktree in (b"lf", b"mixed"):
                uncertain.append(os.fsdecode(path))
            continue
        if worktree not in (b"crlf", b"mixed") or setting == b"true":
            continue
        if not attributes and setting == b"input":
            attributes = b"text=auto"
        # Files that were committed with CRLF are left alone by `text=auto`.
        if attributes.startswith(b"text") and (attributes != b"text=auto" or index not in (b"crlf", b"mixed")):
            as_bytes.append(os.fsdecode(path))
    as_bytes = list(dict.fromkeys(as_bytes))  # a conflict has several entries
    certain = [name for name in as_bytes[:MAX_FILES] if _can_be_patched(git, base, name)]
    return LineEndings(certain, sorted({*uncertain, *as_bytes} - {*certain}))


def _has_attributes(git: Git) -> bool:
    """Tell whether a tracked file has an attribute about line endings; to look at the files themselves takes longer."""
    names = git.read("ls-files", "-z", limit=MAX_LIST_BYTES)
    found = git.read("check-attr", "-z", "--stdin", *ENDINGS, limit=8 * MAX_LIST_BYTES, given=names)
    return any(value != b"unspecified" for value in found.split(b"\0")[2::3])


def patch_of_bytes(git: Git, base: str, names: list[str], limit: int) -> bytes:
    """Return a binary patch from the last commit to the bytes of files. Raises `GitError`, `OSError`."""
    objects = os.path.abspath(os.path.join(git.folder, git.text("rev-parse", "--git-path", "objects")))  # noqa: PTH100, PTH118
    tree = git.text("rev-parse", f"{base}^{{tree}}")
    kind = git.text("rev-parse", "--show-object-format")
    with tempfile.TemporaryDirectory(prefix="monitor-git-") as own:
        patcher = git.in_repository(own)
        patcher.read("init", "--quiet", "--template=", f"--object-format={kind}")
        os.makedirs(f"{own}/info", exist_ok=True)  # noqa: PTH103
        with open(f"{own}/info/attributes", "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write("* -text -diff -filter -ident -working-tree-encoding !eol\n")
        with open(f"{own}/objects/info/alternates", "wb") as links:  # noqa: PTH123
            links.write(os.fsencode(objects) + b"\n")
        patcher.read("read-tree", tree)
        for name in names:
            is_executable = os.access(os.path.join(git.folder, name), os.X_OK)  # noqa: PTH118
            blob = patcher.text("hash-object", "-w", "--no-filters", "--", name)
            entry = f"{'100755' if is_executable else '100644'},{blob},{name}"
            patcher.read("update-index", "--add", "--cacheinfo", entry)
        return patcher.read("diff-index", "--cached", "--patch", "--binary", "--full-index", "--no-renames",
                        "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", tree,
                        limit=limit)  # fmt: skip


def _can_be_patched(git: Git, base: str, name: str) -> bool:
    """Tell whether `git apply` finds the committed bytes, which it does not if these have other line endings."""
    attributes = git.read("check-attr", "-z", *DEPENDING, "--", name).split(b"\0")[2::3]
    if not all(value in (b"unspecified", b"unset") for value in attributes):
        return False
    if not git.read("ls-tree", "-z", base, "--", name):
        return True  # a new file
    return b"\r\n" not in git.read("cat-file", "blob", f"{base}:{name}", limit=MAX_LIST_BYTES)
