"""What is left of the values after a fault, beside other loggers: each fault is done for real to a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.fault_writers import STEPS
from tests.benchmarks.peers import FOLDER_VARIABLE, points, trackio_version, writers
from tests.benchmarks.soak.__main__ import can_mount
from tests.benchmarks.soak.ways import fill, mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Act = Callable[[Path], None]

TIMEOUT_S = 20.0
HEAD = f"""## Faults

Written by `make bench`, section *faults*: values found afterwards, of {STEPS:,} logged, one tag, one value
per step. Every logger has its defaults. During a full disk or a moved directory, each is asked to `flush` five
times a second, if it has that call, so that the fault reaches it. *raises*: what log calls, `flush` or `close`
raised. *hangs*: a log call or `close` had not returned {TIMEOUT_S:.0f} s after the start, and the program was killed.
"""


class Fault(NamedTuple):
    """A fault: in words, the method of the child, how many values must be found of ours, and what the parent does."""

    what: str
    method: str
    must: int
    acts: tuple[Act, ...] = ()
    kill_after: float | None = None
    small_disk: bool = False


def ballast(folder: Path) -> None:
    """Fill the disk."""
    fill(folder / "ballast")


def no_ballast(folder: Path) -> None:
    """Free the disk."""
    (folder / "ballast").unlink()


def away(folder: Path) -> None:
    """Move the run away."""
    (folder / "run").rename(folder / "aside")


def back(folder: Path) -> None:
    """Move the run back; what was made in its place goes aside."""
    with suppress(FileNotFoundError):
        (folder / "run").rename(folder / "made again")
    (folder / "aside").rename(folder / "run")


FAULTS = (
    Fault("SIGKILL 1 s after the last call", "killed", STEPS, kill_after=1.0),
    Fault("the disk is full for 2 s (a tmpfs, filled and freed)", "trouble", STEPS, (ballast, no_ballast), None, True),
    Fault("the directory is moved away for 2 s and moved back", "trouble", STEPS, (away, back)),
    Fault("`sys.exit` without `close`", "sys_exit", STEPS),
    Fault("an exception without `close`", "exception", STEPS),
    Fault("`os._exit` right after the last call", "os_exit", 0),
    Fault("one value is NaN", "nan", STEPS),
    Fault("one value is a text (999 are numbers)", "text", STEPS - 1),
    Fault("a forked child logs, too (values of the parent)", "forked", STEPS),
)


class Result(NamedTuple):
    """What became of one writer in one fault."""

    found: int
    remarks: str

    def __str__(self) -> str:
        return f"{self.found:,}{f' ({self.remarks})' if self.remarks else ''}"


def suffer(writer: str, fault: Fault) -> Result:
    """Do a fault to a writer in a child process, and count the values afterwards."""
    with place(fault) as folder:
        command = [sys.executable, "-m", "tests.benchmarks.fault_writers", writer, fault.method, str(folder)]
        environment = {**os.environ, "PYTHONPATH": os.environ.get(FOLDER_VARIABLE, ""), "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, cwd=Path(__file__).parents[2], start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()  # it has imported what it needs, and counts as hanging a while from now
        watchdog = threading.Timer(TIMEOUT_S, end, [child.pid])
        watchdog.start()
        try:
            out = accompany(child, fault, folder)
        finally:
            watchdog.cancel()
            end(child.pid)
            child.wait()
        hangs = child.returncode == -signal.SIGKILL and fault.kill_after is None
        remarks = ["hangs"] if hangs else []
        raised = " ".join(line.removeprefix("raised ") for line in out.splitlines() if line.startswith("raised "))
        if raised:
            remarks.append(raised if raised == "the child hangs" else f"raises {raised}")
        found = points(writer, folder)
        if len(found) > len(set(found)):
            remarks.append(f"{len(found) - len(set(found))} twice")
        return Result(len(set(found)), "; ".join(remarks))


def accompany(child: subprocess.Popen[str], fault: Fault, folder: Path) -> str:
    """Act where the child waits for it, and wait for its end; return what it printed last."""
    assert child.stdout is not None
    assert child.stdin is not None
    for act in fault.acts:
        if child.stdout.readline() != "ready\n":
            break
        act(folder)
        child.stdin.write("\n")
        child.stdin.flush()
    if fault.kill_after is not None:
        child.stdout.readline()
        time.sleep(fault.kill_after)
        child.kill()
    out, _ = child.communicate()
    return out


def end(pid: int) -> None:
    """End a child and what it forked: those would keep its pipes open."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@contextmanager
def place(fault: Fault) -> Iterator[Path]:
    """Return a folder, on a small disk of its own where the fault wants one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if fault.small_disk:
            mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", name)
        try:
            yield folder
        finally:
            if fault.small_disk:
                subprocess.run(["umount", "-l", name], check=True)


def section() -> tuple[str, int]:
    """Do every fault to every writer; return the section of the page, and how many bounds were missed."""
    names, mountable = writers(), can_mount()
    jobs = [(writer, fault) for fault in FAULTS for writer in names if mountable or not fault.small_disk]
    jobs.sort(key=lambda job: job[1].method not in ("trouble", "forked"))  # the slow ones first
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(jobs, pool.map(lambda job: suffer(*job), jobs)))
    titles = ("fault", "must be found of ours", "", *names)
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    missed = 0
    for fault in FAULTS:
        if ("ours", fault) not in found:
            continue
        reached = found["ours", fault].found >= fault.must
        missed += not reached
        must = f"{fault.must:,}" if fault.must else "reported"
        cells = [str(found[name, fault]) for name in names]
        verdict = "reached" if reached else "**missed**"
        lines.append(f"| {fault.what} | {must} | {verdict} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    notes = []
    if not mountable:
        notes.append("The full disk is left out: it needs root, for a file system of its own.")
    if "trackio" in names:
        notes.append(f"Measured with {trackio_version()}; the others as above.")
    else:
        notes.append(f"trackio is left out: {FOLDER_VARIABLE} names no folder where it is installed.")
    return HEAD + "\n" + "\n".join(lines) + "\n" + "".join(f"\n{note}\n" for note in notes), missed
