"""Tables of text that fit into a terminal without a word or a number that is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.commands.base import as_text
from monitor.commands.listing.text_lines import width_of
from monitor.render.text.escaping import escape_control_chars
from monitor.render.text.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

GAP = 2  # columns of the terminal between two of the table
LEAST_NAME = 16  # columns of the terminal for a name, before other columns are left out
MIN_NAME = 8  # where there is nothing more to leave out


@dataclass
class TextColumn:
    """A column of a table.

    Attributes:
        heading: its heading.
        cells: its texts, one per row.
        is_name: whether its texts may be shortened, as long as those which differ still do.
        are_words: whether they are instead broken between words.
        is_number: whether they are aligned at the right.
        splits: whether its texts may go into lines of their own, above their rows.
        rank: columns with a rank may be left out, the lowest first.
    """

    heading: str
    cells: list[str]
    is_name: bool = False
    are_words: bool = False
    is_number: bool = False
    splits: bool = False
    rank: int = 0

    def __post_init__(self) -> None:
        """Make the cells printable."""
        self.heading, self.cells = escape_control_chars(self.heading), [*map(escape_control_chars, self.cells)]

    @property
    def width(self) -> int:
        """How many columns of the terminal it takes."""
        return max(map(width_of, [self.heading, *self.cells]))


def fits(columns: Sequence[TextColumn], width: int, name_width: int = LEAST_NAME) -> bool:
    """Tell whether columns fit into `width` if names are shortened to `name_width`."""
    widths = [min(column.width, name_width) if column.is_name else column.width for column in columns]
    return sum(widths) + GAP * (len(widths) - 1) <= width


def fitted_table(columns: Sequence[TextColumn], width: int, sections: int = 0) -> Table:
    """Return a table of columns: of all of them, as far as they fit into `width`; a gap follows `sections` rows."""
    from rich.table import Table

    columns = list(columns)
    whole = max(column.width for column in columns if column.is_name)
    above = [column for column in columns if column.splits and not fits(columns, width, whole)]
    columns = [column for column in columns if column not in above]
    for rank in (1, 2):
        if not fits(columns, width):
            columns = [column for column in columns if column.rank != rank]
    room = width - sum(column.width + GAP for column in columns if not column.is_name)
    table = Table(box=None, pad_edge=False)
    shown = []
    for column in columns:
        cells = column.cells
        if column.is_name and not column.are_words:
            cells = distinct_names(cells, max(MIN_NAME, room))
        limit = max(MIN_NAME, room) if column.is_name else None
        table.add_column(
            as_text(column.heading),
            justify="right" if column.is_number else "left",
            overflow="fold" if column.are_words else "ellipsis",
            no_wrap=not column.are_words,
            max_width=limit,
        )
        shown.append(cells)
    for number, row in enumerate(zip(*shown)):
        for column in above:
            if column.cells[number]:
                table.add_row(as_text(column.cells[number], "bold"))
        table.add_row(*map(as_text, row), end_section=bool(sections) and (number + 1) % sections == 0)
    return table
