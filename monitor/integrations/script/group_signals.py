"""Find out whether a signal came to this process alone, or to its whole process group.

A key such as Ctrl-C, and a launcher that ends a job, send a signal to each process of a group, so the script gets it
too; `kill PID` sends it to one. Python's signal handlers do not know the sender, and waiting for a signal with
`sigwaitinfo`, which does, needs it to be blocked in each thread, also in those that a library such as NumPy's starts.
So a small process in the same group says which signals it gets.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

ANSWER_TIMEOUT_S = 5.0
MAX_AGE_S = 1.0
ANSWER = 0
# It writes the number of each signal to stdout, and 0 for each byte that it reads, after the signals that came before.
# It ends when stdin does, so it never outlives this process.
_CODE = """
import os, signal, sys
os.set_blocking(1, False)
for number in map(int, sys.argv[1:]):
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
signal.set_wakeup_fd(1, warn_on_full_buffer=False)
while os.read(0, 1): os.write(1, b"\\0")
"""


class GroupSignals:
    """Tells which signals the process group of this process got."""

    def __init__(self, numbers: Sequence[signal.Signals]) -> None:
        """Start to watch for these signals. Blocks for some 20 ms. Raises `OSError`."""
        self._reported: list[tuple[int, float]] = []  # with the time on the monotonic clock
        self._asked = self._answered = 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, *(str(int(number)) for number in numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._answers, False)
        self._ask()

    def include(self, number: int) -> bool:
        """Tell whether the signal `number`, which this process just got, went to its group. Blocks for about 1 ms.

        Another signal's handler may call it meanwhile.
        """
        self._ask()
        for report in self._reported.copy():
            if report[0] == number:
                with suppress(ValueError):
                    self._reported.remove(report)
                return True
        return False

    def forget(self) -> None:
        """Forget old reports: of signals in quick succession, a process may get fewer than another one."""
        self._read(0)
        newest = time.monotonic() - MAX_AGE_S
        self._reported = [report for report in self._reported if report[1] > newest]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _ask(self) -> None:
        """Take in all reports of signals that were sent before. Without an answer, none are added."""
        self._asked += 1
        question, deadline = self._asked, time.monotonic() + ANSWER_TIMEOUT_S
        with suppress(BrokenPipeError):
            os.write(self._questions, b"?")
            while self._answered < question and self._read(deadline - time.monotonic()):
                pass

    def _read(self, timeout: float) -> bool:
        """Take in what was reported; tell whether there was something."""
        if not select.select([self._answers], [], [], max(0.0, timeout))[0]:
            return False
        try:
            found = os.read(self._answers, 4096)
        except BlockingIOError:  # another signal's handler has read it
            return True
        now = time.monotonic()
        self._answered += found.count(ANSWER)
        self._reported += [(number, now) for number in found if number != ANSWER]
        return bool(found)
