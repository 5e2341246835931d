"""List the installed packages with their versions, in the form of a `requirements.txt`.

Another process reads their metadata, with the lowest priority: on a thread, that would hold the interpreter for some
tenths of a second while the training starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from monitor.priority import give_lowest_priority
from monitor.recording.run_files import add_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import Distribution
    from pathlib import Path

PACKAGES_FILE = "packages.txt"
TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.1
# The path is that of the training, whatever made it so.
SCRIPT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from monitor.recording.packages import package_list
sys.stdout.buffer.write(package_list().encode())
"""
_known: dict[tuple[tuple[str, int], ...], str] = {}  # by the state of the path


def record_packages(directory: Path, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Write the list into `directory`; return what `run.json` says about it. Raises `OSError`.

    Blocks for some tenths of a second, or until `is_cancelled`; then nothing is recorded.
    """
    state = _state_of_the_path()
    if state not in _known:
        text = _list_in_another_process(is_cancelled)
        if text is None:
            return {}
        _known.clear()
        _known[state] = text
    return {"packages": {"file": add_file(directory, PACKAGES_FILE, _known[state].encode())}}


def _state_of_the_path() -> tuple[tuple[str, int], ...]:
    """Return the folders on the path, and when something was last installed there."""
    folders = [folder or "." for folder in sys.path]
    return tuple((folder, os.stat(folder).st_mtime_ns) for folder in folders if os.path.isdir(folder))  # noqa: PTH112, PTH116


def _list_in_another_process(is_cancelled: Callable[[], bool]) -> str | None:
    """Return the list, or None if it was cancelled. A program without an interpreter of its own makes it itself."""
    if not sys.executable:
        return package_list()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SCRIPT, json.dumps(sys.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the training
    )
    try:
        give_lowest_priority(process.pid)
        deadline = time.monotonic() + TIMEOUT_S
        while not is_cancelled() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(timeout=POLL_INTERVAL_S)
                return package_list() if process.returncode else output.decode()
        return None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def package_list() -> str:
    """Return one line per installed package, sorted by name, with a comment on those that no index has.

    Reads a file for each, which takes some tenths of a second for hundreds of them.
    """
    lines: dict[str, str] = {}
    for found in distributions():
        try:
            name, version = found.metadata["Name"], found.version
            if name and version and name.lower() not in lines:  # the first one on the path is the one imported
                lines[name.lower()] = f"{name}=={version}{_origin(found)}"
        except Exception:
            continue
    return "".join(f"{lines[name]}\n" for name in sorted(lines))


def _origin(found: Distribution) -> str:
    """Return a comment for a package that was not installed from an index; credentials are masked."""
    text = found.read_text("direct_url.json")
    if not text:
        return ""
    origin = json.loads(text)
    if origin.get("dir_info", {}).get("editable"):
        return "  # editable"
    url = mask_credentials(str(origin.get("url", "")))
    if url.startswith("file:"):
        return "  # from a local file"
    commit = str(origin.get("vcs_info", {}).get("commit_id", ""))
    return f"  # from {url}{'@' if commit else ''}{commit}"


def mask_credentials(url: str) -> str:
    """Return a URL with its user, its password, and its query, which may hold a token, replaced by stars."""
    parts = urlsplit(" ".join(url.split()))
    login, at, host = parts.netloc.rpartition("@")
    masked = f"***@{host}" if at and login else host
    return urlunsplit((parts.scheme, masked, parts.path, "***" if parts.query else "", ""))
