"""Figures of Matplotlib of many kinds, each with something that a copy could lose."""

from tests.support.figures import contents, layouts, switched_off
from tests.support.figures.kinds import KINDS, make

__all__ = ["KINDS", "contents", "layouts", "make", "switched_off"]
