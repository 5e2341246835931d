"""What frameworks report, as a logger takes it: values of any type, and names of any form."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monitor.capture import validation
from monitor.integrations.common import scalars

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.logger import Logger

log = logging.getLogger("monitor")


def log_reported(logger: Logger, values: Mapping[str, Any], step: int) -> None:
    """Log the numbers among `values` as scalars, nested ones joined by `/`, and the texts as texts; ignore the rest.

    A number or text that cannot be logged, such as an integer that does not fit in a float, is left out with a warning:
    the framework reported it, so the loop must not end because of it. Does not block, and does not wait for a GPU.

    Raises:
        TypeError, ValueError: if the step is not an integer of at most 64 bits.
        RuntimeError: if the logger is closed.
    """
    step = validation.step(step)
    numbers = scalars(values)
    try:
        if numbers:
            logger.scalars(numbers, step)
    except (TypeError, ValueError):
        for tag, value in numbers.items():
            _try_to_log(logger.scalar, tag, value, step)
    for tag, value in values.items():
        if isinstance(value, str):
            _try_to_log(logger.text, str(tag), value, step)


def _try_to_log(call: Any, tag: str, value: Any, step: int) -> None:
    try:
        call(tag, value, step)
    except (TypeError, ValueError) as error:
        log.warning("a reported value is not logged: %s", error)


def directory_name(name: str) -> str:
    """Return a name as one part of a path, which does not lead out of its folder; empty if nothing is left of it."""
    return "".join("-" if character in "/\\\0" else character for character in name).strip(". ")
