"""Capture what a program and its children write to stdout and stderr, at the level of file descriptors.

The program writes to a pipe, or to a pseudo-terminal where it had a terminal, so that `isatty` stays true. Another
process (`output_copier.py`) passes everything on at once, in order, and keeps it in the run's `output.log`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.runs.output.copier import DONE, MOVE, SYNC

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("monitor")

OUTPUT_FILE = "output.log"
SYNC_TIMEOUT_S = 5.0  # a terminal that is stopped (Ctrl-S) takes nothing
EXIT_TIMEOUT_S = 1.0
STDOUT, STDERR = 1, 2
_PACKAGES = Path(__file__).parents[3]  # where `monitor` is
_MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from monitor.runs.output.copier import main; main()"
_left_running: list[subprocess.Popen[bytes]] = []  # a child of the program still writes to them


class OutputCapture:
    """A process that copies what is written to `stdout` and `stderr` to those of this process, and to a file.

    Attributes:
        stdout: the descriptor for a program to write to; the same as `stderr` if both go to the same place.
        stderr: the other one.
    """

    def __init__(self, path: Path) -> None:
        """Start the process; it keeps the output in the file `path`. Raises `OSError`."""
        self._terminals: dict[int, int] = {}  # pseudo-terminals, and the terminal each stands for
        reading: list[int] = []
        pairs: list[int] = []
        self._is_closed = False
        self._control, control = socket.socketpair()
        self._control.settimeout(SYNC_TIMEOUT_S)
        ends = {}
        try:
            for target in (STDOUT,) if _is_same(STDOUT, STDERR) else (STDOUT, STDERR):
                source, ends[target] = self._open_channel(target)
                reading.append(source)
                pairs += [source, target]
            self.stdout = ends[STDOUT]
            self.stderr = ends.get(STDERR, self.stdout)
            arguments = [control.fileno(), os.path.abspath(path), *pairs]  # noqa: PTH100 - keeps links as they are
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _MAIN, str(_PACKAGES), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                pass_fds=(control.fileno(), *reading),
                start_new_session=True,  # Ctrl-C is for the program
            )
        except BaseException:
            self._control.close()
            for descriptor in ends.values():
                os.close(descriptor)
            raise
        finally:
            control.close()
            for descriptor in reading:
                os.close(descriptor)

    def sync(self) -> bool:
        """Wait until everything written so far has been passed on and is in the file; for at most 5 s."""
        return self._ask(SYNC)

    def move(self, path: Path) -> bool:
        """Move the file; one that is there is appended to."""
        return self._ask(MOVE + os.fsencode(os.path.abspath(path)))  # noqa: PTH100

    def resize(self) -> None:
        """Give the pseudo-terminals the size of the terminal."""
        for end, target in self._terminals.items():
            with suppress(OSError):
                fcntl.ioctl(end, termios.TIOCSWINSZ, fcntl.ioctl(target, termios.TIOCGWINSZ, bytes(8)))

    def close(self) -> None:
        """End the capture; the process goes on if a child of the program still writes. Blocks for at most 6 s."""
        if self._is_closed:
            return
        self._is_closed = True
        self.sync()
        for descriptor in {self.stdout, self.stderr, *self._terminals.values()}:
            os.close(descriptor)
        self._terminals.clear()
        self._control.close()
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _left_running.append(self._process)

    def _ask(self, command: bytes) -> bool:
        try:
            self._control.sendall(command + b"\0")
            return self._control.recv(1) == DONE
        except OSError:
            return False

    def _open_channel(self, target: int) -> tuple[int, int]:
        """Return the reading and the writing end of what stands for `target`."""
        if not os.isatty(target):
            return os.pipe()
        source, end = os.openpty()
        modes = termios.tcgetattr(target)
        modes[1] &= ~termios.OPOST  # the terminal itself turns line feeds into new lines
        termios.tcsetattr(end, termios.TCSANOW, modes)
        self._terminals[end] = os.dup(target)
        self.resize()
        return source, end


@contextmanager
def captured_output(path: Path, *, is_wanted: bool = True) -> Iterator[None]:
    """Capture the output of this process and its children into the file `path`.

    Does nothing where stdout and stderr are not those of the process, as in a notebook or a test.
    """
    capture = open_capture(path) if is_wanted and _has_usual_streams() else None
    if capture is None:
        yield
        return
    saved = {target: os.dup(target) for target in (STDOUT, STDERR)}
    _redirect({STDOUT: capture.stdout, STDERR: capture.stderr})
    try:
        with _resizing(capture):
            yield
    finally:
        _redirect(saved)
        for descriptor in saved.values():
            os.close(descriptor)
        capture.close()


def open_capture(path: Path) -> OutputCapture | None:
    """Start a capture; None, and a warning, if that is not possible."""
    try:
        return OutputCapture(path)
    except OSError as error:
        log.warning("the output is not kept in %s: %s", path, error)
        return None


def _has_usual_streams() -> bool:
    """Tell whether `sys.stdout` and `sys.stderr` write to the descriptors that a capture replaces."""
    try:
        return (sys.stdout.fileno(), sys.stderr.fileno()) == (STDOUT, STDERR)
    except (AttributeError, OSError, ValueError):
        return False


def _redirect(descriptors: dict[int, int]) -> None:
    """Let stdout and stderr write to other descriptors from now on."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    for target, descriptor in descriptors.items():
        os.dup2(descriptor, target)


@contextmanager
def _resizing(capture: OutputCapture) -> Iterator[None]:
    """Let the pseudo-terminals follow the size of the terminal, unless the program handles its changes."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGWINCH) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGWINCH, lambda *_: capture.resize())
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def _is_same(one: int, other: int) -> bool:
    """Tell whether two descriptors lead to the same file, pipe, or terminal."""
    first, second = os.fstat(one), os.fstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
