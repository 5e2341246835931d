"""Which of many to keep: the first, the newest, and of the others an even choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def most_redundant(numbers: Sequence[int]) -> int:
    """Return the place that leaves the smallest gap if it is left out, the first of several; never the ends.

    Left out one by one as new numbers come, those that stay are evenly spaced within a factor of two to three. There
    are at least three numbers, in ascending order.
    """
    return min(range(1, len(numbers) - 1), key=lambda place: numbers[place + 1] - numbers[place - 1])
