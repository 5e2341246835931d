"""What must happen around a fork: no child may use a lock, a thread, or a socket that it only has a copy of."""

from __future__ import annotations

import os
import threading
import weakref


class ForkAware:
    """An object that is told of each fork of this process, from its `watch_forks` on."""

    def watch_forks(self) -> None:
        """Call the methods below around each fork, as long as this object is there."""
        _watching.add(self)

    def ignore_forks(self) -> None:
        """Call them no longer."""
        _watching.discard(self)

    def before_fork(self) -> None:
        """Get ready, on the thread that is about to fork."""

    def after_fork_in_parent(self) -> None:
        """Undo `before_fork`, on the same thread; also if an exception broke that one off."""

    def after_fork_in_child(self) -> None:
        """Give up what belongs to the parent. No lock may be taken that existed before the fork."""


class _Forking(threading.local):
    """What waits for the fork that this thread is about to make."""

    def __init__(self) -> None:
        self.objects: list[ForkAware] = []


_watching: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_forking = _Forking()


def _before() -> None:
    for watching in list(_watching):
        _forking.objects.append(watching)
        watching.before_fork()


def _after_in_parent() -> None:
    while _forking.objects:
        _forking.objects.pop().after_fork_in_parent()


def _after_in_child() -> None:
    _forking.objects.clear()
    for watching in list(_watching):
        watching.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
