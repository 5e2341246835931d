"""Run a script as Python runs it, in a process of its own, with the summary writers replaced before it starts.

Why not in this process, with `runpy`: the script would share its modules, threads, signal handlers, and traceback
frames with this package, and nobody would be left to say how it ended after `os._exit`, SIGKILL, or a crash. In its own
process, everything is as without `monitor run`, and this process watches from outside.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from monitor.runs.processes.process import signals_handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

STARTUP_FOLDER = Path(__file__).parent / "startup"  # with the `sitecustomize` that replaces the writers
TICK_INTERVAL_S = 0.5
# Signals that somebody sends to `monitor run` are meant for the script.
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# A key sends these to the script as well, because it is in the foreground too: they are passed on only if sent by a
# process, as `kill` does.
KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


def command_line(script: str, arguments: Sequence[str], *, is_module: bool) -> list[str]:
    """Return the command that runs a script, or a module, in the same way as this interpreter was started."""
    flags = [
        flag
        for flag in subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001
        if flag not in ("-I", "-E")  # the script's process needs its environment
    ]
    return [sys.executable, *flags, *(["-m"] if is_module else []), script, *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the script: that of this process, `variables`, and the way to the import hook."""
    paths = [str(STARTUP_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(paths)}


class ScriptProcess:
    """The process of a script. Signals that come to this process are passed on to it until `wait` returns."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> None:
        """Start the process, from the main thread: it is killed when the thread that started it ends."""
        self._process = subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr)
        self.pid = self._process.pid
        self._is_over = False

    def wait(self, tick: Callable[[], object], resize: Callable[[], object]) -> int:
        """Wait for the end, and return the return code, negative for a signal.

        Args:
            tick: is called about twice a second.
            resize: is called when the size of the terminal changes, before the script is told.
        """

        def pass_on(number: int, _frame: FrameType | None) -> None:
            self._process.send_signal(number)

        def pass_size_on(number: int, _frame: FrameType | None) -> None:
            resize()
            self._process.send_signal(number)

        handlers = {**dict.fromkeys(PASSED_ON, pass_on), signal.SIGWINCH: pass_size_on}
        with signals_handled(handlers), self._keyboard_signals_passed_on(), _woken_by_children() as wake_up:
            while (code := self._process.poll()) is None:
                if select.select([wake_up], [], [], TICK_INTERVAL_S)[0]:
                    os.read(wake_up, 4096)
                tick()
        return code

    @contextmanager
    def _keyboard_signals_passed_on(self) -> Iterator[None]:
        """Let a thread receive SIGINT and SIGQUIT, and pass on those that no key has sent to the script already."""
        waited = [number for number in KEYBOARD if signal.getsignal(number) is not signal.SIG_IGN]

        def receive() -> None:
            while True:
                received = signal.sigwaitinfo(waited)
                if self._is_over:
                    return
                if received.si_code <= 0:  # from a process, not from the terminal
                    self._process.send_signal(received.si_signo)

        if not waited:
            yield
            return
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, waited)  # for the new thread too
        thread = threading.Thread(target=receive, name="monitor-signals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            assert thread.ident is not None
            signal.pthread_kill(thread.ident, waited[0])
            thread.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def _woken_by_children() -> Iterator[int]:
    """Return a descriptor that can be read when a child process has ended, or another signal has come."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    previous = signal.signal(signal.SIGCHLD, lambda *_: None)
    previous_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(previous_descriptor)
        signal.signal(signal.SIGCHLD, previous)
        os.close(reading)
        os.close(writing)


def exit_like(return_code: int) -> NoReturn:
    """End this process as the script ended: with its exit status, or by the signal that ended it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if return_code < 0:
        number = -return_code
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # it left its own
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    sys.exit(return_code if return_code >= 0 else 128 - return_code)
