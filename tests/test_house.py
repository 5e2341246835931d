"""The house is in order: linters, types, imports that point down, names that are public."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import monitor

ROOT = Path(__file__).parents[1]
# From the top down; a package imports from its own floor and those below.
FLOORS = (
    {"monitor.cli", "monitor.__main__"},
    {"monitor.commands"},
    {"runners"},
    {"monitor"},
)


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=lambda words: " ".join(words),
)
def test_the_linters_find_nothing(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


def modules() -> list[tuple[str, Path]]:
    files = [path for package in ("monitor", "runners") for path in (ROOT / package).rglob("*.py")]
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path) for path in files]


def floor(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    raise AssertionError(f"{module} is on no floor")


def test_imports_point_down() -> None:
    wrong = []
    for module, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            named = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            wrong += [
                f"{module} imports {name}"
                for name in named
                if name.split(".")[0] in ("monitor", "runners") and floor(name) < floor(module)
            ]
    assert wrong == []


def test_files_stay_small() -> None:
    assert [(name, count) for name, path in modules() if (count := len(path.read_text().splitlines())) > 300] == []


def test_the_public_names() -> None:
    assert sorted(monitor.__all__) == [
        "Logger", "MonitorError", "Run", "Sink", "SinkError", "SpecError", "__version__",
    ]  # fmt: skip
    assert all(hasattr(monitor, name) for name in monitor.__all__)
    assert f"version = {monitor.__version__}\n" in (ROOT / "setup.cfg").read_text()


def test_importing_the_package_is_light() -> None:
    heavy = ("torch", "numpy", "visdom", "tensorboardX", "tensorboard", "matplotlib", "rich", "click", "requests")
    script = f"import sys, monitor; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
