"""Lines of text with colors, for a terminal or as they are: rich's tables take a millisecond a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.render.text.escaping import escape_control_chars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType

Piece = tuple[str, str]  # a text, and rich's name of its style, which may be empty


class Lines:
    """Lines of pieces; rich can show it."""

    def __init__(self) -> None:
        """Begin with no lines."""
        self._lines: list[tuple[Piece, ...]] = []

    def add(self, *pieces: Piece) -> None:
        """Add a line."""
        self._lines.append(pieces)

    def __str__(self) -> str:
        """Return the lines without colors and without a line end."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield what rich shows."""
        from rich.segment import Segment

        for line in self._lines:
            for text, style in line:
                yield Segment(text, console.get_style(style) if style else None)  # type: ignore[misc]
            yield Segment.line()  # type: ignore[misc]


def one_line(text: str) -> str:
    """Return a text as it is shown in a line: control characters are spelled out."""
    return text if text.isprintable() else escape_control_chars(" ".join(text.splitlines()).replace("\t", " "))


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """Cut a text in the middle: runs differ in their beginnings and their ends."""
    if width_of(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def shortened_end(text: str, width: int) -> str:
    """Cut a text at its end."""
    if width_of(text) <= width:
        return text
    while width_of(text) >= width:
        text = text[: -max(1, (width_of(text) - width) // 2)]
    return text + "…"
