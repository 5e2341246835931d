"""Run a script as Python runs it, in a process of its own, with the summary writers replaced before it starts.

Why not in this process, with `runpy`: the script would share its modules, threads, signal handlers, and traceback
frames with this package, and nobody would be left to say how it ended after `os._exit`, SIGKILL, or a crash. In its own
process, everything is as without `monitor run`, and this process watches from outside.
"""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from monitor.integrations.script.group_signals import GroupSignals
from monitor.runs.processes.process import signals_handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

STARTUP_FOLDER = Path(__file__).parent / "startup"  # with the `sitecustomize` that replaces the writers
TICK_INTERVAL_S = 0.5
SHUTDOWN_S = 60.0  # from a Ctrl-C to the end of a script that handles it
# Signals that somebody sends to `monitor run` are meant for the script.
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT)


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
    """The process of a script. Signals that come to this process alone are passed on to it.

    Attributes:
        pid: its process ID, once it has been started.
        was_interrupted: whether SIGINT, such as Ctrl-C, came in the last minute before its end.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> None:
        self._command, self._environment, self._stdout, self._stderr = command, environment, stdout, stderr
        self.pid: int | None = None
        self.was_interrupted = False

    def run(self, tick: Callable[[], object], resize: Callable[[], object]) -> int:
        """Run it to the end, from the main thread, and return the return code, negative for a signal.

        Args:
            tick: is called about twice a second.
            resize: is called when the size of the terminal changes, before the script is told.
        """
        group = GroupSignals(PASSED_ON)
        process: subprocess.Popen[bytes] | None = None
        early: list[int] = []
        interrupted = -math.inf

        def send(number: int) -> None:
            early.append(number) if process is None else process.send_signal(number)

        def pass_on(number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            if number == signal.SIGINT:
                interrupted = time.monotonic()
            if process is None or not group.include(number):  # nobody but this process got it if there is no other
                send(number)

        def pass_size_on(number: int, _frame: FrameType | None) -> None:
            resize()
            send(number)

        handlers = {**dict.fromkeys(PASSED_ON, pass_on), signal.SIGWINCH: pass_size_on}
        try:
            with signals_handled(handlers), _woken_by_children() as wake_up:
                process = subprocess.Popen(
                    self._command, env=self._environment, stdout=self._stdout, stderr=self._stderr
                )
                self.pid = process.pid
                for number in early:
                    process.send_signal(number)
                while (code := process.poll()) is None:
                    if select.select([wake_up], [], [], TICK_INTERVAL_S)[0]:
                        os.read(wake_up, 4096)
                    else:
                        group.forget()
                    tick()
        finally:
            group.close()
        self.was_interrupted = time.monotonic() - interrupted < SHUTDOWN_S
        return code


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
