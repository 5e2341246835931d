"""A TCP proxy on the loopback that can be cut: the network between a sink and its server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CUTS = ("refuse", "stall", "reset")  # `network refuse`, `network stall`, `network reset` in a plan


class Network:
    """Pass connections on to a port, unless it is cut.

    `refuse` takes no connections and resets those that are open, `stall` passes nothing on, `reset` resets every
    connection at its first bytes.
    """

    def __init__(self, upstream: int) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._upstream = upstream
        self._cut = ""
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    def cut(self, how: str) -> None:
        """Cut it."""
        self._cut = how
        if how == "stall":
            self._flowing.clear()
        elif how == "refuse":
            self._stop_listening()
            self._reset_all()
        elif how == "reset":
            self._reset_all()

    def mend(self) -> None:
        """Let everything pass again."""
        how, self._cut = self._cut, ""
        if how == "refuse":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listen()
        self._flowing.set()

    def close(self) -> None:
        """Stop listening, and end all connections and threads."""
        self._cut = "refuse"
        self._flowing.set()
        self._stop_listening()
        self._reset_all()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._start(self._accept, self._listener)

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, name="network")
        self._threads.append(thread)
        thread.start()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which `close` alone does not
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream), timeout=5)
            except OSError:
                reset(client)
                continue
            server.settimeout(None)
            self._start(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Pass both directions on, then close both ends: at once and with a reset if the network is cut."""
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), name="network")
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
            for end in (client, server):
                reset(end) if self._is_reset() else end.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flowing.wait()
                if self._is_reset():
                    break
                target.sendall(data)
            if self._is_reset():
                wake(source, target)
            else:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            wake(source, target)

    def _is_reset(self) -> bool:
        return self._cut in ("reset", "refuse")

    def _reset_all(self) -> None:
        with self._lock:
            wake(*self._open)  # their threads reset them


def wake(*ends: socket.socket) -> None:
    """Let `recv` return on these, without a word to the other side."""
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RD)


def reset(end: socket.socket) -> None:
    """Close a connection so that the other side gets a reset."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
