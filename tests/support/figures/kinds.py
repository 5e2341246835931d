"""The kinds of figures by name; the modules beside this one add them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, Callable[[Figure], Any]] = {}
rng = np.random.default_rng(0)
GRAY = rng.random((7, 9))


def kind(build: Callable[[Figure], Any]) -> Callable[[Figure], Any]:
    """Add a function that fills a figure."""
    KINDS[build.__name__[1:]] = build
    return build


def make(name: str) -> Figure:
    """Return a small figure."""
    figure = Figure(figsize=(3, 2), dpi=60)
    KINDS[name](figure)
    return figure
