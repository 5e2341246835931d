"""Tell whether a file or a directory is as it was, without reading it, and where that can be told."""

from __future__ import annotations

import os
from pathlib import Path

SETTLED_S, SETTLED_ON_NETWORK_S = 2.0, 30.0
# File systems of this machine. On any other one, what `stat` says of a directory may be a minute old.
LOCAL = frozenset({
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs",
})  # fmt: skip
ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}  # in the table of mounts

Signature = tuple[int, ...]


def signature(found: os.stat_result) -> Signature:
    """Return what changes whenever a file is written, replaced, or touched.

    The time of change (ctime) is the kernel's own: a program that sets the time of modification back cannot set it.
    """
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_settled(found: os.stat_result, now: float, margin: float) -> bool:
    """Tell whether another change would give another signature: the last one is not of this moment.

    `now` is from before the content was read, in seconds since the epoch. Clocks of file systems tick in milliseconds,
    those of servers may be off by seconds, and a clock that was set back gives times in the future, which are not
    settled.
    """
    return found.st_ctime < now - margin


def is_local(path: str) -> bool:
    """Tell whether a directory is on a disk of this machine; False where that is not known."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    real, best, kind = os.path.realpath(path), "", ""
    for line in mounts:
        before, _, behind = line.partition(" - ")
        point = before.split(" ")[4]
        for escape, char in ESCAPES.items():
            point = point.replace(escape, char)
        if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, behind.split(" ")[0]
    return kind in LOCAL
