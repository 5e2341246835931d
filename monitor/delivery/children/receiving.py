"""The parent's side of logging from children: one thread that takes in what they send."""

from __future__ import annotations

import contextlib
import logging
import secrets
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from monitor.delivery.children import local_socket
from monitor.delivery.children.fork_hooks import ForkAware
from monitor.delivery.children.local_socket import TOKEN_BYTES, Address
from monitor.delivery.children.wire import Frames
from monitor.delivery.children.wire_decoding import decode

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("monitor")

CHUNK_BYTES = 2**20  # of one read, after which the other children have their turn
SENDER_BYTES = 16  # after the token: which sender it is, over all its connections
FULL_PAUSE_S = 0.1  # before the next attempt to accept a child, when this process is out of file descriptors
CLOSE_S = 10.0  # for reading what has already arrived
LAST_READ_S = 1.0  # the same for one child, where the system cannot tell what arrived before the close


class _Child:
    """A connection from a child, and what has arrived over it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.frames = Frames()
        self.sender = b""  # empty until the child has sent the token
        self.known_tags: set[str] = set()


class Receiver(ForkAware):
    """Take in what children of this process log.

    The socket and the thread, `monitor-children`, are made right before the first child can need them: when this
    process forks, or when the logger is pickled for another process.

    Attributes:
        tuples: how many of the entries that were passed on were tuples.
        refused: how many frames were not passed on, because they were not entries.
    """

    def __init__(self, put: Callable[[Any], None], family: str = local_socket.DEFAULT_FAMILY) -> None:
        """Pass entries on to `put`, on the thread."""
        self.tuples = self.refused = 0
        self._put, self._family = put, family
        self._address: Address | None = None
        self._guard = threading.RLock()  # held while sockets are made or closed, and by the thread that forks
        self._children: set[_Child] = set()
        self._listener: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        self._control: tuple[socket.socket, socket.socket] | None = None  # the ends of `close` and of the thread
        self._is_closed = self._is_reported = False
        self.watch_forks()

    def address(self) -> Address | None:
        """Return where children connect to, and listen there; None if this failed or the receiver was closed before."""
        with self._guard:
            if self._address is None and not self._is_closed:
                try:
                    self._start()
                except (OSError, RuntimeError) as error:
                    log.warning("child processes cannot log to this one: %s", error)
            return self._address

    def _start(self) -> None:
        listener, address = local_socket.listen(self._family)
        try:
            self._listener, self._control, self._selector = listener, socket.socketpair(), selectors.DefaultSelector()
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(self._control[1], selectors.EVENT_READ)
            self._address = address
            threading.Thread(target=self._main, name="monitor-children", daemon=True).start()
        except BaseException:
            self._address = None
            self._close_sockets()
            local_socket.stop_listening(listener, address)
            raise

    def close(self) -> None:
        """Take in what children sent before this call, and refuse what they send later. Blocks for at most `CLOSE_S`.

        Safe to call again, from another thread, and from a signal handler.
        """
        self._is_closed = True
        if self._control is None:
            return
        control = self._control[0]
        with contextlib.suppress(OSError):  # another call was quicker
            control.settimeout(CLOSE_S)
            control.send(b"close", local_socket.NO_SIGNAL)
        with contextlib.suppress(OSError):
            control.recv(1)  # returns when the thread has closed its end
        control.close()

    # Called by the thread

    def _main(self) -> None:
        assert self._selector is not None
        while not self._is_closed:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Child):
                    self._read(key.data)
                elif key.fileobj is self._listener:
                    self._accept()
        self._take_the_rest()

    def _accept(self) -> bool:
        """Accept one child; tell whether there was one."""
        assert self._listener is not None
        assert self._selector is not None
        assert self._address is not None
        try:
            with self._guard:
                connection, _ = self._listener.accept()
                if not local_socket.is_trusted(connection, self._address):
                    connection.close()
                    return True
                connection.setblocking(False)
                child = _Child(connection)
                self._children.add(child)
                self._selector.register(connection, selectors.EVENT_READ, child)
        except BlockingIOError:
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._report(f"a child process has to wait: {error}")
            time.sleep(0 if self._is_closed else FULL_PAUSE_S)
            return False
        return True

    def _read(self, child: _Child) -> bool:
        """Take in what has arrived, up to a limit; tell whether there may be more."""
        try:
            data = child.socket.recv(CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        child.frames.add(data)
        if not data or not self._take(child):
            self._disconnect(child)
            return False
        return True

    def _take(self, child: _Child) -> bool:
        """Pass on the entries that are complete; tell whether the connection can be used further."""
        assert self._address is not None
        if not child.sender:
            greeting = child.frames.take(TOKEN_BYTES + SENDER_BYTES)
            if not greeting:
                return True
            if not secrets.compare_digest(greeting[:TOKEN_BYTES], self._address.token):
                return False
            child.sender = greeting[TOKEN_BYTES:]
            for previous in [other for other in self._children if other.sender == child.sender and other is not child]:
                while self._read(previous):  # what it sent first comes first
                    pass
        try:
            for header, arrays in child.frames:
                self._pass_on(header, arrays, child.known_tags)
        except ValueError as error:
            self._refuse(error)
            return False
        return True

    def _pass_on(self, header: bytes, arrays: bytes, known_tags: set[str]) -> None:
        try:
            entry = decode(header, arrays, known_tags)
        except Exception as error:
            self._refuse(error)
            return
        self.tuples += type(entry) is tuple
        self._put(entry)

    def _refuse(self, error: Exception) -> None:
        self.refused += 1
        self._report(f"what a child process sent was refused: {' '.join(str(error).split())}")

    def _report(self, message: str) -> None:
        """Log a warning, only the first one."""
        if not self._is_reported:
            self._is_reported = True
            log.warning("%s", message)

    def _disconnect(self, child: _Child) -> None:
        assert self._selector is not None
        with self._guard:
            self._children.discard(child)
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.socket)
            child.socket.close()

    def _take_the_rest(self) -> None:
        """Take in what was sent before `close`, and end."""
        assert self._listener is not None
        assert self._control is not None
        assert self._address is not None
        local_socket.refuse_more(self._listener)
        while self._accept():
            pass
        for child in list(self._children):
            deadline = None if local_socket.refuse_more(child.socket) else time.monotonic() + LAST_READ_S
            while self._read(child) and (deadline is None or time.monotonic() < deadline):
                pass
        with self._guard:
            self.ignore_forks()
            local_socket.stop_listening(self._listener, self._address)
            self._close_sockets()
        self._control[1].close()

    def _close_sockets(self) -> None:
        for child in self._children:
            child.socket.close()
        self._children.clear()
        if self._selector is not None:
            self._selector.close()

    # Around a fork, see `ForkAware`

    def before_fork(self) -> None:
        """Listen, and let the thread make no socket for now, so that the child knows all that it inherits."""
        self._guard.acquire()
        self.address()

    def after_fork_in_parent(self) -> None:
        """Let the thread go on."""
        with contextlib.suppress(RuntimeError):  # an exception broke `before_fork` off
            self._guard.release()

    def after_fork_in_child(self) -> None:
        """Close what this process inherited: a connection ends only when all processes have closed it."""
        self.ignore_forks()
        self._guard = threading.RLock()
        self._is_closed = True
        self._close_sockets()
        for inherited in (self._listener, *(self._control or ())):
            if inherited is not None:
                inherited.close()
        self._control = None
