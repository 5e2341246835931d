"""The import hook of `monitor run`: which processes and imports it reaches, and that it does no harm elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import monitor
from monitor.integrations.script import hook
from monitor.integrations.script.run_script import STARTUP_FOLDER
from monitor.runs.scripts import script_session
from tests.support.scripts import only_run, run_script, write_script

OURS = "monitor.integrations.writer.flavors"
# A package of the same layout as tensorboardX, whose import takes seconds because of torch.
FAKE = {
    "tensorboardX/__init__.py": "from .writer import SummaryWriter\n",
    "tensorboardX/writer.py": "class SummaryWriter:\n    pass\n",
}


def write_fake(folder: Path) -> None:
    for name, code in FAKE.items():
        write_script((folder / name).parent, code, Path(name).name)


def test_the_names_are_the_same_on_both_sides() -> None:
    assert hook.FOLDER_VARIABLE == script_session.FOLDER_VARIABLE
    assert hook.SUPERVISOR_VARIABLE == script_session.SUPERVISOR_VARIABLE


WORKERS = """
import multiprocessing, subprocess, sys

def work():
    import tensorboardX
    print(multiprocessing.current_process().name, tensorboardX.SummaryWriter.__module__, flush=True)

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=work, name=method)
        process.start()
        process.join()
    code = "from tensorboardX.writer import SummaryWriter as W; print('subprocess', W.__module__)"
    subprocess.run([sys.executable, "-c", code])
    work()
"""


def test_every_process_of_a_script_gets_the_writer(tmp_path: Path) -> None:
    write_fake(write_script(tmp_path, WORKERS))
    done = run_script(tmp_path)
    assert done.stderr.startswith("Run: ")
    names = ["fork", "spawn", "forkserver", "subprocess", "MainProcess"]
    assert done.stdout.splitlines() == [f"{name} {OURS}" for name in names]


@pytest.mark.slow
def test_a_writer_in_a_spawned_child_is_the_run(tmp_path: Path) -> None:
    code = """
import multiprocessing

def train():
    from tensorboardX import SummaryWriter
    with SummaryWriter() as w:
        w.add_scalar("loss", 0.5, 3)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=train)
    process.start()
    process.join()
    raise SystemExit(process.exitcode)
"""
    done = run_script(write_script(tmp_path, code))
    info = only_run(tmp_path)
    assert (done.returncode, info.status, info.metrics["loss"]["last"]) == (0, "finished", 0.5)


@pytest.mark.slow
def test_both_real_packages_have_the_writer_everywhere(tmp_path: Path) -> None:
    code = """
import tensorboardX, tensorboardX.writer, torch.utils.tensorboard, torch.utils.tensorboard.writer
from tensorboardX import GlobalSummaryWriter
modules = tensorboardX, tensorboardX.writer, torch.utils.tensorboard, torch.utils.tensorboard.writer
print({module.SummaryWriter.__module__ for module in modules})
print({type(module.__spec__.loader).__name__ for module in modules})
"""
    done = run_script(write_script(tmp_path, code))
    assert done.stdout.splitlines() == [f"{{'{OURS}'}}", "{'SourceFileLoader'}"]


def test_a_sitecustomize_that_is_there_runs_too(tmp_path: Path) -> None:
    own = write_script(tmp_path / "own", "import sys\nprint('own', __file__)\nsys.own = True\n", "sitecustomize.py")
    code = "import sys, sitecustomize\nprint(sys.own, sitecustomize.__file__, sys.path)\n"
    write_script(tmp_path, code)
    environment = {**os.environ, "PYTHONPATH": str(own)}
    plain = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    done = run_script(tmp_path, PYTHONPATH=str(own))
    lines = plain.stdout.splitlines()
    assert lines[0] == f"own {own / 'sitecustomize.py'}"
    # One line more is from `monitor run` itself, which may print it at its end.
    assert sorted(done.stdout.splitlines()) == sorted([lines[0], *lines])


def test_a_script_with_a_module_of_our_name_keeps_both(tmp_path: Path) -> None:
    code = "import tensorboardX, monitor\nprint(tensorboardX.SummaryWriter.__module__, monitor.LEVEL)\n"
    write_fake(write_script(tmp_path, code))
    write_script(tmp_path, "LEVEL = 5\n", "monitor.py")
    root = str(Path(monitor.__file__).parents[1])
    start = f"import sys; sys.path.insert(0, {root!r}); from monitor.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "run", "--sink", "console", "script.py"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "tensorboardX.writer 5\n"
    assert "the script keeps its own SummaryWriter: it has a module 'monitor' of its own" in done.stderr


def hooked(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that has the hook and none of our packages, nor any other."""
    environment = {**os.environ, "PYTHONPATH": str(STARTUP_FOLDER), hook.FOLDER_VARIABLE: str(folder)}
    return subprocess.run(
        [Path(sys.executable).resolve(), "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_an_interpreter_without_our_packages_works_as_before(tmp_path: Path) -> None:
    write_fake(tmp_path)
    code = "import tensorboardX, sys; print(tensorboardX.SummaryWriter.__module__, 'numpy' in sys.modules)"
    done = hooked(tmp_path, code)
    assert done.stdout == "tensorboardX.writer False\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("monitor run: the script keeps its own SummaryWriter: training-monitor is not installed in ")


def test_nothing_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = "import sys; print(*sys.modules)"
    plain = subprocess.run([Path(sys.executable).resolve(), "-c", code], capture_output=True, text=True, check=True)
    loaded = set(hooked(tmp_path, code).stdout.split()) - set(plain.stdout.split())
    light = ("sitecustomize", "_monitor_hook", "__future__", "_warnings", "warnings", "atexit", "importlib")
    assert [name for name in loaded if name.partition(".")[0] not in light] == []


@pytest.mark.parametrize("module", ["missing", "broken"])
def test_import_errors_are_the_packages_own(module: str, tmp_path: Path) -> None:
    if module == "broken":
        write_script(tmp_path / "tensorboardX", "from .writer import SummaryWriter\n", "__init__.py")
        write_script(tmp_path / "tensorboardX", "import no_such_module\n", "writer.py")
    code = "try:\n    import tensorboardX\nexcept ImportError as error:\n    print(error)\n"
    done = hooked(tmp_path, code)
    name = "no_such_module" if module == "broken" else "tensorboardX"
    assert (done.stdout, done.stderr) == (f"No module named {name!r}\n", "")
