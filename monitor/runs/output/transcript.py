"""Turn what a program writes to a terminal into lines of text: the last state of a progress bar, without colors."""

from __future__ import annotations

import codecs
import re
from collections import deque

PENDING_LINES = 100  # the newest lines, which the program may still change by moving the cursor up
MAX_LINE_CHARS = 10_000
MAX_ESCAPE_CHARS = 4096

# An escape sequence: CSI with its parameters and final character, OSC up to its end, or two characters.
_CONTROL = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]P^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\-~]|[\x00-\x08\x0a-\x1f\x7f]"
)
_MOVING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # any control character but the tab and the line feed
_UNFINISHED_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]P^_][^\x07\x1b]*\x1b?|[ -/]*)\Z")


class _Line:
    """One line of the transcript, and the number of the stream that writes it."""

    __slots__ = ("stream", "text")

    def __init__(self, stream: int) -> None:
        self.stream, self.text = stream, ""


class _Stream:
    """Where one stream's cursor is: a row among the pending lines of this stream, and a column."""

    def __init__(self) -> None:
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.rest = ""  # an escape sequence whose end has not come yet
        self.lines: deque[_Line] = deque()
        self.row = self.column = 0


class Transcript:
    """The lines that one or several streams wrote, in the order in which the lines began.

    Carriage returns, backspaces, cursor movements by rows, and erasures do what they do on a terminal. All other
    control sequences, such as colors, are left out. The newest 100 lines are pending, older ones are final.
    """

    def __init__(self, streams: int = 1) -> None:
        self._streams = [_Stream() for _ in range(streams)]
        self._lines: deque[_Line] = deque()
        self._final: list[str] = []

    def feed(self, stream: int, data: bytes) -> None:
        """Take in what a stream wrote; UTF-8 that cannot be decoded is replaced."""
        at = self._streams[stream]
        text = at.rest + at.decode(data)
        at.rest = ""
        unfinished = _UNFINISHED_ESCAPE.search(text, max(0, len(text) - MAX_ESCAPE_CHARS))
        if unfinished:
            text, at.rest = text[: unfinished.start()], unfinished.group()
        text = text.replace("\r\n", "\n")
        if _MOVING.search(text) is None and "\n" in text:
            self._write_lines(stream, text)
        else:
            self._interpret(stream, text)
        if len(self._lines) > 2 * PENDING_LINES:
            self._finish(len(self._lines) - PENDING_LINES)

    def take_final(self) -> str:
        """Return the lines that became final since the last call."""
        taken, self._final = "".join(self._final), []
        return taken

    def pending(self) -> str:
        """Return the lines that may still change."""
        return "".join(_shown(line) for line in self._lines)

    def end(self) -> None:
        """Make all lines final."""
        self._finish(len(self._lines))

    def _finish(self, count: int) -> None:
        for _ in range(count):
            line = self._lines.popleft()
            stream = self._streams[line.stream]
            stream.lines.popleft()
            stream.row -= 1
            if stream.row < 0:  # the line that the cursor was on; what follows starts a new one
                stream.row = stream.column = 0
            self._final.append(_shown(line))

    def _interpret(self, number: int, text: str) -> None:
        """Write text with control characters."""
        position = 0
        for control in _CONTROL.finditer(text):
            if control.start() > position:
                self._write(number, text[position : control.start()])
            position = control.end()
            self._control(number, control)
        if position < len(text):
            self._write(number, text[position:])

    def _write_lines(self, number: int, text: str) -> None:
        """Write text whose only control characters are line feeds; much faster than `_interpret`."""
        stream = self._streams[number]
        lines = text.split("\n")
        if len(lines) > 2 * PENDING_LINES:
            self._write(number, lines[0])
            self._finish(len(self._lines))
            self._final.append("\n".join(lines[1:-PENDING_LINES]) + "\n")
            stream.row = stream.column = 0
            lines = lines[-PENDING_LINES:]
        for line in lines[:-1]:
            self._write(number, line)
            stream.row, stream.column = stream.row + 1, 0
        if lines[-1]:
            self._write(number, lines[-1])

    def _line(self, number: int) -> _Line:
        """Return the line that the cursor of a stream is on; a new one if there is none yet."""
        stream = self._streams[number]
        while stream.row >= len(stream.lines):
            line = _Line(number)
            stream.lines.append(line)
            self._lines.append(line)
        return stream.lines[stream.row]

    def _write(self, number: int, text: str) -> None:
        stream, line = self._streams[number], self._line(number)
        column = stream.column
        if column == len(line.text):
            line.text += text
        else:
            line.text = line.text[:column].ljust(column) + text + line.text[column + len(text) :]
        stream.column += len(text)
        while len(line.text) > MAX_LINE_CHARS:
            rest, line.text = line.text[MAX_LINE_CHARS:], line.text[:MAX_LINE_CHARS]
            stream.row = len(stream.lines)
            line = self._line(number)
            line.text, stream.column = rest, len(rest)

    def _control(self, number: int, control: re.Match[str]) -> None:
        stream, sequence = self._streams[number], control.group()
        if sequence == "\n":
            self._line(number)
            stream.row, stream.column = stream.row + 1, 0
        elif sequence == "\r":
            stream.column = 0
        elif sequence == "\b":
            stream.column = max(0, stream.column - 1)
        elif control.group(2):
            parameters = control.group(1)
            self._move_or_erase(number, control.group(2), int(parameters[:9]) if parameters.isdecimal() else None)

    def _move_or_erase(self, number: int, action: str, count: int | None) -> None:
        stream = self._streams[number]
        if action in "AF":
            stream.row = max(0, stream.row - (count or 1))
        elif action in "BE":
            stream.row = min(max(stream.row, len(stream.lines) - 1), stream.row + (count or 1))
        elif action == "C":
            stream.column = min(MAX_LINE_CHARS, stream.column + (count or 1))
        elif action == "D":
            stream.column = max(0, stream.column - (count or 1))
        elif action == "G":
            stream.column = min(MAX_LINE_CHARS, (count or 1) - 1)
        elif action in "KJ" and stream.row < len(stream.lines):
            self._erase(stream, action, count or 0)
        if action in "EF":
            stream.column = 0

    def _erase(self, stream: _Stream, action: str, mode: int) -> None:
        """Erase in the line (`K`), or from the cursor to the end of what is pending (`J`)."""
        line = stream.lines[stream.row]
        if mode == 0:
            line.text = line.text[: stream.column]
            for below in list(stream.lines)[stream.row + 1 :] if action == "J" else ():
                below.text = ""
        elif action == "K":
            line.text = " " * stream.column + line.text[stream.column :] if mode == 1 else ""


def _shown(line: _Line) -> str:
    return line.text.rstrip() + "\n"
