"""The envs that Visdom's server keeps on disk: read at its start, written when a page asks for it.

Visdom itself fails on every page once its folder is gone, and needs a folder before there is anything to save.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.machine.files import atomic_write, open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger("monitor")

Env = dict[str, Any]
LAYOUTS_FILE = "view/layouts.json"  # as in visdom
MAIN_ENV = "main"


def empty_env() -> Env:
    """Return an env without windows."""
    return {"jsons": {}, "reload": {}}


def fits_page(name: str) -> bool:
    """Tell whether the page, which puts the names of envs into its script, can take one."""
    return name.isprintable() and "\\" not in name


def read_env(path: Path) -> Env:
    """Read the file of an env. Raises `OSError`, or `ValueError` if it holds none."""
    with open_regular(path) as file:
        content = json.loads(file.read())
    if not isinstance(content, dict) or not isinstance(content.get("jsons"), dict):
        raise ValueError("it holds no windows")
    windows = content["jsons"]
    if not all(isinstance(window, dict) and "content" in window for window in windows.values()):
        raise ValueError("it holds something else than windows")
    arrangement = content.get("reload")
    return {"jsons": windows, "reload": arrangement if isinstance(arrangement, dict) else {}}


class EnvStore:
    """The folder of the envs. It is made when something is saved; what cannot be read or saved costs a warning.

    Attributes:
        folder: where the envs are, each in a file of its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> dict[str, Env]:
        """Read all envs."""
        return {path.stem: env for path in self._files() if (env := self._read(path)) is not None}

    def newest(self) -> str | None:
        """Return the name of the env that was saved last, besides the one that every server has."""
        times = {}
        for path in self._files():
            with suppress(OSError):
                times[path.stem] = path.stat().st_mtime
        times.pop(MAIN_ENV, None)
        return max(times, key=lambda name: times[name], default=None)

    def arrangement(self, name: str) -> dict[str, Any]:
        """Return how the windows of an env were arranged when it was saved."""
        path = self._path(name)
        env = self._read(path) if path.is_file() else None
        return {} if env is None else dict(env["reload"])

    def save(self, name: str, env: Mapping[str, Any]) -> None:
        """Write an env."""
        self._write(self._path(name), json.dumps({"jsons": env["jsons"], "reload": env["reload"]}))

    def delete(self, name: str) -> None:
        """Remove the file of an env, if there is one."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("Visdom: the env %r is not removed: %s", name, error)

    def load_layouts(self) -> str:
        """Read the views that pages have saved."""
        try:
            return (self.folder / LAYOUTS_FILE).read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def save_layouts(self, layouts: str) -> None:
        """Write the views."""
        self._write(self.folder / LAYOUTS_FILE, layouts)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '_')}.json"

    def _files(self) -> list[Path]:
        """Return the files of envs."""
        with suppress(OSError):
            return sorted(path for path in self.folder.glob("*.json") if fits_page(path.stem))
        return []

    def _read(self, path: Path) -> Env | None:
        try:
            return read_env(path)
        except (OSError, ValueError) as error:
            log.warning("Visdom: %s cannot be read: %s", path, error)
            return None

    def _write(self, path: Path, content: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)
        except OSError as error:
            log.warning("Visdom: %s cannot be written: %s", path, error)
