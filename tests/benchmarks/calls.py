"""What a log call costs the thread that makes it, and what a scalar costs all told."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from pathlib import Path

from monitor import Logger
from tests.benchmarks.measure import Row, interleaved, timed, visdom_client, visdom_server

STEPS = 20_000


class Floor:
    """The least that a call which keeps its arguments can do."""

    def __init__(self) -> None:
        self.kept: deque[tuple[str, float, int]] = deque(maxlen=100_000)

    def scalar(self, tag: str, value: float, step: int) -> None:
        self.kept.append((tag, value, step))


def rows() -> list[Row]:
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

            def drained(way):  # type: ignore[no-untyped-def]
                def measured() -> float:
                    seconds: float = way()
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
        micro = "; ".join(f"{name} {seconds * 1e6:.2f} µs" for name, seconds in one.items() if name != "four")
        return [
            Row(
                "one `log.scalar` of a float, per call",
                "≤ 4 × the floor; ≥ 50 × cheaper than tensorboardX; ≥ 2,000 × cheaper than `viz.line`",
                f"{one['ours'] / one['floor']:.1f} × the floor; {one['tensorboardX'] / one['ours']:.0f} ×; "
                f"{one['viz.line'] / one['ours']:,.0f} × ({micro})",
                one["ours"] <= 4 * one["floor"]
                and one["tensorboardX"] >= 50 * one["ours"]
                and one["viz.line"] >= 2000 * one["ours"],
            ),
            Row(
                "`log.scalars` of four, per value",
                "≤ 3 × the floor",
                f"{each / one['floor']:.1f} × the floor ({each * 1e6:.2f} µs)",
                each <= 3 * one["floor"],
            ),
            whole_cost(Path(folder)),
        ]


def whole_cost(folder: Path) -> Row:
    """Measure the CPU time of the process a scalar, close included."""
    import tensorboardX

    number = iter(range(1000))

    def ours() -> float:
        with Logger(folder / f"whole{next(number)}", ["tensorboard"]) as log:
            log.flush()
            began = time.process_time()
            for step in range(STEPS):
                log.scalars({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, step)
            log.close(60)
            return (time.process_time() - began) / STEPS / 4

    def peer() -> float:
        writer = tensorboardX.SummaryWriter(str(folder / f"peer{next(number)}"))
        began = time.process_time()
        for step in range(500):
            for tag in "abcd":
                writer.add_scalar(tag, 1.0, step)
        writer.close()
        return (time.process_time() - began) / 500 / 4

    found = interleaved({"ours": ours, "tensorboardX": peer}, 5)
    share = found["ours"] / found["tensorboardX"]
    return Row(
        "CPU time per scalar, all told, TensorBoard sink, four scalars a step",
        "≤ 1/10 of tensorboardX's",
        f"1/{1 / share:.0f} ({found['ours'] * 1e6:.1f} µs against {found['tensorboardX'] * 1e6:.0f} µs)",
        share <= 0.1,
    )
