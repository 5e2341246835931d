"""What logging costs a training loop: the same loop with and without it, and with the peers."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from monitor import Logger
from monitor.recording import packages
from runners.training.models import MLP
from tests.benchmarks.measure import Row, paired, visdom_client, visdom_server

Log = Callable[[dict[str, Any], int], None]
STEPS, BATCH = 2400, 200  # some 3 s: several flushes of each sink
SHORT_S = 1.0


def train(log: Log | None, steps: int = STEPS) -> float:
    """Train the MLP on data in memory; four scalars every step. Return the seconds that the loop took."""
    torch.manual_seed(0)
    model = MLP(784, [200, 200], 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.rand(6000, 784), torch.randint(10, (6000,))
    began = time.perf_counter()
    for step in range(steps):
        at = step * BATCH % 6000
        loss = cross_entropy(model(x[at : at + BATCH]), y[at : at + BATCH])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if log is not None:
            log({"train/loss": loss.detach(), "train/a": 0.1, "train/b": 0.2, "other/c": 0.3}, step)
    return time.perf_counter() - began


def rows() -> Iterator[Row]:
    """Measure the loops, with one thread and with all."""
    threads = torch.get_num_threads()
    for count, must in ((1, 1.02), (threads, 1.03)):
        torch.set_num_threads(count)
        yield training_row(count, must)
        yield short_row(count, must)
    yield trouble_row()
    torch.set_num_threads(threads)


def logged(sinks: list[str], steps: int = STEPS) -> Callable[[], float]:
    """Return a way to train with a logger of these sinks; its start and close are not counted in."""

    def way() -> float:
        packages._known.clear()  # noqa: SLF001 - the first run of a program lists them
        with tempfile.TemporaryDirectory() as folder, Logger(f"{folder}/run", sinks, close_timeout=1.0) as log:
            log.flush(1.0)
            return train(log.scalars, steps)

    return way


def training_row(threads: int, must: float) -> Row:
    """Compare the loop that logs to the one that does not, and to the peers."""
    import tensorboardX
    import torch.utils.tensorboard

    def writer(kind: Any) -> Callable[[], float]:
        def way() -> float:
            with tempfile.TemporaryDirectory() as folder:
                peer = kind(folder)

                def log(values: dict[str, Any], step: int) -> None:
                    for tag, value in values.items():
                        peer.add_scalar(tag, value, step)

                seconds = train(log)
                peer.close()
                return seconds

        return way

    with visdom_server() as server, visdom_client(server) as viz:

        def line() -> float:
            """Estimate it from 30 steps of the real thing: it gets dearer with each, so this flatters it."""

            def log(values: dict[str, Any], step: int) -> None:
                if step < 30:
                    viz.line([[float(v) for v in values.values()]], [step], win="w", update="append" if step else None)

            plain, some = train(None), train(log)
            return 1 + (some - plain) / plain * STEPS / 30

        bare = partial(train, None)
        micro = bare() / STEPS * 1e6
        ratio = {
            "ours": paired(bare, logged(["tensorboard", f"visdom://127.0.0.1:{server.port}"]), 16),
            "tensorboardX": paired(bare, writer(tensorboardX.SummaryWriter), 3),
            "torch": paired(bare, writer(torch.utils.tensorboard.SummaryWriter), 3),
            "floor": paired(bare, partial(train, None), 6),
        }
        slowest = line()
    return Row(
        f"{described(threads)}, four scalars a step, TensorBoard and a live Visdom (floor: the loop against itself)",
        f"≤ {must} × the loop without logging",
        f"{ratio['ours']} ({micro:.0f} µs a step without)",
        ratio["ours"].median <= must,
        {**{name: f"{value.median:.3f} ×" for name, value in ratio.items()}, "viz.line": f"{slowest:.3f} ×"},
    )


def short_row(threads: int, must: float) -> Row:
    """Compare loops of one second, which a single flush may disturb."""
    steps = int(SHORT_S / train(None) * STEPS)
    bare = partial(train, None, steps)
    with visdom_server() as server:
        ours = paired(bare, logged(["tensorboard", f"visdom://127.0.0.1:{server.port}"], steps), 40)
    floor = paired(bare, partial(train, None, steps), 20)
    return Row(
        f"{described(threads)}, the same in loops of {SHORT_S:.0f} s",
        f"≤ {must} × the loop without logging",
        f"{ours}; the loop against itself {floor}",
        ours.median <= must,
        {"ours": f"{ours.median:.3f} ×", "floor": f"{floor.median:.3f} ×"},
    )


def described(threads: int) -> str:
    """Name the training."""
    return f"MLP training, {threads} thread{'s' * (threads > 1)}"


TROUBLE = """
import sys
from tests.support.servers import FaultyServer
server = FaultyServer(sys.argv[1], int(sys.argv[2]))
print(server.port, flush=True)
sys.stdin.read()
server.stop()
"""


def trouble_row() -> Row:
    """Compare training with a Visdom server in trouble to the same with none: both write for TensorBoard."""
    ratio = {}
    logging.getLogger("monitor").setLevel(logging.CRITICAL)  # each of the runs would tell of the trouble
    with visdom_server() as server:
        for trouble in ("hang", "error", "drop"):
            command = [sys.executable, "-c", TROUBLE, trouble, str(server.port)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bad:
                assert bad.stdout is not None
                spec = f"visdom://127.0.0.1:{int(bad.stdout.readline())}"
                ratio[trouble] = paired(logged(["tensorboard"]), logged(["tensorboard", spec]), 10)
                bad.communicate()
    return Row(
        "the same with a Visdom server that hangs, answers 500, or drops every second connection",
        "≤ 1.02 × the same without the Visdom sink",
        ", ".join(f"{trouble} {value}" for trouble, value in ratio.items()),
        max(value.median for value in ratio.values()) <= 1.02,
    )
