"""Labels in pictures: placed texts, and names of classes that fit; those that do not are numbers with a key."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from monitor.render.pictures.lettering import can_be_drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from monitor.render.pictures.lettering import Lettering


class Label(NamedTuple):
    """A text in a picture.

    Attributes:
        text: what it says.
        ink: H×W shares of ink, 0 to 255.
        left: of the text, in pixels.
        top: of the line, in pixels.
        color: the name of a color of the picture.
    """

    text: str
    ink: NDArray[np.uint8]
    left: int
    top: int
    color: str


class ClassNames:
    """The names of classes in a picture.

    A name is a number such as `#12` if it is too wide, if no font has its characters, if it is empty, or if another
    class has it too. The `key` says what these numbers mean.

    Attributes:
        key: the entries of the key, such as `#12 a very long name`.
    """

    def __init__(self, label: Callable[[int], str], classes: Iterable[int], lettering: Lettering, max_px: int) -> None:
        full = {number: one_line(label(number)) for number in sorted(set(classes))}
        uses = Counter(full.values())
        self._names: dict[int, str] = {}
        self.key: list[str] = []
        for number, name in full.items():
            fits = uses[name] == 1 and can_be_drawn(name) and 0 < lettering.width(name) <= max_px
            self._names[number] = name if fits and name else f"#{number}"
            if name and not fits:
                self.key.append(f"#{number} {name}")

    def __getitem__(self, number: int) -> str:
        """Return the name of a class."""
        return self._names[number]


def column(lines: Iterable[str], left: int, top: int, lettering: Lettering, color: str) -> list[Label]:
    """Place lines below each other."""
    height = lettering.line_px
    return [Label(line, lettering.ink(line), left, top + place * height, color) for place, line in enumerate(lines)]


def paint(sheet: NDArray[np.uint8], label: Label, pixels: NDArray[np.uint8]) -> None:
    """Draw a label on a plain background into a sheet, H×W or H×W×C; `pixels` has a pixel for each share of ink."""
    height, width = label.ink.shape
    sheet[label.top : label.top + height, label.left : label.left + width] = pixels[label.ink]
