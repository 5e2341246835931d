"""What larger sizes would cost: multiples of what was measured for one point, one curve, and one run."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import NamedTuple

from monitor import read
from monitor.comparison.event_data import read_curves
from monitor.dashboards.tensorboard.run_view import Choice, RunView
from monitor.events.index.index_update import update_index
from monitor.events.index.run_index import INDEX_FILE
from monitor.runs.listing import scan
from tests.benchmarks import reading

RUNS = 1000  # that are listed for the cost of one
LARGE_POINTS, LARGE_TAGS = 10**9, 4  # in one run
MANY_RUNS, POINTS_PER_RUN = 10**5, 10**4
BYTES_PER_POINT = 24  # of NumPy arrays: step, value, and time
units: dict[str, float] = {}  # what others have measured in the same run

HEADING = "## Arithmetic"
HEAD = """
No run of 10⁹ points was made, and no 10⁵ runs of that size. These are the costs of one point, curve, or run, as
measured in the same run of the benchmark, times their number. Disks that are slower than the memory of the machine,
and directories that are not in its cache, come on top.

| what | measured | one run of 10⁹ points, four tags | 10⁵ runs of 10⁴ points, four tags |
| --- | --- | --- | --- |
"""


class Cost(NamedTuple):
    """A unit cost: what it is, in words, and what it comes to at both sizes."""

    what: str
    measured: str
    one: str
    many: str


def section() -> str:
    """Measure what is missing, and return the section of the page."""
    with tempfile.TemporaryDirectory() as name:
        costs = [*of_points(Path(name) / "points"), *of_runs(Path(name) / "runs")]
    lines = [f"| {cost.what} | {cost.measured} | {cost.one} | {cost.many} |" for cost in costs]
    return f"{HEADING}\n{HEAD}" + "\n".join(lines) + "\n"


def of_points(run: Path) -> list[Cost]:
    """Return what points cost."""
    run.mkdir()
    steps = reading.STEPS
    points = steps * len(reading.TAGS)
    (run / "events.out.tfevents.1").write_bytes(reading.event_bytes(steps))
    size = sum(file.stat().st_size for file in run.iterdir()) / points

    def read_all() -> None:
        (found,) = read(run)
        found.all_scalars(reading.TAGS)

    read_all()
    reading_s, making_s = reading.seconds(read_all) / points, reading.seconds(lambda: update_index(run)) / points
    index = (run / INDEX_FILE).stat().st_size / len(reading.TAGS)
    page = min(reading.seconds(lambda: read_curves(run, reading.TAGS)) for _ in range(5))
    many = MANY_RUNS * POINTS_PER_RUN
    costs = [
        Cost("event files", f"{size:.0f} bytes a point", bytes_of(size * LARGE_POINTS), bytes_of(size * many)),
        Cost(
            "reading all points", f"{reading_s * 1e9:.0f} ns a point", time_of(reading_s * LARGE_POINTS),
            time_of(reading_s * many),
        ),
        Cost(
            "all points in memory", f"{BYTES_PER_POINT} bytes a point", bytes_of(BYTES_PER_POINT * LARGE_POINTS),
            bytes_of(BYTES_PER_POINT * many),
        ),
        Cost(
            "the index", f"{index / 1e3:.1f} kB a curve; {making_s * 1e9:.0f} ns a point to make",
            f"{bytes_of(index * LARGE_TAGS)}; {time_of(making_s * LARGE_POINTS)}", "– (small files need none)",
        ),
        Cost("the curves of a run for a page, from its index", f"{page * 1e3:.1f} ms", time_of(page), "–"),
    ]  # fmt: skip
    for unit, name in (("plain_s", "with its data server"), ("loader_s", "without its data server")):
        if unit in units:
            each = units[unit]
            measured = f"{each * 1e9:,.0f} ns a point of one curve"
            costs.append(
                Cost(
                    f"TensorBoard over all of it, {name}", measured, time_of(each * LARGE_POINTS), time_of(each * many)
                )
            )
    return costs


def of_runs(logdir: Path) -> list[Cost]:
    """Return what runs cost."""
    metrics = {tag: {"last": 0.1, "step": 9999, "best": 0.1, "best_step": 9999, "goal": "min"} for tag in reading.TAGS}
    config = {f"setting{number}": number / 7 for number in range(20)}
    event_file = reading.event_bytes(10)
    for number in range(RUNS):
        run = logdir / f"run-{number:04d}"
        run.mkdir(parents=True)
        start = f"2026-01-01T{number // 60:02}:{number % 60:02}:00+00:00"
        fields = {"status": "finished", "start": start, "config": config, "metrics": metrics}
        (run / "run.json").write_text(json.dumps(fields))
        (run / "events.out.tfevents.1").write_bytes(event_file)
    size = (run / "run.json").stat().st_size
    listing_s = reading.seconds(lambda: list(scan(logdir))) / RUNS
    tracemalloc.start()
    found = list(scan(logdir))
    memory = tracemalloc.get_traced_memory()[0] / RUNS
    tracemalloc.stop()
    paths = [run.path for run in found]
    view = RunView(logdir, lambda: Choice(paths, paths))
    linking_s = reading.seconds(view.update) / RUNS
    view.close()
    return [
        Cost("`run.json`", f"{size / 1e3:.1f} kB a run", "–", bytes_of(size * MANY_RUNS)),
        Cost(
            "reading them for a list", f"{listing_s * 1e6:.0f} µs and {memory / 1e3:.1f} kB of memory a run", "–",
            f"{time_of(listing_s * MANY_RUNS)}; {bytes_of(memory * MANY_RUNS)}",
        ),
        Cost(
            "links for TensorBoard", f"{linking_s * 1e6:.0f} µs a run", "–",
            f"{time_of(linking_s * MANY_RUNS)}; {time_of(linking_s * 50)} for `--last 50`",
        ),
    ]  # fmt: skip


def bytes_of(count: float) -> str:
    """Return a number of bytes in words."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.3g} {unit}"
    return f"{count / 1e3:,.3g} kB"


def time_of(seconds: float) -> str:
    """Return a time in words."""
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e3:.3g} ms"
