"""What a log call costs the thread that makes it, and what a scalar costs in total."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor import Logger
from tests.benchmarks.measure import Row, cpu, interleaved, timed, visdom_client, visdom_server

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 20_000


class Floor:
    """The least that a call which keeps its arguments can do."""

    def __init__(self) -> None:
        self.kept: deque[tuple[str, float, int]] = deque(maxlen=100_000)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Keep the arguments."""
        self.kept.append((tag, value, step))


def rows() -> list[Row]:
    """Measure the calls."""
    import tensorboardX
    import torch.utils.tensorboard

    with tempfile.TemporaryDirectory() as folder, visdom_server() as server, visdom_client(server) as viz:
        floor = Floor()
        peer = tensorboardX.SummaryWriter(f"{folder}/x")
        torchs = torch.utils.tensorboard.SummaryWriter(f"{folder}/t")
        viz.line([0.0], [0], win="w")
        four = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
        with Logger(f"{folder}/o", ["tensorboard"]) as log:
            log.scalars(four, 0)
            log.flush()

            def drained(way: Callable[[], float]) -> Callable[[], float]:
                def measured() -> float:
                    seconds = way()
                    log.flush()
                    return seconds

                return measured

            found = interleaved(
                {
                    "floor": timed(lambda: floor.scalar("a", 1.0, 1), STEPS),
                    "ours": drained(timed(lambda: log.scalar("a", 1.0, 1), STEPS)),
                    "four": drained(timed(lambda: log.scalars(four, 1), STEPS)),
                    "tensorboardX": timed(lambda: peer.add_scalar("a", 1.0, 1), 300),
                    "torch": timed(lambda: torchs.add_scalar("a", 1.0, 1), 300),
                    "viz.line": timed(lambda: viz.line([1.0], [1], win="w", update="append"), 10),
                    "empty": timed(lambda: None, STEPS),
                },
                9,
            )
        peer.close()
        torchs.close()
        empty = found.pop("empty")
        one = {name: seconds - empty for name, seconds in found.items()}
        each = one["four"] / 4
        costs = {name: f"{seconds * 1e6:.2f} µs" for name, seconds in one.items() if name != "four"}
        return [
            Row(
                "one `log.scalar` of a float, per call",
                "≤ 4 × the floor; ≥ 50 × cheaper than tensorboardX; ≥ 2,000 × cheaper than `viz.line`",
                f"{one['ours'] / one['floor']:.1f} × the floor; {one['tensorboardX'] / one['ours']:.0f} ×; "
                f"{one['viz.line'] / one['ours']:,.0f} ×",
                one["ours"] <= 4 * one["floor"]
                and one["tensorboardX"] >= 50 * one["ours"]
                and one["viz.line"] >= 2000 * one["ours"],
                costs,
            ),
            Row(
                "`log.scalars` of four, per value",
                "≤ 3 × the floor",
                f"{each / one['floor']:.1f} × the floor",
                each <= 3 * one["floor"],
                {**costs, "ours": f"{each * 1e6:.2f} µs"},
            ),
            *whole_costs(Path(folder), viz, server.process.pid),
        ]


def whole_costs(folder: Path, viz: Any, server: int) -> list[Row]:
    """Measure what a scalar costs in total, close included: wall time, and CPU time of the process and its server."""
    ways = ways_to_log(folder, viz)
    wall: dict[str, list[float]] = {name: [] for name in ways}

    def measured(name: str) -> float:
        way, steps = ways[name]
        began, before = time.perf_counter(), time.process_time() + cpu(server)
        way(steps)
        wall[name].append((time.perf_counter() - began) / steps / 4)
        return (time.process_time() + cpu(server) - before) / steps / 4

    spent = interleaved({name: partial(measured, name) for name in ways}, 5)
    taken = {name: statistics.median(values) for name, values in wall.items()}
    share, faster = spent["tensorboardX"] / spent["ours"], taken["tensorboardX"] / taken["ours"]
    return [
        Row(
            "CPU time per scalar, in total (process, children, server), TensorBoard sink, four scalars a step",
            "≤ 1/10 of tensorboardX's",
            f"1/{share:.0f}",
            share >= 10,
            {name: f"{seconds * 1e6:.2f} µs" for name, seconds in spent.items()},
        ),
        Row(
            "wall time per scalar, start and close included, the same",
            "reported",
            f"1/{faster:.0f} of tensorboardX's",
            True,
            {name: f"{seconds * 1e6:.2f} µs" for name, seconds in taken.items()},
        ),
    ]


def ways_to_log(folder: Path, viz: Any) -> dict[str, tuple[Callable[[int], None], int]]:
    """Return ways to log four scalars a step for a number of steps, and that number."""
    import tensorboardX
    import torch.utils.tensorboard

    number = count()

    def ours(steps: int) -> None:
        with Logger(folder / f"whole{next(number)}", ["tensorboard"]) as log:
            for step in range(steps):
                log.scalars({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, step)
            log.close(60)

    def line(steps: int) -> None:
        win = f"w{next(number)}"
        for step in range(steps):
            viz.line([[1.0, 2.0, 3.0, 4.0]], [step], win=win, update="append" if step else None)

    def floor(steps: int) -> None:
        kept = Floor()
        for step in range(steps):
            for tag in "abcd":
                kept.scalar(tag, 1.0, step)

    return {
        "ours": (ours, STEPS),
        "tensorboardX": (writer_of(tensorboardX.SummaryWriter, folder), 500),
        "torch": (writer_of(torch.utils.tensorboard.SummaryWriter, folder), 500),
        "viz.line": (line, 50),
        "floor": (floor, STEPS),
    }


def writer_of(kind: Any, folder: Path) -> Callable[[int], None]:
    """Return the way to log with a `SummaryWriter` of this kind."""
    number = count()

    def way(steps: int) -> None:
        peer = kind(str(folder / f"{kind.__module__}{next(number)}"))
        for step in range(steps):
            for tag in "abcd":
                peer.add_scalar(tag, 1.0, step)
        peer.close()

    return way
