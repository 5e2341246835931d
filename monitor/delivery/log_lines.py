"""Lines in the log show what a user or a file named as text, also on a terminal, whatever handler writes them."""

from __future__ import annotations

import logging

from monitor.render.text.escaping import escape_control_chars


class _ShowNamesAsText(logging.Filter):
    """Replaces control characters, which a terminal would take for commands, in all lines of one logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass."""
        try:
            message = record.getMessage()
        except Exception:  # the handler reports it
            return True
        plain = escape_control_chars(message)
        if plain != message:
            record.msg, record.args = plain, ()
        return True


_filter = _ShowNamesAsText()


def safe_log() -> logging.Logger:
    """Return the logger `monitor`, whose lines are safe to show."""
    log = logging.getLogger("monitor")
    log.addFilter(_filter)  # once, however often it is called
    return log
