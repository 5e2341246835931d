"""The git revision that a run records."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from monitor.runs.processes.environment import git_revision

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_revision_and_whether_there_are_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *settings, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert git_revision() is None
    git("init", "--quiet")
    assert git_revision() is None, "no commit yet"
    (tmp_path / "code.py").write_text("a = 1")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    head = git("rev-parse", "HEAD")
    assert git_revision() == {"revision": head, "changed": False}
    (tmp_path / "other.py").touch()
    assert git_revision() == {"revision": head, "changed": False}, "untracked files do not count"
    (tmp_path / "code.py").write_text("a = 2")
    assert git_revision() == {"revision": head, "changed": True}
    git("checkout", "--quiet", "--detach")
    assert git_revision() == {"revision": head, "changed": True}
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None
