"""A socket on this machine on which a process listens to its children, whoever forks or spawns them.

On Linux its address is not a file, so nothing is left behind, even by SIGKILL. Elsewhere it is a file in a private
temporary directory, or a port of the loopback interface.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

TOKEN_BYTES = 32
BACKLOG = 128
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)  # a closed connection raises an exception instead of SIGPIPE
CREDENTIALS = struct.Struct("3i")  # of a peer: process, user, group


if hasattr(socket, "SO_PEERCRED"):  # on Linux
    DEFAULT_FAMILY = "abstract"
else:
    DEFAULT_FAMILY = "directory" if hasattr(socket, "AF_UNIX") else "loopback"


class Address(NamedTuple):
    """Where a process listens to its children.

    Attributes:
        family: abstract, directory, or loopback.
        name: what `socket.connect` takes.
        owner: the user that listens, -1 if the family does not tell.
        token: what a child sends first; only children of the process know it.
    """

    family: str
    name: Any
    owner: int
    token: bytes


def listen(family: str = DEFAULT_FAMILY) -> tuple[socket.socket, Address]:
    """Return a listening socket that does not block, and its address. Raises `OSError`."""
    token = secrets.token_bytes(TOKEN_BYTES)
    name: Any = ("127.0.0.1", 0)
    owner = -1
    if family == "abstract":
        name, owner = f"\0training-monitor-{os.getpid()}-{secrets.token_hex(16)}", os.geteuid()
    elif family == "directory":
        name = str(Path(tempfile.mkdtemp(prefix="monitor-"), "socket"))  # only its owner may enter
    listener = socket.socket(socket.AF_INET if family == "loopback" else socket.AF_UNIX)
    try:
        listener.bind(name)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        stop_listening(listener, Address(family, name, owner, token))
        raise
    return listener, Address(family, listener.getsockname() if family == "loopback" else name, owner, token)


def stop_listening(listener: socket.socket, address: Address) -> None:
    """Close the socket of `listen` and remove its directory."""
    listener.close()
    if address.family == "directory":
        shutil.rmtree(Path(address.name).parent, ignore_errors=True)


def connect(address: Address) -> socket.socket:
    """Return a blocking connection to the process that listens at `address`. Raises `OSError`."""
    connection = socket.socket(socket.AF_INET if address.family == "loopback" else socket.AF_UNIX)
    try:
        connection.connect(address.name)
        if not is_trusted(connection, address):
            raise ConnectionRefusedError("another user listens at this address")
    except BaseException:
        connection.close()
        raise
    return connection


def is_trusted(connection: socket.socket, address: Address) -> bool:
    """Tell whether the other end belongs to the user that listens at `address`, where the family needs this check."""
    if address.family != "abstract":
        return True
    _, user, _ = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return bool(user == address.owner)


def has_ended(connection: socket.socket, address: Address) -> bool:
    """Tell whether the process at `address`, which sends nothing, has closed the connection.

    Only TCP needs this check: it takes what is sent first after that without an error.
    """
    if address.family != "loopback":
        return False
    return bool(select.select([connection], [], [], 0)[0])


def refuse_more(connection: socket.socket) -> bool:
    """Let what the other end sends from now on fail there, and keep what it sent before; False if neither is known.

    Only Linux keeps what arrived before.
    """
    if sys.platform == "linux" and connection.family == socket.AF_UNIX:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)
        return True
    return False
