"""The recorded patch restores the tracked files of a clean checkout byte for byte; the repository is left alone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from monitor.recording import git_state
from monitor.recording.git_state import record_git
from monitor.testing import wait_until

if TYPE_CHECKING:
    from pathlib import Path

BYTES = bytes(range(256)) * 40
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
HOSTILE_SETTINGS = {
    "diff.external": "false",
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.relative": "true",
    "diff.context": "0",
    "diff.interHunkContext": "50",
    "diff.renames": "copies",
    "diff.submodule": "log",
    "diff.algorithm": "histogram",
    "diff.shout.textconv": "tr a-z A-Z <",
    "diff.shout.command": "false",
    "diff.shout.binary": "true",
    "color.ui": "always",
    "core.quotePath": "false",
    "core.pager": "false",
}


def git(folder: Path, *arguments: str, **environment: str) -> bytes:
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, env={**os.environ, **environment}
    ).stdout


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("\n".join(f"line {number}" for number in range(200)))
    (folder / "data.bin").write_bytes(BYTES)
    (folder / "crlf.txt").write_bytes(b"one\r\ntwo\r\nthree")
    (folder / "old name.txt").write_text("a text that moves\n" * 20)
    (folder / "gone.txt").write_text("gone\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "link").symlink_to("train.py")
    (folder / ".gitattributes").write_text("*.py diff=shout\n")
    (folder / "package").mkdir()
    (folder / "package" / "latin.txt").write_bytes("Gr\xfc\xdfe\n".encode("latin-1") * 3)
    with open(os.fsencode(folder) + b'/odd \xff"\n\t.txt', "wb") as file:  # noqa: PTH123 - not UTF-8
        file.write(b"odd\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def change_everything(folder: Path) -> None:
    text = (folder / "train.py").read_text()
    (folder / "train.py").write_text(text.replace("line 100\n", "line 100, changed \n\n\n").replace("line 3\n", ""))
    (folder / "data.bin").write_bytes(BYTES[::-1] + b"\0more")
    (folder / "crlf.txt").write_bytes(b"one\r\n2\nthree\r\n")
    git(folder, "mv", "old name.txt", "new name.txt")
    (folder / "gone.txt").unlink()
    (folder / "run.sh").chmod(0o755)
    (folder / "link").unlink()
    (folder / "link").symlink_to("run.sh")
    (folder / "package" / "latin.txt").write_bytes("Sch\xf6n\n".encode("latin-1"))
    (folder / "staged.bin").write_bytes(b"\0\1\2" * 100)
    (folder / "empty.txt").touch()
    git(folder, "add", "staged.bin", "empty.txt")
    (folder / "staged.bin").write_bytes(b"\0changed again after git add")
    with open(os.fsencode(folder) + b'/odd \xff"\n\t.txt', "ab") as file:  # noqa: PTH123 - not UTF-8
        file.write(b"more\n")


def tracked(folder: Path) -> dict[bytes, Any]:
    """Return the type, the permission to execute, and the content of each tracked file that is there."""
    found: dict[bytes, Any] = {}
    for name in git(folder, "ls-files", "-z").split(b"\0")[:-1]:
        path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 - not UTF-8
        if os.path.islink(path):  # noqa: PTH114
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif os.path.isfile(path):  # noqa: PTH113
            with open(path, "rb") as file:  # noqa: PTH123
                found[name] = (os.access(path, os.X_OK), file.read())
    return found


def record(folder: Path, run: Path, is_cancelled: bool = False) -> dict[str, Any]:
    run.mkdir(parents=True, exist_ok=True)
    return record_git(folder, run, lambda: is_cancelled)


def restored(repository: Path, patch: Path, tmp_path: Path) -> dict[bytes, Any]:
    """Return the tracked files of a clean checkout after `git apply`, run as a user would."""
    clean = tmp_path / "clean"
    git(tmp_path, "clone", "--quiet", str(repository), str(clean))
    git(clean, "apply", str(patch))
    git(clean, "add", "--all")
    return tracked(clean)


@pytest.mark.parametrize("settings", [{}, HOSTILE_SETTINGS], ids=["plain", "hostile"])
def test_git_apply_restores_the_tree(
    repository: Path, tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_everything(repository)
    file = tmp_path / "settings"
    file.touch()
    for name, value in settings.items():
        git(tmp_path, "config", "--file", str(file), name, value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    if settings:
        monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
        monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
        monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    recorded = record(repository / "package", tmp_path / "run")  # a subdirectory
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS"):
        monkeypatch.delenv(name, raising=False)
    assert recorded["diff"] == {"file": "diff.patch"}
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == tracked(repository)


def test_nothing_in_the_repository_changes_and_no_program_is_started(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(hook))
    git(repository, "config", "diff.external", str(hook))
    (repository / ".git" / "hooks" / "post-index-change").symlink_to(hook)
    change_everything(repository)
    marker.unlink(missing_ok=True)
    os.utime(repository / "run.sh", (1, 1))  # its entry in the index is out of date

    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in sorted((repository / ".git").rglob("*")) if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    assert record(repository, tmp_path / "run")["diff"] == {"file": "diff.patch"}
    assert state() == before
    assert not marker.exists()


def test_a_file_that_was_only_touched_is_no_change(repository: Path, tmp_path: Path) -> None:
    os.utime(repository / "train.py", (1, 1))
    assert record(repository, tmp_path / "run") == {
        "diff": {"file": None}, "untracked": {"file": None, "count": 0},
    }  # fmt: skip
    assert list((tmp_path / "run").iterdir()) == []


def test_the_names_of_untracked_files_without_the_runs(repository: Path) -> None:
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    run = repository / "runs" / "[mlp]*"
    run.mkdir(parents=True)
    for name in ("runs/other", "notes.txt", "debug.log", "package/naïve.txt"):
        (repository / name).touch()
    recorded = record(repository / "package", run)
    assert recorded["untracked"] == {"file": "untracked.txt", "count": 2}
    assert (run / "untracked.txt").read_text() == 'notes.txt\n"package/na\\303\\257ve.txt"\n'


def test_before_the_first_commit(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "a.bin").write_bytes(BYTES)
    git(folder, "add", "a.bin")
    assert record(folder, tmp_path / "run")["diff"] == {"file": "diff.patch"}
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    git(empty, "apply", str(tmp_path / "run" / "diff.patch"))
    assert (empty / "a.bin").read_bytes() == BYTES


def test_a_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    change_everything(tmp_path / "tree")
    record(tmp_path / "tree", tmp_path / "run")
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == tracked(tmp_path / "tree")


def test_submodules_are_stated_and_the_patch_still_applies(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(repository), str(other))
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "the module")
    git(repository, "commit", "--quiet", "--message", "with a submodule")
    module = repository / "the module"
    recorded_commit = git(module, "rev-parse", "HEAD").decode().strip()
    assert record(repository, tmp_path / "run")["submodules"] == {"the module": recorded_commit}
    git(module, "commit", "--quiet", "--allow-empty", "--message", "newer")
    commit = git(module, "rev-parse", "HEAD").decode().strip()
    change_everything(repository)
    assert record(repository, tmp_path / "run")["submodules"] == {"the module": f"+{commit}"}
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == tracked(repository)


def test_a_merge_with_conflicts(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "side")
    (repository / "run.sh").write_text("#!/bin/bash\n")
    git(repository, "commit", "--quiet", "--all", "--message", "side")
    git(repository, "checkout", "--quiet", "-")
    (repository / "run.sh").write_text("#!/bin/dash\n")
    git(repository, "commit", "--quiet", "--all", "--message", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "side")
    record(repository, tmp_path / "run")
    assert restored(repository, tmp_path / "run" / "diff.patch", tmp_path) == tracked(repository)


def test_a_large_patch_is_left_out_as_a_whole(repository: Path, tmp_path: Path) -> None:
    (repository / "data.bin").write_bytes(os.urandom(git_state.MAX_DIFF_BYTES))
    recorded = record(repository, tmp_path / "run")
    assert recorded["diff"] == {"file": None, "left_out": "it is larger than 8 MiB"}
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_that_ends_first_stops_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that blocks stands for a repository in which git takes long."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    git(repository, "config", "filter.slow.clean", f"cat {gate}")
    (repository / ".gitattributes").write_text("*.py filter=slow\n")
    (repository / "train.py").write_text("changed")
    monkeypatch.chdir(repository)
    recorded = record(repository, tmp_path / "run", is_cancelled=True)
    assert recorded["diff"] == {"file": None, "left_out": "the run ended first"}
    wait_until(lambda: not has_reader(gate), 60, "the end of the filter")


def has_reader(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_outside_a_checkout_and_without_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record(tmp_path, tmp_path / "run") == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert record(repository, tmp_path / "run") == {}


def test_a_second_run_in_the_same_directory_keeps_the_first_patch(repository: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (repository / "run.sh").write_text("one\n")
    assert record(repository, run)["diff"] == {"file": "diff.patch"}
    assert record(repository, run)["diff"] == {"file": "diff.patch"}
    (repository / "run.sh").write_text("two\n")
    assert record(repository, run)["diff"] == {"file": "diff-2.patch"}
    assert sorted(path.name for path in run.iterdir()) == ["diff-2.patch", "diff.patch"]
