"""How soon TensorBoard shows the curve of a large run: plain, and over a view of the log directory.

Each way is a new process. The time ends when the HTTP API of its scalars answers with the last point of the curve, and
so with all that there will be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from monitor import ScalarBlock
from monitor.events.index.index_update import update_index
from monitor.events.scalars.encoding import encode_scalars
from monitor.machine.network import fetch_json
from tests.benchmarks import arithmetic
from tests.benchmarks.measure import Row
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS = 10_000_000  # of one curve
LOADER_POINTS = 200_000  # for TensorBoard's loader in Python, which would take minutes for more
LARGE_RUNS = 10
OTHER_RUNS, OTHER_POINTS = 1000, 10_000
SOONER = 10
REPEATS = 3
TIMEOUT_S = 300.0
PLAIN = ("-m", "tensorboard.main", "--logdir")
VIEW = ("-m", "monitor", "serve", "tensorboard", "--last", "1", "--logdir")


class Seen(NamedTuple):
    """When something was there, in seconds since the start of the process: the server, and the whole curve."""

    server: float
    curve: float


def rows() -> list[Row]:
    """Measure plain TensorBoard beside a view of the same directory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_run(folder / "alone" / "large", POINTS)
        write_run(folder / "loader" / "large", LOADER_POINTS)
        write_run(folder / "small", OTHER_POINTS, is_large=False)
        among = folder / "among"
        for number in range(OTHER_RUNS):
            link_run(folder / "small", among / f"run-{number:04d}", f"2026-01-01T{number // 60:02}:{number % 60:02}:00")
        link_run(folder / "alone" / "large", among / "large", "2026-02-01T00:00:00")
        for number in range(1, LARGE_RUNS):
            link_run(folder / "alone" / "large", folder / "large" / f"other-{number}", f"2026-01-{number:02}T00:00:00")
        link_run(folder / "alone" / "large", folder / "large" / "large", "2026-02-01T00:00:00")
        return [
            row(f"a run of {POINTS:,} points", folder / "alone", POINTS),
            row(f"the newest of {LARGE_RUNS} such runs", folder / "large", POINTS),
            row(f"the same run among {OTHER_RUNS:,} runs of {OTHER_POINTS:,} points", among, POINTS),
            loader_row(folder / "loader"),
        ]


def write_run(run: Path, points: int, *, is_large: bool = True) -> None:
    """Write a run of one curve, and its index."""
    run.mkdir(parents=True)
    noise = np.random.default_rng(0)
    with (run / "events.out.tfevents.1.bench").open("wb") as file:
        for start in range(0, points, 10**6):
            steps = np.arange(start, min(points, start + 10**6))
            values = np.exp(-4 * steps / points) + noise.normal(0, 0.05, len(steps))
            group = np.zeros(len(steps), np.int32)
            file.write(encode_scalars(ScalarBlock([("train/loss",)], group, steps, 1.7e9 + steps / 100, values)))
    write_status(run, "2026-02-01T00:00:00")
    if is_large:
        update_index(run)


def write_status(run: Path, start: str) -> None:
    """Write what `monitor runs` reads of a run."""
    metrics = {"train/loss": {"last": 0.1, "step": 1, "best": 0.1, "best_step": 1, "goal": "min"}}
    fields = {"status": "finished", "start": f"{start}+00:00", "config": {"lr": 0.1}, "metrics": metrics}
    (run / "run.json").write_text(json.dumps(fields))


def link_run(source: Path, run: Path, start: str) -> None:
    """Make another run of the same files, which take no further room."""
    run.mkdir(parents=True)
    for file in source.iterdir():
        if file.name != "run.json":
            os.link(file, run / file.name)
    write_status(run, start)


def look(command: Sequence[str], points: int) -> Seen:
    """Start a server and wait for the curve."""
    port = free_port()
    server = 0.0
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - began < TIMEOUT_S:
            query = urlencode({"run": "large", "tag": "train/loss"})
            tags = fetch_json(f"http://127.0.0.1:{port}/data/plugin/scalars/tags")
            if tags is not None:
                server = server or time.perf_counter() - began
                found: Any = "large" in tags and fetch_json(
                    f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?{query}"
                )
                if found and found[-1][1] == points - 1:
                    return Seen(server, time.perf_counter() - began)
            time.sleep(0.005)
    finally:
        process.terminate()
        process.wait(60)
    raise AssertionError(f"{' '.join(command)} does not show the curve")


def in_turns(plain: Sequence[str], view: Sequence[str], points: int, repeats: int) -> tuple[Seen, Seen]:
    """Return the medians of both ways."""
    seen: dict[Sequence[str], list[Seen]] = {plain: [], view: []}
    for _ in range(repeats):
        for command, found in seen.items():
            found.append(look(command, points))
    first, second = (Seen(*(median(column) for column in zip(*found))) for found in seen.values())
    return first, second


def row(what: str, logdir: Path, points: int) -> Row:
    """Compare with TensorBoard and its data server, which is its default where there is one: on x86-64 Linux."""
    plain, view = in_turns((*PLAIN, str(logdir)), (*VIEW, str(logdir)), points, REPEATS)
    if "plain_s" not in arithmetic.units:
        arithmetic.units["plain_s"] = (plain.curve - plain.server) / points
    sooner = plain.curve / view.curve
    waiting = (plain.curve - plain.server) / (view.curve - view.server)
    return Row(
        f"the whole curve of {what}, in TensorBoard's API: `tensorboard`, with its data server, versus `monitor serve "
        "tensorboard --last 1`; what remains once the server answers",
        f"≥ {SOONER} × sooner",
        f"{sooner:.1f} × ({view.curve:.2f} s versus {plain.curve:.2f} s, of which TensorBoard's own start takes "
        f"{view.server:.2f} s and {plain.server:.2f} s); {waiting:.0f} × ({(view.curve - view.server) * 1e3:.0f} ms "
        f"versus {plain.curve - plain.server:.2f} s)",
        sooner >= SOONER,
    )


def loader_row(logdir: Path) -> Row:
    """Compare with TensorBoard's loader in Python, which it uses where its data server does not run."""
    view_command = (*VIEW, str(logdir))
    plain, view = in_turns((*PLAIN, str(logdir), "--load_fast", "false"), view_command, LOADER_POINTS, 1)
    arithmetic.units["loader_s"] = per_point = (plain.curve - plain.server) / LOADER_POINTS
    whole = plain.server + per_point * POINTS
    sooner = whole / view.curve
    return Row(
        f"the same for {POINTS:,} points versus TensorBoard without its data server, where that does not run; of "
        f"TensorBoard's time, {LOADER_POINTS:,} points were measured, and the rest is in proportion",
        f"≥ {SOONER} × sooner",
        f"{sooner:.0f} × ({view.curve:.2f} s versus {whole:.0f} s, by {plain.curve:.2f} s for {LOADER_POINTS:,})",
        sooner >= SOONER,
    )
