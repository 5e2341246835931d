"""Which process owns a run, and whether that process is alive."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType


def identity(pid: int | None = None) -> dict[str, Any]:
    """Return what identifies a process of this machine, by default this one, among all past and future processes."""
    pid = os.getpid() if pid is None else pid
    return {"pid": pid, "created": _created(pid), "machine": machine()}


def parent_identity() -> dict[str, Any]:
    """Return the identity of the process that started this one, such as a launcher."""
    return identity(os.getppid())


def machine() -> str:
    """Return what identifies the scope of process numbers: the host, its boot, and the PID namespace."""
    return " ".join([socket.gethostname(), *_boot_and_namespace(os.getpid())])


@lru_cache(1)
def _boot_and_namespace(_pid: int) -> list[str]:
    """Return what stays the same for this process; a list of runs asks for it for each of them."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return parts


def is_alive(owner: Any) -> bool | None:
    """Tell whether the process with this identity is alive; None if this machine cannot know."""
    import psutil

    try:
        pid, created = int(owner["pid"]), float(owner["created"])
        if owner["machine"] != machine():
            return None
    except (KeyError, TypeError, ValueError):
        return None
    try:
        return _created(pid) == created and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return False
    except (psutil.Error, OSError):
        return None


def interrupt_main_thread() -> None:
    """Interrupt the main thread as Ctrl-C does, or as SIGTERM does if Ctrl-C is ignored; also during a system call.

    If neither has a handler, as in the background of a shell, `KeyboardInterrupt` is raised when the call has returned.
    """
    thread = threading.main_thread().ident or 0
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):  # without a handler, the signal would end the program at once
            signal.pthread_kill(thread, number)
            return
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


def _created(pid: int) -> float:
    """Return when a process was created; on Linux in ticks since the boot, which do not depend on the clock."""
    import psutil

    if psutil.LINUX:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123 - many
            return float(stat.read().rpartition(")")[2].split()[19])
    return psutil.Process(pid).create_time()


@contextmanager
def signals_handled(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    """Set signal handlers, except for signals that are ignored, as with `nohup`."""
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def signals_as_exit() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `SystemExit`, so that the program delivers everything before it ends.

    A signal that is ignored, as SIGHUP is under `nohup`, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def exit_on_signal(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    with signals_handled({signal.SIGTERM: exit_on_signal, signal.SIGHUP: exit_on_signal}):
        yield


@contextmanager
def signals_put_off() -> Iterator[Callable[[], None]]:
    """Let SIGINT, SIGTERM, and SIGHUP wait until the function that is yielded is called, or until the block ends.

    If the block raises, those that came are forgotten: the program ends in any case.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    waiting = ExitStack()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    waiting.enter_context(signals_handled(dict.fromkeys(numbers, lambda number, _frame: came.append(number))))

    def let_in() -> None:
        waiting.close()
        if came:
            signal.raise_signal(came.pop(0))

    with waiting:
        yield let_in
        let_in()
