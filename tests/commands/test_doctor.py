"""`monitor doctor` finds what would keep a training from running, on machines where it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.commands.checking.doctor_checks import FAILURE, OK, WARNING, Finding, examine
from tests.support.servers import FaultyServer, VisdomServer, free_port

if TYPE_CHECKING:
    from pathlib import Path


def found(tmp_path: Path, what: str, whole: bool = False, **ports: int) -> Finding:
    ports = ports or {"Visdom": free_port(), "TensorBoard": free_port()}
    findings = examine(tmp_path / "runs", tmp_path, ports)
    return next(f for f in findings if f.subject == what or (not whole and f.subject.startswith(what)))


@pytest.mark.usefixtures("assets")
def test_a_machine_that_is_well(tmp_path: Path, small_mnist: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--logdir", str(tmp_path), "--data-dir", str(small_mnist)])
    assert result.exit_code == 0, result.output
    lines = {line[9:].partition(":")[0]: line[:9].strip() for line in result.stdout.splitlines()}
    names = ("Python", "training-monitor", "packages", "torch", "GPU", f"runs in {tmp_path}", "Visdom's page", "MNIST")
    assert {name: lines[name] for name in names} == dict.fromkeys(names, OK)
    assert not (tmp_path / "runs").exists()


def test_ports_of_ours_of_others_and_free_ones(tmp_path: Path, visdom_server: VisdomServer) -> None:
    port = visdom_server.port
    there = found(tmp_path, "Visdom", True, Visdom=port)
    assert (there.level, there.message) == (OK, f"port {port} is busy: a Visdom server, which will be used")
    assert re.fullmatch(r"port \d+ is free; runs start a server there", found(tmp_path, "Visdom", True).message)
    other = FaultyServer("error")
    try:
        for name in ("Visdom", "TensorBoard"):
            taken = found(tmp_path, name, True, **{name: other.port})
            assert taken.level == WARNING
            assert taken.message == f"port {other.port} is busy: another program, so runs use the next free port"
            assert f"MONITOR_{name.upper()}_PORT" in taken.remedy
    finally:
        other.stop()


def test_a_place_that_cannot_be_written() -> None:
    result = CliRunner().invoke(main, ["doctor", "--logdir", "/proc/runs"])
    assert result.exit_code == 1
    assert "failure  runs in /proc/runs: cannot be written" in result.stdout
    assert "→ choose another with --logdir" in result.stdout


def test_missing_data_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_ASSETS_DIR", str(tmp_path / "none"))
    data = found(tmp_path, "MNIST")
    assert data.level == WARNING
    assert "scikit-learn's digits" in data.message
    assert "--mnist-mirror" in data.remedy
    page = found(tmp_path, "Visdom's page")
    assert page.level == WARNING
    assert "monitor assets fetch" in page.remedy


def test_a_torch_that_does_not_match(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "doctor", "--logdir", str(tmp_path)],
        capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "failure  torch: cannot be loaded: operator torchvision::nms does not exist → install" in done.stdout


def test_a_machine_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = found(tmp_path, "torch")
    assert (torch.level, torch.message) == (FAILURE, "is not installed")
    assert torch.remedy == "pip install 'training-monitor[runners]'"


@pytest.mark.parametrize(("package", "level"), [("orjson", WARNING), ("click", FAILURE), ("torchvision", FAILURE)])
def test_a_package_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, level: str) -> None:
    info = tmp_path / f"{package}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    old = found(tmp_path, package)
    assert (old.level, old.message[:11]) == (level, "0.1 is not ")
    assert old.remedy.startswith("pip install '")
