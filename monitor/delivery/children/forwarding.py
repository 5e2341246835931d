"""Logging from child processes: what a `Logger(children="forward")` becomes in a child, whatever started it.

A log call in a child sends its entry to the parent and returns when the system has it. From then on the parent gets it,
even if the child is killed; from the parent's inbox on, it is an entry like any other.
"""

from __future__ import annotations

import logging
import secrets
import threading
import weakref
from collections import deque
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.capture.calls.null_logger import NullLogger
from monitor.capture.pending import DeviceScalar, PendingRecord, PendingScalars, read_together
from monitor.delivery.children import local_socket, wire
from monitor.delivery.children.fork_hooks import ForkAware
from monitor.delivery.children.receiving import SENDER_BYTES, Receiver
from monitor.records import Checkpoint, Scalar
from monitor.runs.status import ending
from monitor.stats import SinkStats, Stats

if TYPE_CHECKING:
    import os
    import socket
    from collections.abc import Mapping

    from monitor.delivery.children.local_socket import Address
    from monitor.runs.run import Run

log = logging.getLogger("monitor")


class Sender(ForkAware):
    """Send entries to the process that listens at an address, over a connection that the first one opens.

    Attributes:
        sent: how many records the other process gets.
        lost: how many it does not get.
        last_error: why, as one line.
    """

    def __init__(self, address: Address | None) -> None:
        """Connect to `address` later; None stands for a process that does not listen."""
        self.sent = self.lost = 0
        self.last_error: str | None = None
        self._address = address
        self._is_parent_gone = False
        self._reset()
        self.watch_forks()

    def _reset(self) -> None:
        """Start without a connection, as another process does after a fork."""
        self._name = secrets.token_bytes(SENDER_BYTES)
        self._lock = threading.RLock()
        self._waiting: deque[tuple[bytes, int]] = deque()  # frames, and how many records each has
        self._is_sending = False
        self._connection: socket.socket | None = None

    def send(self, entry: Any) -> None:
        """Send an entry. Blocks until the system has it; never raises because it cannot be sent.

        In a signal handler that interrupts a send, the entry waits for the end of that one.
        """
        count = len(entry.tags) if isinstance(entry, PendingScalars) else 1
        count = len(entry[1]) if type(entry) is tuple and entry[0] is None else count
        try:
            frame = wire.encode(resolve_entry(entry))
        except Exception as error:
            self._note_loss(count, error, f"a record cannot be sent to the parent process: {error}")
            return
        with self._lock:
            self._waiting.append((frame, count))
            while self._waiting and not self._is_sending:
                self._send_next()

    def _send_next(self) -> None:
        self._is_sending = True
        try:
            frame, count = self._waiting.popleft() if self._waiting else (b"", 0)  # a signal handler was quicker
            try:
                self._connect().sendall(frame, local_socket.NO_SIGNAL)
                self.sent += count
            except OSError as error:
                self.disconnect()
                self._is_parent_gone |= isinstance(error, ConnectionError | FileNotFoundError)
                reason = "the process that made the Logger has closed it, or has ended"
                reason = (
                    reason if self._is_parent_gone else f"it cannot reach the process that made the Logger: {error}"
                )
                self._note_loss(count, error, f"logging from this child process is ignored: {reason}")
        except BaseException:  # such as Ctrl-C: the frame may be sent in part, and its end must not be missing
            self.disconnect()
            raise
        finally:
            self._is_sending = False

    def _connect(self) -> socket.socket:
        if self._address is None or self._is_parent_gone:
            raise ConnectionRefusedError("the other process does not listen")
        if self._connection is not None and local_socket.has_ended(self._connection, self._address):
            raise ConnectionResetError("the other process has closed the connection")
        if self._connection is None:
            self._connection = local_socket.connect(self._address)
            weakref.finalize(self, self._connection.close)  # before the interpreter warns of an open socket
            self._connection.sendall(self._address.token + self._name, local_socket.NO_SIGNAL)
        return self._connection

    def disconnect(self) -> None:
        """Close the connection; the next entry opens another one, and comes after the earlier ones."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork_in_child(self) -> None:
        """Leave the connection to the parent, of which another thread may have been sending."""
        self.disconnect()
        self._reset()
        self.sent = self.lost = 0
        self.last_error = None

    def _note_loss(self, count: int, error: Exception, message: str) -> None:
        if self.last_error is None:
            log.warning("%s", " ".join(message.split()))
        self.last_error = " ".join(f"{type(error).__name__}: {error}".split())
        self.lost += count


class ForwardingLogger(NullLogger):
    """Check every log call and forward it to the process that made the `Logger`.

    It has the methods and properties of a `Logger`, with the same types. Alerts are judged in that process, so
    `should_stop` is always False here.
    """

    _watches_models = True

    def __init__(self, directory: str | os.PathLike[str], config: Mapping[str, Any], address: Address | None) -> None:
        """Stand for the logger of the run in `directory`, whose process listens at `address`."""
        super().__init__(directory, config)
        self._address = address
        self._sender = Sender(address)
        self._started = perf_counter()

    def take(self, entry: Any) -> None:
        """Forward an entry."""
        self._tuples += type(entry) is tuple
        self._sender.send(entry)
        self._measure_next()  # a call costs more than measuring it

    def stats(self) -> Stats:
        """Return what this process logged and sent to its parent, and what that cost."""
        sent, lost = self._sender.sent, self._sender.lost
        parent = SinkStats(sent + lost, sent, 0, lost, 0, 0, 0, 0, self._sender.last_error)
        calls, seconds = self._calls(self._tuples)
        return Stats({"parent": parent}, calls, seconds, seconds / (perf_counter() - self._started))

    def flush(self, timeout: float = 10.0) -> bool:
        """Tell whether the parent got everything logged in this process; it does at the end of each call."""
        return not self._sender.lost

    def checkpoint(self, name: str, step: int, timeout: float = 10.0) -> bool:
        """Forward the mark; return False, because this process does not know what is on disk."""
        self.take(Checkpoint(validation.text(name, "a checkpoint's name"), validation.step(step), time()))
        return False

    def close(self, timeout: float | None = None, status: str = "finished", error: str | None = None) -> bool:
        """Close the connection of this process, not the run; tell whether the parent got everything.

        Raises `ValueError` for a status with which no run ends.
        """
        ending(status)
        self._sender.disconnect()
        return not self._sender.lost

    def __reduce__(self) -> tuple[Any, ...]:
        """Become a `ForwardingLogger` to the same process."""
        return type(self), (str(self.run.path), self.run.config, self._address)


def resolve_entry(entry: Any) -> Any:
    """Build what is still to be built. Blocks until a value on a GPU is on the host."""
    if isinstance(entry, PendingRecord):
        return entry.resolve()
    if isinstance(entry, DeviceScalar):  # not through the lock that workers share: a fork may have copied it locked
        return Scalar(entry.tag, read_together([entry.tensor], [entry.ready])[0], entry.step, entry.time)
    if isinstance(entry, PendingScalars):
        on_device = entry.on_device
        values = read_together([scalar.tensor for scalar in on_device], [scalar.ready for scalar in on_device])
        return (None, entry.values | dict(zip([scalar.tag for scalar in on_device], values)), None, entry.time)
    return entry


def logger_for_child(run: Run, receiver: Receiver | None, *, is_silent: bool = False) -> NullLogger:
    """Return what the logger of `run` becomes in a child process; it forwards if there is a receiver.

    `is_silent` if that logger drops every call, because its rank is not 0.
    """
    if receiver is None:
        return NullLogger(run.path, run.config, is_silent=is_silent)
    return ForwardingLogger(run.path, run.config, receiver.address())
