"""Addresses of runs in an object store, such as `s3://bucket/runs/mlp`, and the local folders that stand for them.

A run that goes to a store is an ordinary run directory in the *spool*, and the address follows from its path there. So
everything that works on a directory works on such a run. What is read from a store is in another folder, a cache.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

SPOOL_VARIABLE, CACHE_VARIABLE = "MONITOR_SPOOL", "MONITOR_REMOTE_CACHE"
# A `Path` makes one slash of two, and must not become a local folder named `s3:`.
URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)|(s3a?|gcs?|gs|az|abfss?):/(.*)", re.DOTALL)
NO_HOST = "_"  # the folder that stands for an empty host, as in file:///data/runs
MAX_URL_CHARS = 1024


def is_url(text: object) -> bool:
    """Tell whether a str or a path is the address of something in a store."""
    return isinstance(text, str | os.PathLike) and URL.match(str(text)) is not None


def spool() -> Path:
    """Return the folder of the runs that are uploaded: `MONITOR_SPOOL`, or one of the user's state directory."""
    return _root(SPOOL_VARIABLE, os.environ.get(SPOOL_VARIABLE, ""))


def spool_path(url: object) -> Path:
    """Return the local run directory, or folder of them, that is uploaded to `url`. Raises `DataError`."""
    return spool().joinpath(*_parts(str(url)))


def cache_path(url: object) -> Path:
    """Return the local folder into which `url` is downloaded to be read. Raises `DataError`."""
    return _cache().joinpath(*_parts(str(url)))


def url_of(path: str | os.PathLike[str]) -> str | None:
    """Return where a folder of the spool is uploaded to; None for any other path."""
    return _url_below(spool, path)


def cached_url(path: str | os.PathLike[str]) -> str | None:
    """Return what a folder of the cache is downloaded from; None for any other path."""
    return _url_below(_cache, path)


def display_path(path: str | os.PathLike[str]) -> str:
    """Return the address of a folder of the spool or of the cache, any other path as it is."""
    return url_of(path) or cached_url(path) or os.fspath(path)


def _cache() -> Path:
    return _root(CACHE_VARIABLE, os.environ.get(CACHE_VARIABLE, ""))


@lru_cache(8)
def _root(variable: str, given: str) -> Path:
    if given:
        return Path(given).absolute()
    import platformdirs

    if variable == SPOOL_VARIABLE:
        return platformdirs.user_state_path("training-monitor") / "spool"
    return platformdirs.user_cache_path("training-monitor") / "remote"


def _parts(url: str) -> tuple[str, ...]:
    """Return the scheme, the host or bucket, and the folders below it."""
    match = URL.fullmatch(url)
    if match is None:
        raise DataError(f"{url!r} is not an address such as s3://bucket/runs")
    scheme, rest = (match[1] or match[3]).lower(), match[2] if match[1] else match[4]
    host, _, path = rest.partition("/")
    folders = [folder for folder in path.split("/") if folder]
    if "@" in host:
        raise DataError(f"an address holds no login: leave out what is before the @ in '{scheme}://…@…'")
    if len(url) > MAX_URL_CHARS or not url.isprintable() or {".", "..", NO_HOST} & {host, *folders[:1], *folders}:
        raise DataError(f"{url[:80]!r} is not an address such as s3://bucket/runs, without '.', '..', and '_' as names")
    if "?" in rest or "#" in rest or not (host or folders):
        raise DataError(f"{url!r} is not an address such as s3://bucket/runs, without '?' and '#'")
    return (scheme, host or NO_HOST, *folders)


def _url_below(root: Callable[[], Path], path: str | os.PathLike[str]) -> str | None:
    at, folder = os.path.abspath(path), f"{root()}{os.sep}"  # noqa: PTH100 - keeps links as they are
    if not at.startswith(folder):
        return None
    scheme, _, rest = at.removeprefix(folder).partition(os.sep)
    host, _, below = rest.partition(os.sep)
    host = "" if host == NO_HOST else host
    return f"{scheme}://{host}{'/' if below else ''}{below}" if rest else None
