"""Let TensorBoard's data server answer without a pause of 40 ms, which each chart of a page waits for otherwise.

It sends the header and the data of an answer apart, and the system holds the data back until the header is acknowledged
(Nagle's algorithm, RFC 896), which the other end delays in turn (RFC 1122, 4.2.3.2). The server has no option for that,
but Linux lets a process set options of its child's sockets.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

PACKAGE = "tensorboard_data_server"  # has the program
PIDFD_GETFD = 438  # the number of this system call on all processors


def send_without_delay() -> None:
    """Set `TCP_NODELAY` on the sockets of data servers that this thread has started, where the system allows it.

    Those for connections that come later inherit it. Never raises.
    """
    with suppress(OSError, AttributeError):  # another system, or one that forbids it
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text("ascii").split()
        for child in children:
            with suppress(OSError):  # it is gone
                if PACKAGE in os.readlink(f"/proc/{child}/exe"):  # noqa: PTH115 - as text
                    _set_nodelay(int(child))


def _set_nodelay(process: int) -> None:
    call = ctypes.CDLL(None, use_errno=True).syscall
    process_fd = os.pidfd_open(process)
    try:
        for entry in os.scandir(f"/proc/{process}/fd"):
            with suppress(OSError):
                if not os.readlink(entry.path).startswith("socket:"):  # noqa: PTH115 - leads to no path
                    continue
                copy = call(PIDFD_GETFD, process_fd, int(entry.name), 0)
                if copy >= 0:
                    with socket.socket(fileno=copy) as found:
                        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    finally:
        os.close(process_fd)
