"""Look up what a soak's runs left: every value once and in order, whole windows, the true status, nothing else."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.runs.listing import load
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.leftovers import child_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.servers import VisdomServer

OTHERS_EVERY = 250  # steps between two pictures, histograms and texts
VISDOM_S = 30.0


@dataclass
class Findings:
    """What was looked up in one run.

    Attributes:
        logged: the scalars that had to be found.
        lost: those that were not, or not in their place.
        last_second: scalars lost from the last second before a SIGKILL, which is within the promise.
        problems: what is wrong, in words.
    """

    logged: int = 0
    lost: int = 0
    last_second: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Add what was found elsewhere."""
        self.logged += other.logged
        self.lost += other.lost
        self.last_second += other.last_second
        self.problems += other.problems


def expected(tag: str, step: int, lives: Sequence[tuple[int, int]]) -> float:
    """Return what was logged; `lives` are the first step and the number of each process of the run."""
    if tag == "life":
        return float([life for first, life in lives if first <= step][-1])
    return {"train/loss": float(step), "test/loss": -float(step), "single": float(step % 1000)}[tag]


def check_scalars(path: Path, lives: Sequence[tuple[int, int]], must: dict[str, int], *, exact: bool) -> Findings:
    """Check the scalars of a run: `must` steps of each tag, and at most one more where `exact`."""
    findings, run = Findings(), event_reader.read(path)
    tags = run.Tags()["scalars"]
    for tag in ("train/loss", "test/loss", "life", "single"):
        points = [(event.step, event.value) for event in run.Scalars(tag)] if tag in tags else []
        steps, count = [step for step, _ in points], must["single" if tag == "single" else "four"]
        missing = sorted(set(range(count)) - set(steps))
        findings.logged += count
        findings.lost += len(missing)
        if missing:
            what = f"{len(missing):,} of {count:,} missing, steps {missing[0]} to {missing[-1]}"
            findings.problems.append(f"{path.name}: {tag}: {what}")
        if len(set(steps)) < len(steps):
            findings.problems.append(f"{path.name}: {tag}: {len(steps) - len(set(steps)):,} points twice")
        elif steps != sorted(steps):
            findings.problems.append(f"{path.name}: {tag}: out of order")
        if exact and steps and steps[-1] > count:
            findings.problems.append(f"{path.name}: {tag}: ends at step {steps[-1]}, {count} were logged")
        wrong = [(step, value) for step, value in points if value != expected(tag, step, lives)]
        if wrong:
            findings.problems.append(f"{path.name}: {tag}: {len(wrong)} wrong values, the first {wrong[0]}")
    return findings


def check_others(path: Path, steps: int, *, is_resumed: bool) -> list[str]:
    """Check pictures, texts and histograms of a run that was closed. `close` may skip histograms, not the last one."""
    run = event_reader.read(path)
    wanted = list(range(0, steps, OTHERS_EVERY))

    def steps_of(kind: str, tag: str, read: Callable[[str], Any]) -> list[int]:
        return [event.step for event in read(tag)] if tag in run.Tags()[kind] else []

    found = {
        "pictures": steps_of("images", "pictures", run.Images),
        "notes": steps_of("tensors", "notes/text_summary", run.Tensors),
    }
    if is_resumed:  # at a restart, TensorBoard drops what a new process logs again, but not texts
        found["notes"] = sorted(set(found["notes"]) & set(wanted))
    problems = [
        f"{path.name}: {tag}: missing {sorted(set(wanted) - set(have))}, too many {sorted(set(have) - set(wanted))}"
        for tag, have in found.items()
        if have != wanted
    ]
    histograms = steps_of("histograms", "weights", run.Histograms)
    if histograms != sorted(set(histograms) & set(wanted)) or histograms[-1:] != wanted[-1:]:
        problems.append(f"{path.name}: histograms: {histograms} of {wanted}")
    return problems


def check_windows(server: VisdomServer, env: str, steps: int) -> list[str]:
    """Wait until the windows show the curves' end; check every point that they show."""
    problems: list[str] = []

    def whole() -> bool:
        problems.clear()
        try:
            windows = server.windows(env)
        except OSError as error:
            problems.append(f"Visdom does not answer: {error}")
            return False
        traces = {f"{title}: {t['name']}": t for title, w in windows.items() for t in _traces(w)}
        for title, sign in (("loss: train", 1.0), ("loss: test", -1.0)):
            shown = [trace for name, trace in traces.items() if name.startswith(title)]
            x, y = (shown[0]["x"], shown[0]["y"]) if shown else ([], [])
            if not x or (x[0], x[-1]) != (0, steps - 1):
                problems.append(f"Visdom, {env}: {title} goes from {x[:1]} to {x[-1:]}, not 0 to {steps - 1}")
            elif x != sorted(set(x)) or y != [sign * step for step in x]:
                problems.append(f"Visdom, {env}: {title} has wrong points")
        return not problems

    try:
        wait_until(whole, VISDOM_S)
    except AssertionError:
        return problems
    return []


def _traces(window: dict[str, Any]) -> list[dict[str, Any]]:
    content = window["content"]
    data = content.get("data") if isinstance(content, dict) else None
    return [trace for trace in data or [] if isinstance(trace, dict) and "x" in trace and "name" in trace]


def check_status(path: Path, wanted: str) -> list[str]:
    """Check the status of a run."""
    info = load(path)
    return (
        [] if info.status_text == wanted else [f"{path.name}: status {info.status_text}, not {wanted} ({info.error})"]
    )


# What a run directory contains; a resumed run may have recorded its packages and changes again.
BELONGS = re.compile(
    r"run\.json|events\.out\.tfevents\..+|curves\.index|packages(-\d+)?\.txt|diff(-\d+)?\.patch|untracked(-\d+)?\.txt"
)


def check_files(path: Path) -> list[str]:
    """Check that a run directory contains what belongs there."""
    names = [file.name for file in path.iterdir()]
    return [f"{path.name}: left behind: {name}" for name in names if not BELONGS.fullmatch(name)]


class Leftovers:
    """Child processes, threads, mounts and descriptors, at two moments."""

    def __init__(self, folder: Path) -> None:
        """Note those of now; `folder` is where mounts are looked for."""
        self._folder = folder
        self._before = self._now()

    def found(self) -> list[str]:
        """Return what is there now and was not before; waits a moment for its end."""
        try:
            wait_until(lambda: self._now() <= self._before, 10)
        except AssertionError:
            return [f"left behind: {what}" for what in sorted(self._now() - self._before)]
        return []

    def _now(self) -> set[str]:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return (
            {f"process {child}" for child in child_processes()}
            | {f"thread {t.name} {t.ident}" for t in threading.enumerate() if t.name != "network"}
            | {f"mount {mount}" for mount in mounts if mount.startswith(str(self._folder))}
        )
