"""How long `monitor runs` takes for very many runs, beside a program that reads and parses the same files."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor import Logger
from monitor.runs.listing.catalog import Catalog
from monitor.runs.listing.found_runs import FoundRuns
from monitor.runs.listing.signatures import SETTLED_S
from monitor.runs.run_file import timestamp
from tests.benchmarks.measure import Row, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

MANY, VERY_MANY = 10_000, 100_000
MAX_S, SLOWER_THAN_READING = 1.5, 3
REPEATS = 5
CONFIG = {
    "lr": 0.1, "optimizer": "sgd", "hidden": [200, 100], "batch_size": 64, "epochs": 10, "seed": 0, "dropout": 0.1,
    "activation": "relu", "data": "mnist", "runner": "mlp", "weight_decay": 0.0, "momentum": 0.9,
}  # fmt: skip
READ = """
import json, os, sys
for entry in os.scandir(sys.argv[1]):
    with open(entry.path + "/run.json", "rb") as file:
        json.loads(file.read())
"""


def rows() -> list[Row]:
    """Measure lists of many and of very many runs."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        fields = fields_of_a_run(Path(name))
        return [*many(Path(name), fields), very_many(Path(name), fields)]


def fields_of_a_run(folder: Path) -> dict[str, Any]:
    """Return what a `Logger` writes into `run.json`."""
    with Logger(folder / "one", ["tensorboard"], CONFIG) as log:
        for step in range(20):
            values = {"train/loss": 1 / (step + 1), "test/loss": 1.1 / (step + 1)}
            log.scalars({**values, "train/accuracy": step / 20, "test/accuracy": step / 21}, step)
            log.progress(step // 10 + 1, 2, step, 20)
    return dict(json.loads((log.run.path / "run.json").read_text()))


def write_runs(logdir: Path, fields: dict[str, Any], count: int) -> None:
    """Write runs with other settings and values, and wait until their last change is not of this moment."""
    chance = random.Random(0)
    for number in range(count):
        folder = logdir / f"run-{number:06}"
        folder.mkdir(parents=True)
        start = time.time() - 30 * 86400 + 20 * number
        metrics = {tag: {**entry, "last": chance.random()} for tag, entry in fields["metrics"].items()}
        own = {"name": folder.name, "start": timestamp(start), "end": timestamp(start + 300), "metrics": metrics}
        config = {**fields["config"], "lr": chance.random(), "seed": number}
        (folder / "run.json").write_text(json.dumps({**fields, **own, "config": config}, indent=2) + "\n")
        (folder / "events.out.tfevents.1").touch()
    time.sleep(SETTLED_S + 0.1)


def seconds_of(*command: str) -> float:
    """Return how long a process takes, from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def many(folder: Path, fields: dict[str, Any]) -> list[Row]:
    """List 10,000 runs in every way, in turns with a program that only reads and parses their files."""
    logdir = folder / "many"
    write_runs(logdir, fields, MANY)
    size = sum(file.stat().st_size for file in logdir.glob("*/run.json"))
    listing = ("-m", "monitor", "runs", str(logdir))
    options = {
        "a table": (), "sorted by a metric": ("--sort", "-test/accuracy"), "filtered": ("--filter", "lr<0.0003"),
        "JSON": ("--json",), "CSV": ("--csv",),
    }  # fmt: skip
    ways: dict[str, Callable[[], float]] = {
        "reading": partial(seconds_of, "-c", READ, str(logdir)),
        **{name: partial(seconds_of, *listing, *given) for name, given in options.items()},
    }
    first = seconds_of(*listing)
    found = interleaved(ways, REPEATS)
    slowest = max(found[name] for name in options)
    times = "; ".join(f"{name} {found[name]:.2f} s ({found[name] / found['reading']:.1f} ×)" for name in options)
    runs = FoundRuns(logdir)
    runs()
    began = time.perf_counter()
    runs()
    again = time.perf_counter() - began
    return [
        Row(
            f"`monitor runs` over {MANY:,} runs ({size / 1e6:.0f} MB of `run.json`) for a file, from the start of its "
            "process to its end, versus a process that reads and parses the files",
            f"≤ {MAX_S} s; ≤ {SLOWER_THAN_READING} × the time",
            f"{times}; reading and parsing {found['reading']:.2f} s",
            slowest <= MAX_S and slowest <= SLOWER_THAN_READING * found["reading"],
        ),
        Row(
            f"the same for the first time, without a catalog, which it writes; a look of `--watch` at {MANY:,} runs, "
            "none of which has changed",
            "reported",
            f"{first:.2f} s; {again * 1e3:.0f} ms",
            reached=True,
        ),
    ]


def very_many(folder: Path, fields: dict[str, Any]) -> Row:
    """List 100,000 runs."""
    logdir = folder / "very-many"
    write_runs(logdir, fields, VERY_MANY)
    listing = ("-m", "monitor", "runs", str(logdir))
    first = seconds_of(*listing, "--limit", "50")
    ways: dict[str, Callable[[], float]] = {
        "reading": partial(seconds_of, "-c", READ, str(logdir)),
        "page": partial(seconds_of, *listing, "--limit", "50"),
        "filter": partial(seconds_of, *listing, "--filter", "lr<0.0003"),
    }
    found = interleaved(ways, 3)
    size = Catalog(str(logdir)).path.stat().st_size
    return Row(
        f"the newest 50 of {VERY_MANY:,} runs; those of them that match `lr<0.0003`; versus reading and parsing",
        f"≤ {SLOWER_THAN_READING} × the time",
        f"{found['page']:.2f} s; {found['filter']:.2f} s; reading and parsing {found['reading']:.2f} s; without a "
        f"catalog {first:.1f} s; the catalog has {size / VERY_MANY / 1e3:.1f} kB per run",
        max(found["page"], found["filter"]) <= SLOWER_THAN_READING * found["reading"],
    )
