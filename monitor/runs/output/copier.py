"""The process that passes a program's output on to its terminal, and keeps it in the run's `output.log`.

It is a process of its own because the program may crash or be killed: what was written until then must still reach the
terminal and the file. It ends when nobody holds the other ends of its pipes anymore, so that a process which the
program leaves in the background can go on writing. It uses the standard library alone.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from monitor.runs.output.file import OutputFile
from monitor.runs.output.transcript import Transcript

WRITE_INTERVAL_S = 0.5  # between two writes to the file
TERMINAL_DELAY_MS = 20  # until what was written to a pseudo-terminal can be read
SYNC_TIMEOUT_S = 1.0
READ_BYTES = 2**16
SYNC, MOVE = b"sync", b"move "  # commands; each ends with a null byte, and is answered when it is done
DONE = b"\n"


class Source:
    """The reading end of a pipe or a pseudo-terminal, and the descriptor where its output goes."""

    def __init__(self, number: int, descriptor: int, target: int) -> None:
        self.number, self.descriptor = number, descriptor
        self._target: int | None = target
        os.set_blocking(descriptor, False)

    def read(self) -> bytes | None:
        """Return what can be read now: nothing at the end, None if there is nothing yet."""
        try:
            return os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:  # a pseudo-terminal whose other end is closed
            return b""

    def pass_on(self, data: bytes) -> bool:
        """Write to the target; return False if it is a pipe that nobody reads, which the program should notice.

        Blocks while the target takes nothing, as the program would if it wrote there itself. A terminal that is gone
        is ignored.
        """
        while data and self._target is not None:
            try:
                data = data[os.write(self._target, data) :]
            except BlockingIOError:
                select.select([], [self._target], [])
            except OSError as error:
                self._target = None
                return error.errno != errno.EPIPE
        return True


class Copier:
    """Copies the sources until all of them have ended."""

    def __init__(self, sources: list[Source], control: int, path: Path) -> None:
        self._sources = {source.descriptor: source for source in sources}
        self._control, self._received = control, b""
        self._transcript = Transcript(len(sources))
        self._path = path
        self._file: OutputFile | None = None
        self._is_changed, self._last_write = False, 0.0
        self._poll = select.poll()
        for descriptor in (control, *self._sources):
            self._poll.register(descriptor, select.POLLIN)

    def run(self) -> None:
        """Copy until the end."""
        while self._sources:
            wait = max(0.0, self._last_write + WRITE_INTERVAL_S - time.monotonic()) if self._is_changed else None
            ready = {descriptor for descriptor, _ in self._poll.poll(None if wait is None else wait * 1000)}
            self._copy(ready & self._sources.keys())
            if self._control in ready:
                self._obey()
            if self._is_changed and time.monotonic() >= self._last_write + WRITE_INTERVAL_S:
                self._save()
        self._transcript.end()
        self._save()

    def _copy(self, descriptors: set[int]) -> None:
        """Read once from each of the sources."""
        for descriptor in sorted(descriptors):
            source = self._sources[descriptor]
            data = source.read()
            if data is None:
                continue
            if data:
                self._transcript.feed(source.number, data)
                self._is_changed = True
            if not data or not source.pass_on(data):
                self._poll.unregister(descriptor)
                del self._sources[descriptor]
                os.close(descriptor)

    def _obey(self) -> None:
        """Execute the commands that have come; at their end, the program's process is gone."""
        received = os.read(self._control, READ_BYTES)
        if not received:
            self._poll.unregister(self._control)
        *commands, self._received = (self._received + received).split(b"\0")
        for command in commands:
            if command == SYNC:
                self._copy_what_is_there()
            elif command.startswith(MOVE):
                self._move(Path(os.fsdecode(command.removeprefix(MOVE))))
            self._save()
            with suppress(OSError):
                os.write(self._control, DONE)

    def _copy_what_is_there(self) -> None:
        deadline = time.monotonic() + SYNC_TIMEOUT_S  # a background process may write without end
        while time.monotonic() < deadline:
            ready = {descriptor for descriptor, _ in self._poll.poll(TERMINAL_DELAY_MS)} & self._sources.keys()
            if not ready:
                return
            self._copy(ready)

    def _move(self, path: Path) -> None:
        try:
            if self._file is not None:
                self._file.move(path)
            self._path = path
        except OSError:
            pass  # it stays where it is

    def _save(self) -> None:
        """Write to the file; what cannot be written is left out."""
        self._is_changed, self._last_write = False, time.monotonic()
        try:
            self._file = self._file or OutputFile(self._path)
            self._file.write(self._transcript.take_final(), self._transcript.pending())
        except OSError:
            self._transcript.take_final()


def main() -> None:
    """Copy; the arguments are the control socket, the file, and for each source its descriptor and its target."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # it ends when the program does
    control, path, *pairs = sys.argv[1:]
    numbers = [int(number) for number in pairs]
    sources = [Source(at, *pair) for at, pair in enumerate(zip(numbers[::2], numbers[1::2]))]
    Copier(sources, int(control), Path(path)).run()
