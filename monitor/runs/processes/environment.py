"""What a run records about where it runs: package versions, the git revision."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from monitor.runs.scripts.script_session import CODE_VARIABLE

RECORDED_PACKAGES = ("training-monitor", "torch", "torchvision", "tensorboardX", "visdom", "numpy")
GIT_TIMEOUT_S = 5
# No program that the user's settings name is started. Together with GIT_OPTIONAL_LOCKS=0, nothing is written either.
QUIET_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
HEAD = "# branch.oid "


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a run."""
    return dict(_versions())


@lru_cache(1)
def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def code_folders() -> list[str]:
    """Return the folders in whose checkout the code may be, the likeliest first.

    That is where `monitor run` was started, since a script may have changed its working directory; then the working
    directory, and the folder of the script, unless it is an installed program.
    """
    folders = [os.environ.get(CODE_VARIABLE, "")]
    with suppress(OSError):  # it was removed
        folders.append(os.getcwd())  # noqa: PTH109 - as text
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(script, str):
        folder = os.path.dirname(os.path.realpath(script))  # noqa: PTH120 - may not be UTF-8
        installed = [os.path.realpath(sysconfig.get_path(name)) for name in ("scripts", "stdlib")]
        is_installed = not {"site-packages", "dist-packages"}.isdisjoint(Path(folder).parts)
        if not is_installed and not any(f"{folder}{os.sep}".startswith(path + os.sep) for path in installed):
            folders.append(folder)
    return list(dict.fromkeys(folder for folder in folders if folder and os.path.isdir(folder)))  # noqa: PTH112


def git_revision() -> dict[str, Any] | None:
    """Return the revision of the code's checkout and whether it has changes; None outside a checkout."""
    for folder in code_folders():
        status = _git_status(folder)
        if status is not None:
            break
    else:
        return None
    lines = status.splitlines()
    revision = next((line.removeprefix(HEAD) for line in lines if line.startswith(HEAD)), "(initial)")
    if revision == "(initial)":  # there is no commit yet
        return None
    return {"revision": revision, "changed": not all(line.startswith("#") for line in lines)}


def _git_status(folder: str) -> str | None:
    """Return what `git status` prints in a folder; None if it fails."""
    import subprocess

    command = [*QUIET_GIT, "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
