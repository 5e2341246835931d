"""A wait with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout: float = 60.0, what: str = "the condition") -> None:
    """Block until `condition` returns something true, polling every 10 ms.

    Args:
        condition: called without arguments.
        timeout: seconds.
        what: describes the condition in the error message.

    Raises:
        AssertionError: if the condition does not come true in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)
