"""Leases on dashboard servers: a server that runs share ends when the last of them does.

Each server has a file. Who uses the server holds a shared lock on it, which the kernel releases however the process
ends. The server ends when it gets the lock for itself alone, and so nobody can take a lease on a server that is ending.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
import uuid
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.dashboards.ownership.lease_files import BY_USER, lease_folder, lease_path
from monitor.runs.processes import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEASE_VARIABLE = "MONITOR_LEASE"  # names the file, in the environment of a server that a run starts
START_LOCK_TIMEOUT_S = 180.0
MAX_START_S = 3600.0  # longer than any server takes
POLL_INTERVAL_S = 0.05
CLAIM_TIMEOUT_S = 0.3  # a server that only looks whether it is alone holds the lock for less
STAYING_MODE = 0o700  # of the file of a server that stays; of others, it is 0o600
_open_leases: weakref.WeakSet[Lease] = weakref.WeakSet()


class ServerEndingError(Exception):
    """The server is about to end, because nobody uses it anymore."""


class Lease:
    """A lock on the file of a server; shared, unless `claim` succeeded.

    Attributes:
        path: where the file was when it was opened; the server gives it its final name.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _open_leases.add(self)

    @classmethod
    def create(cls) -> Lease | None:
        """Make the file of a server that is about to be started; None if there is no place for it."""
        try:
            folder = lease_folder()
            for old in folder.glob("*.new"):  # of runs that were killed while a server started
                if time.time() - old.stat().st_mtime > MAX_START_S:
                    old.unlink()
            path = folder / f"{uuid.uuid4().hex}.new"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return None
        lease = cls(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # a file system without locks
            lease.close()
            return None
        return lease

    @classmethod
    def join(cls, name: str, url: str) -> Lease | None:
        """Take a lease on a running server; None if it is not one that runs share.

        Raises `ServerEndingError` if it is about to end. Blocks for at most 0.3 s.
        """
        while True:
            try:
                path = lease_path(name, url)
                descriptor = os.open(path, os.O_RDWR)
            except OSError:
                return None
            lease = cls(path, descriptor)
            facts = lease.facts()
            if facts.get("by") == BY_USER or process.is_alive(facts.get("process")) is not True:
                lease.close()
                return None
            try:
                _share(descriptor)
            except BlockingIOError:
                lease.close()
                raise ServerEndingError(url) from None
            except OSError:
                lease.close()
                return None
            if lease.is_of(name, url):
                return lease
            lease.close()  # a newer server took the name in between

    def is_of(self, name: str, url: str) -> bool:
        """Tell whether this is a lease on the server that is at `url` now."""
        try:
            found, opened = lease_path(name, url).stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)

    def facts(self) -> dict[str, Any]:
        """Return what the server wrote about itself: its process, its address, and what it serves."""
        try:
            facts = json.loads(os.pread(self._descriptor, 2**16, 0))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def path_for_server(self, name: str, url: str) -> Path:
        """Return where the server finds its file: at a restart, it is the one on which all runs hold leases."""
        return lease_path(name, url) if url and self.is_of(name, url) else self.path

    def claim(self) -> bool:
        """Lock out all others, and tell whether that succeeded: then nobody else uses the server.

        If not, the lease is over.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def stay(self) -> None:
        """Let the server go on without runs as long as somebody looks at it."""
        with suppress(OSError):
            os.fchmod(self._descriptor, STAYING_MODE)  # a bit of the file itself, which is there as long as the server

    @property
    def stays(self) -> bool:
        """Whether the server goes on without runs as long as somebody looks at it."""
        return bool(os.fstat(self._descriptor).st_mode & STAYING_MODE & 0o111)

    def release(self) -> None:
        """Take a successful `claim` back, so that others can take leases."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def end_server(self, how: signal.Signals = signal.SIGTERM) -> bool:
        """Ask the server to end, or kill it with SIGKILL; tell whether there is one. Does not wait."""
        owner = self.facts().get("process")
        if owner is None or not process.is_alive(owner):
            return False
        with suppress(OSError):
            os.kill(int(owner["pid"]), how)
        return True

    def publish(self, name: str, url: str, **facts: Any) -> None:
        """Write what others need to know, and give the file the name by which they find it. For the server."""
        content = json.dumps({"process": process.identity(), "name": name, "url": url, **facts}).encode()
        size = os.fstat(self._descriptor).st_size  # of what a server wrote that was here before
        os.pwrite(self._descriptor, content.ljust(size), 0)
        path = lease_path(name, url)
        self.path.replace(path)
        self.path = path

    def remove(self) -> None:
        """Remove the file, unless its name is another server's. Only after `claim`."""
        facts = self.facts()
        if self.is_of(str(facts.get("name")), str(facts.get("url"))):
            with suppress(OSError):
                lease_path(facts["name"], facts["url"]).unlink()

    def close(self) -> None:
        """Give the lease up. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self.path.suffix == ".new":  # the server did not get that far, or takes no leases
                self.path.unlink(missing_ok=True)

    def close_in_child(self) -> None:
        """Close a forked process's copy; the lock stays with this process."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _share(descriptor: int) -> None:
    """Take a shared lock; raise `BlockingIOError` if somebody has it alone for longer than a look takes."""
    deadline = time.monotonic() + CLAIM_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_INTERVAL_S / 5)


def server_lease() -> Lease | None:
    """Return the file that the run which started this server made for it; None without one."""
    path = os.environ.pop(LEASE_VARIABLE, None)
    try:
        return Lease(Path(path), os.open(path, os.O_RDWR)) if path else None
    except OSError:
        return None


@contextmanager
def start_lock(is_cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Let one process of the user at a time look for dashboards and start what is missing.

    Others wait, for at most three minutes, and then find what was started.
    """
    try:
        descriptor = os.open(lease_folder() / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + START_LOCK_TIMEOUT_S
        while time.monotonic() < deadline and not is_cancelled():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(POLL_INTERVAL_S)
        yield
    finally:
        os.close(descriptor)


def _after_fork() -> None:
    for lease in list(_open_leases):  # a worker that outlives the run must not keep its servers up
        lease.close_in_child()


os.register_at_fork(after_in_child=_after_fork)
