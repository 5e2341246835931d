"""What logging costs a training loop: the same loop with and without it, and with the peers."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from monitor import Logger
from runners.models import MLP
from tests.benchmarks.measure import Row, paired, visdom_client, visdom_server

Log = Callable[[dict[str, Any], int], None]
STEPS, BATCH = 2400, 200  # some 3 s: several flushes of each sink


def train(log: Log | None) -> float:
    """Train the MLP on data in memory; four scalars every step. Return the seconds that the loop took."""
    torch.manual_seed(0)
    model = MLP(784, [200, 200], 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.rand(6000, 784), torch.randint(10, (6000,))
    began = time.perf_counter()
    for step in range(STEPS):
        at = step * BATCH % 6000
        loss = cross_entropy(model(x[at : at + BATCH]), y[at : at + BATCH])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if log is not None:
            log({"train/loss": loss.detach(), "train/a": 0.1, "train/b": 0.2, "other/c": 0.3}, step)
    return time.perf_counter() - began


def rows() -> list[Row]:
    found = []
    threads = torch.get_num_threads()
    for count, must in ((1, 1.02), (threads, 1.03)):
        torch.set_num_threads(count)
        found.append(training_row(count, must))
    found.append(trouble_row())
    torch.set_num_threads(threads)
    return found


def logged(sinks: list[str]) -> Callable[[], float]:
    """Return a way to train with a logger of these sinks; its start and close are not counted in."""

    def way() -> float:
        with tempfile.TemporaryDirectory() as folder, Logger(f"{folder}/run", sinks, close_timeout=1.0) as log:
            log.flush(1.0)
            return train(log.scalars)

    return way


def training_row(threads: int, must: float) -> Row:
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

        bare = lambda: train(None)  # noqa: E731
        micro = bare() / STEPS * 1e6
        ratio = {
            "ours": paired(bare, logged(["tensorboard", f"visdom://127.0.0.1:{server.port}"]), 24),
            "tensorboardX": paired(bare, writer(tensorboardX.SummaryWriter), 4),
            "torch": paired(bare, writer(torch.utils.tensorboard.SummaryWriter), 4),
            "viz.line": line(),
            "floor": paired(bare, lambda: train(None), 12),
        }
    return Row(
        f"MLP training, {threads} thread{'s' * (threads > 1)}, four scalars a step, TensorBoard and a live Visdom "
        "(floor: the loop against itself)",
        f"≤ {must} × the loop without logging",
        f"{ratio['ours']:.3f} × ({micro:.0f} µs a step without)",
        ratio["ours"] <= must,
        {name: f"{value:.3f} ×" for name, value in ratio.items()},
    )


TROUBLE = """
import sys
from tests.servers import BadServer
server = BadServer(sys.argv[1], int(sys.argv[2]))
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
                ratio[trouble] = paired(logged(["tensorboard"]), logged(["tensorboard", spec]), 16)
                bad.communicate()
    return Row(
        "the same with a Visdom server that hangs, answers 500, or drops every second connection",
        "≤ 1.02 × the same without the Visdom sink",
        ", ".join(f"{trouble} {value:.3f} ×" for trouble, value in ratio.items()),
        max(ratio.values()) <= 1.02,
    )


COURSE = """
import sys, time, warnings
warnings.simplefilter("ignore")
import torch, visdom
from torch import nn
from torchvision import datasets, transforms
import logging; logging.disable(logging.CRITICAL)
data, port, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
both = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
loaders = [
    torch.utils.data.DataLoader(datasets.MNIST(data, train=train, transform=both, download=True), 200, shuffle=True)
    for train in (True, False)
]
model = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss_of = nn.CrossEntropyLoss()
viz = visdom.Visdom(server="http://127.0.0.1", port=port, env="course", use_incoming_socket=False)
viz.line([0.0], [0.0], win="train_loss", opts=dict(title="train loss"))
viz.line([[0.0, 0.0]], [0.0], win="test", opts=dict(title="test loss & acc.", legend=["loss", "acc."]))
step = 0
for epoch in range(epochs):
    for x, y in loaders[0]:
        loss = loss_of(model(x.view(-1, 784)), y)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        step += 1
        viz.line([loss.item()], [step], win="train_loss", update="append")
    total = right = 0
    for x, y in loaders[1]:
        logits = model(x.view(-1, 784))
        total += loss_of(logits, y).item(); right += (logits.argmax(1) == y).sum().item()
    viz.line([[total, right / 10000]], [step], win="test", update="append")
    viz.images(x.view(-1, 1, 28, 28), win="x")
print("accuracy", right / 10000)
"""
EPOCHS = 10  # the default of both


def course_rows() -> list[Row]:
    """Compare the course's own program with the runner: the whole process, with the same epochs."""
    source = Path(os.environ.get("MONITOR_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    what = f"the course's own program against `monitor train mlp`, {EPOCHS} epochs of MNIST, both dashboards"
    must = "≥ 10 × faster, same accuracy within 0.5 points"
    if not (source / "MNIST").is_dir():
        return [Row(what, must, "not measured: no MNIST in MONITOR_TEST_DATA", False)]
    with tempfile.TemporaryDirectory() as folder, visdom_server() as server:
        subprocess.run(["cp", "-r", str(source / "MNIST"), f"{folder}/MNIST"], check=True)
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", "monitor", "train", "mlp", "--data", "mnist", "--data-dir", folder, "--epochs",
                   str(EPOCHS), "--logdir", f"{folder}/runs"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        ours = time.perf_counter() - began
        mine = float(re.findall(r"test/accuracy ([\d.]+)", done.stdout)[-1])
        began = time.perf_counter()
        command = [sys.executable, "-c", COURSE, folder, str(server.port), str(EPOCHS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs = time.perf_counter() - began
        its = float(re.findall(r"accuracy ([\d.]+)", done.stdout)[-1])
    found = f"{theirs / ours:.1f} × ({ours:.1f} s against {theirs:.1f} s, start and both servers included); "
    return [Row(what, must, found + f"{mine:.2%} against {its:.2%}", theirs / ours >= 10 and abs(mine - its) <= 0.005)]
