"""Do something in a forked child."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(action: Callable[[], None], end: Callable[[], None] = lambda: os._exit(0)) -> int:
    """Fork a child that does something and ends; return how, as `subprocess` does."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            logging.getLogger("tests").exception("in the child")
            os._exit(77)
        end()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
