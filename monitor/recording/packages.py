"""List the installed packages with their versions, in the form of a `requirements.txt`."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from monitor.recording.run_files import add_file

if TYPE_CHECKING:
    from importlib.metadata import Distribution
    from pathlib import Path

PACKAGES_FILE = "packages.txt"
_NAME, _VERSION = (re.compile(rf"^{field}:[ \t]*(\S+)", re.M | re.I) for field in ("Name", "Version"))
_known: dict[tuple[tuple[str, int], ...], str] = {}  # by the state of the path


def known_packages() -> str | None:
    """Return the list that was made for the path as it is now; None if there is none."""
    return _known.get(_state_of_the_path())


def remember_packages(text: str) -> None:
    """Keep the list for the path as it is now."""
    _known.clear()
    _known[_state_of_the_path()] = text


def write_packages(directory: Path, text: str) -> dict[str, Any]:
    """Write the list into `directory`; return what `run.json` says about it. Raises `OSError`."""
    return {"packages": {"file": add_file(directory, PACKAGES_FILE, text.encode())}}


def _state_of_the_path() -> tuple[tuple[str, int], ...]:
    """Return the folders on the path, and when something was last installed there."""
    folders = [folder or "." for folder in sys.path]
    return tuple((folder, os.stat(folder).st_mtime_ns) for folder in folders if os.path.isdir(folder))  # noqa: PTH112, PTH116


def package_list() -> str:
    """Return one line per installed package, sorted by name, with a comment on those that no index has.

    Reads the beginnings of their metadata; to parse all of it, with long descriptions, takes ten times as long.
    """
    lines: dict[str, str] = {}
    for found in distributions():
        try:
            head = (found.read_text("METADATA") or found.read_text("PKG-INFO") or "").partition("\n\n")[0]
            name, version = _NAME.search(head), _VERSION.search(head)
            if name and version and name[1].lower() not in lines:  # the first one on the path is the one imported
                lines[name[1].lower()] = f"{name[1]}=={version[1]}{_origin(found)}"
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
