"""What a run records about where it runs: package versions, the git revision."""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import Any

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


def git_revision() -> dict[str, Any] | None:
    """Return the revision of the working directory's checkout and whether it has changes; None outside a checkout."""
    import os
    import subprocess

    command = [*QUIET_GIT, "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        status = subprocess.run(
            command,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = status.splitlines()
    revision = next((line.removeprefix(HEAD) for line in lines if line.startswith(HEAD)), "(initial)")
    if revision == "(initial)":  # there is no commit yet
        return None
    return {"revision": revision, "changed": not all(line.startswith("#") for line in lines)}
