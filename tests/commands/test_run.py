"""`monitor run`: a foreign script runs as it does without it, and leaves a run that says how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.scripts import (
    WRITER,
    only_run,
    printed,
    run_script,
    runs_of,
    start_script,
    write_script,
)

SITUATION = """
import json, os, sys
print(json.dumps([sys.argv, __name__, __file__, __spec__ and __spec__.name, sys.path, sys.flags.optimize,
                  sorted(set(os.environ) & {"A"}), "torch" in sys.modules, "monitor" in sys.modules]))
sys.exit(3)
"""


@pytest.mark.parametrize("how", [["script.py"], ["-m", "package.script"], ["-m", "script"]], ids=" ".join)
def test_the_script_is_run_as_it_is(how: list[str], tmp_path: Path) -> None:
    write_script(tmp_path, SITUATION)
    write_script(tmp_path / "package", SITUATION)
    arguments = [*how, "--sink", "its own", "-m", "--", "x"]
    plain = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "A": "b"},
        capture_output=True,
        text=True,
        check=False,
    )
    done = run_script(tmp_path, *arguments, A="b")
    assert printed(done) == printed(plain)
    assert done.returncode == plain.returncode == 3
    name = next(iter(runs_of(tmp_path / "runs")))
    assert name.startswith("package.script-" if "package.script" in how else "script-")


def test_the_traceback_is_the_scripts_own(tmp_path: Path) -> None:
    write_script(tmp_path, "def f():\n    raise ValueError('no\\nloss')\nf()\n")
    plain = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    done = run_script(tmp_path, "--name", "a", "script.py")
    assert done.stderr == plain.stderr + "Run: runs/a\n"
    assert done.returncode == plain.returncode == 1


ENDINGS = {
    "pass": (0, "finished", None),
    "raise ValueError('bad loss')": (1, "failed", "ValueError: bad loss"),
    "sys.exit(3)": (3, "failed", "exit status 3"),
    "os._exit(4)": (4, "failed", "exit status 4"),
    "raise KeyboardInterrupt": (-signal.SIGINT, "interrupted", "KeyboardInterrupt"),
    "os.kill(os.getpid(), signal.SIGKILL)": (-signal.SIGKILL, "killed", "SIGKILL"),
    "os.kill(os.getpid(), signal.SIGTERM)": (-signal.SIGTERM, "killed", "SIGTERM"),
    "sys.exit(143)": (143, "killed", "SIGTERM"),
    "os.abort()": (-signal.SIGABRT, "failed", "SIGABRT"),
}


@pytest.mark.parametrize("code", ENDINGS)
def test_the_status_is_true_however_the_script_ends(code: str, tmp_path: Path) -> None:
    """With a writer that is open, with one that is closed, and without any."""
    return_code, status, error = ENDINGS[code]
    writer = WRITER + "w = SummaryWriter()\nw.add_scalar('loss', 1.0, 5)\nw.flush()\n"
    for number, before in enumerate((writer, writer + "w.close()\n", "")):
        folder = write_script(tmp_path / str(number), f"import os, signal, sys\n{before}print('started')\n{code}\n")
        done = run_script(folder, "script.py", PYTHONUNBUFFERED="1")
        info = only_run(folder)
        assert (done.returncode, info.status, info.fields["status"], info.fields.get("error")) == (
            return_code, status, status, error,
        )  # fmt: skip
        assert info.fields["end"] is not None
        assert (info.path / "output.log").read_text().startswith("started\n")
        assert info.path.parent == folder / "runs"
        assert event_reader.series(info.path, "loss") == ([(5, 1.0)] if before else [])


def test_the_script_ends_when_monitor_run_is_killed(tmp_path: Path) -> None:
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
    process = start_script(write_script(tmp_path, code), "script.py")
    assert process.stdout is not None
    script = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=200)  # until nobody holds its output anymore
    wait_until(lambda: _is_gone(script), 60, "the end of the script")
    assert only_run(tmp_path).status == "lost"


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"  # of nobody who waits for it
    except FileNotFoundError:
        return True


def test_the_name_is_for_writers_without_a_directory(tmp_path: Path) -> None:
    code = (
        WRITER
        + """
for comment in ("", "", "_lr1"):
    w = SummaryWriter(comment=comment)
    w.add_scalar("loss", 0.5, 0)
    w.close()
"""
    )
    write_script(tmp_path, code)
    for _ in range(2):
        assert run_script(tmp_path, "--name", "a", "script.py").returncode == 0
    runs = runs_of(tmp_path / "runs")
    assert {name: info.status for name, info in runs.items()} == dict.fromkeys(
        ("a", "a-2", "a_lr1", "a-3", "a-3-2", "a-3_lr1"), "finished"
    )
    assert (tmp_path / "runs" / "a" / "output.log").exists()
    assert runs["a"].fields["command"][-1] == "script.py"


def test_a_name_with_a_comment_is_not_given_twice(tmp_path: Path) -> None:
    write_script(tmp_path, WRITER + "w = SummaryWriter(comment='_lr1')\nw.add_scalar('loss', 0.5, 0)\n")
    for _ in range(2):
        assert run_script(tmp_path, "--name", "a", "script.py").returncode == 0
    assert set(runs_of(tmp_path / "runs")) == {"a_lr1", "a_lr1-2"}
    assert event_reader.series(tmp_path / "runs" / "a_lr1", "loss") == [(0, 0.5)]


def test_a_script_that_names_a_directory_has_its_run_there(tmp_path: Path) -> None:
    code = (
        WRITER
        + """
print("before")
for name in ("one", "two"):
    w = SummaryWriter(f"-out put/{name}")
    w.add_scalar("loss", 0.5, 0)
    w.close()
raise ValueError("in the end")
"""
    )
    done = run_script(write_script(tmp_path, code), "--name", "a", "--logdir", "some/runs", "script.py")
    assert "Run: -out put/one\nLook at it with: monitor serve tensorboard --logdir '-out put'\n" in done.stderr
    runs = runs_of(tmp_path / "-out put")
    assert {name: info.status for name, info in runs.items()} == {"one": "finished", "two": "failed"}
    assert runs["two"].error == "ValueError: in the end"
    assert (tmp_path / "-out put" / "one" / "output.log").read_text().startswith("before\n")
    assert not (tmp_path / "some").exists()


def test_other_ranks_get_writers_but_no_run(tmp_path: Path) -> None:
    code = "import os, sys\nprint(os.getpid(), any(type(f).__module__ == '_monitor_hook' for f in sys.meta_path))\n"
    ranks = {"RANK": "1", "WORLD_SIZE": "2"}
    process = start_script(write_script(tmp_path, code), "script.py", environment=ranks)
    output, errors = process.communicate(timeout=200)
    assert output == f"{process.pid} True\n"
    assert errors == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_under_torchrun_there_is_one_run(tmp_path: Path) -> None:
    code = (
        "import os\nfrom tensorboardX import SummaryWriter\nif os.environ['RANK'] == '0':\n"
        "    w = SummaryWriter()\n    w.add_scalar('loss', 1.0, 0)\n    w.close()\n"
    )
    write_script(tmp_path, code)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [sys.executable, *torchrun, "monitor", "run", "--sink", "console", "--name", "a", "script.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {name: info.status for name, info in runs_of(tmp_path).items()} == {"runs/a": "finished"}
    assert event_reader.series(tmp_path / "runs" / "a", "loss") == [(0, 1.0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'SCRIPT'."),
        (["nothing.py"], "Invalid value for 'SCRIPT': 'nothing.py' does not exist."),
        (["."], "Invalid value for 'SCRIPT': '.' is a directory without __main__.py."),
        ([""], "Invalid value for 'SCRIPT': '' does not exist."),
        (["-m", "nothing.at.all"], "Invalid value for 'SCRIPT': there is no module named 'nothing.at.all'."),
        (["--sink", "nothing", "script.py"], "Invalid value for '--sink': unknown sink 'nothing'"),
        (["--alert", "nothing", "script.py"], "Invalid value for '--alert': alert 'nothing' is not a rule"),
        (["--chart", "loss", "script.py"], "Invalid value for '--chart': chart 'loss'; accepted: NAME=TAG,TAG"),
        (["--name", "a/b", "script.py"], "Invalid value for '--name': 'a/b' is not a valid name"),
        (["--logdir", "script.py/runs", "script.py"], "Invalid value for '--logdir': 'script.py/runs' cannot be"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    write_script(tmp_path, "")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "run", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert not (tmp_path / "runs").exists()
