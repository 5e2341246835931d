"""A terminal for commands that behave differently on one."""

from __future__ import annotations

import os
import pty
import re
import threading

from monitor.testing import wait_until


class Terminal:
    """A pseudoterminal whose output is read all the time, so that nobody blocks on it."""

    def __init__(self) -> None:
        self._master, self.end = pty.openpty()
        self.said = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.said += os.read(self._master, 65536)
            except OSError:  # the last process has closed its end
                return

    def close(self) -> str:
        """Close this process's end; return what was said, when all others have closed theirs."""
        os.close(self.end)
        self._reader.join(10)
        os.close(self._master)
        return self.said.decode(errors="replace").replace("\r", "")

    def wait_for(self, pattern: str) -> str:
        """Wait until something is said; return its first group."""
        found: list[str] = []

        def is_there() -> bool:
            match = re.search(pattern, self.said.decode(errors="replace"))
            found[:] = [match[1]] if match else []
            return bool(match)

        wait_until(is_there, 100, pattern)
        return found[0]
