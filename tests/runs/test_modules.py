"""Whether there is a module to run: what `python -m` finds, without an import."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

import pytest

from monitor.runs.scripts.modules import has_module

if TYPE_CHECKING:
    from pathlib import Path

SIDE_EFFECT = "raise SystemExit('imported')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("single.py", "package/__init__.py", "package/inner/__init__.py", "package/inner/train.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(SIDE_EFFECT)
    (tmp_path / "spaces" / "deep").mkdir(parents=True)
    (tmp_path / "spaces" / "deep" / "train.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("single", True),
        ("package.inner.train", True),
        ("spaces.deep.train", True),
        ("json.tool", True),
        ("package.missing", False),
        ("package.inner.missing", False),
        ("single.missing", False),
        ("missing", False),
        ("missing.inner", False),
        ("sys.missing", False),
        ("package..inner", False),
        ("", False),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_there(name: str, is_there: bool) -> None:
    assert has_module(name) == is_there
    assert name.partition(".")[0] in {"json", "sys"} or name.partition(".")[0] not in sys.modules
    if not is_there:
        done = subprocess.run([sys.executable, "-m", name], capture_output=True, text=True, check=False)
        assert done.returncode != 0


def test_a_package_that_is_found_by_a_finder_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "package").rename(folder / "elsewhere")

    class Finder:
        """As a project that is installed for editing has one."""

        @staticmethod
        def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
            if name != "package":
                return None
            spec = PathFinder.find_spec("elsewhere", [str(folder)])
            assert spec is not None
            found = ModuleSpec(name, spec.loader, origin=spec.origin)
            found.submodule_search_locations = list(spec.submodule_search_locations or ())
            return found

    assert not has_module("package")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert has_module("package.inner.train")
    assert not has_module("package.inner.missing")


def test_a_package_may_decide_where_its_modules_are(folder: Path) -> None:
    (folder / "package" / "__init__.py").write_text("__path__.append('elsewhere')\n")
    assert has_module("package.missing")
