"""The recorded patch restores the bytes of files whose line endings git converts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recording.test_git_state import git, no_settings_of_the_user, record, restored, tracked

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["no_settings_of_the_user"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / ".gitattributes").write_text("* text=auto\n*.bat text eol=crlf\n*.bin -text\n")
    (folder / "a.bin").write_bytes(b"one\ntwo\n")
    (folder / "run.bat").write_bytes(b"one\r\ntwo\r\n")
    for name in ("f.py", "same lines.py", "mixed.py", "plain.py", "added.py"):
        (folder / name).write_bytes(b"one\ntwo\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_crlf_where_git_stores_lf(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "f.py").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (repository / "same lines.py").write_bytes(b"one\r\ntwo\r\n")
    (repository / "mixed.py").write_bytes(b"one\r\n2\n")
    (repository / "plain.py").write_bytes(b"one\n2\n")
    (repository / "a.bin").write_bytes(b"one\r\n2\r\n")
    (repository / "run.bat").write_bytes(b"one\r\n2\r\n")
    (repository / "added.py").write_bytes(b"one\r\ntwo\r\n")
    (repository / "new.sh").write_bytes(b"new\r\n")
    (repository / "new.sh").chmod(0o755)
    git(repository, "add", "added.py", "new.sh")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))  # as a hook of git has it
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    before = {path: path.read_bytes() for path in (repository / ".git").rglob("*") if path.is_file()}
    assert record(repository, tmp_path / "run")["diff"] == {"file": "diff.patch"}
    assert {path: path.read_bytes() for path in (repository / ".git").rglob("*") if path.is_file()} == before
    monkeypatch.delenv("GIT_INDEX_FILE")
    monkeypatch.delenv("GIT_DIR")
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == tracked(repository)


def test_files_that_git_changes_when_it_applies_a_patch_are_named(repository: Path, tmp_path: Path) -> None:
    (repository / "run.bat").write_bytes(b"one\n2\n")
    (repository / "f.py").write_bytes(b"one\r\n2\r\n")
    assert record(repository, tmp_path / "run")["diff"] == {"file": "diff.patch", "converted": ["run.bat"]}
    wanted = {**tracked(repository), b"run.bat": (False, b"one\r\n2\r\n")}
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == wanted
