"""Measure several ways of one thing side by side, and put the rows into a table."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.processes import start_fresh
from tests.support.servers import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS = ("ours", "tensorboardX", "torch", "viz.line", "floor")


class Row(NamedTuple):
    """What was measured, in words, what must be reached, and whether it was; and what each way cost, by column."""

    what: str
    must: str
    found: str
    reached: bool
    costs: dict[str, str] = {}  # noqa: RUF012 - never written to


def interleaved(ways: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Run each way in turn, again and again; return the median of what each returns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        names = list(ways) if repeat % 2 == 0 else list(reversed(ways))
        for name in names:
            gc.collect()
            found[name].append(ways[name]())
    return {name: statistics.median(values) for name, values in found.items()}


class Ratio(NamedTuple):
    """The median of the ratios of neighbors, and their lower and upper quartile."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} × ({self.low:.3f}–{self.high:.3f})"


def paired(base: Callable[[], float], way: Callable[[], float], repeats: int) -> Ratio:
    """Return the ratios of neighbors: what slows the machine for a while slows both of them."""
    ratios = []
    for repeat in range(repeats):
        order = (base, way) if repeat % 2 == 0 else (way, base)
        found = {}
        for call in order:
            gc.collect()
            found[call] = call()
        ratios.append(found[way] / found[base])
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


def timed(call: Callable[[], Any], count: int) -> Callable[[], float]:
    """Return a way that measures the seconds a call, over `count` of them."""

    def way() -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - began) / count

    return way


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def visdom_server() -> Iterator[Served]:
    """Serve Visdom as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        own_session = partial(start_fresh, start_new_session=True)  # as a run starts it
        server = Served("visdom", "--port", "0", "--env-dir", folder, start=own_session)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def visdom_client(server: Served) -> Iterator[Any]:
    """Visdom's own client, as a course uses it."""
    import logging

    import visdom

    logging.getLogger("visdom").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield visdom.Visdom(server="http://127.0.0.1", port=server.port, env="peer", use_incoming_socket=False)
