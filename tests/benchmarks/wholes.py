"""Whole trainings: an epoch against the bare loop, and the course's own program against the runner."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from monitor import Logger
from runners.data.dataset import Dataset, Split
from runners.training import loop
from runners.training.checkpointing.state import TrainConfig
from runners.training.models import MLP
from runners.training.run import TrainingRun
from tests.benchmarks.measure import Row, paired, visdom_server

SIZE, BATCH, PASSES = 60_000, 200, 3


def rows() -> list[Row]:
    """Measure whole trainings."""
    return [epoch_row(), *course_rows()]


def epoch_row() -> Row:
    """Compare the runner's loop to forward, backward and step over tensors in memory, and nothing else."""
    torch.manual_seed(0)
    x, y = torch.randn(SIZE, 784), torch.randint(10, (SIZE,))
    held = Split(x[:10_000], y[:10_000])
    classes = tuple("0123456789")

    def fresh() -> tuple[MLP, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = MLP(784, [200, 200], 10)
        return model, torch.optim.SGD(model.parameters(), lr=0.01)

    def bare() -> float:
        model, optimizer = fresh()
        began = time.perf_counter()
        for _ in range(PASSES):
            for at in range(0, SIZE, BATCH):
                loss = cross_entropy(model(x[at : at + BATCH]), y[at : at + BATCH])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return time.perf_counter() - began

    def whole(test: Split | None) -> float:
        config = TrainConfig(epochs=PASSES, batch_size=BATCH, device=torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder, Logger(f"{folder}/run", ["tensorboard"]) as log:
            log.flush()
            model, optimizer = fresh()
            began = time.perf_counter()
            data = Dataset("mnist", Split(x, y), test, classes)
            loop.train(model, data, cross_entropy, optimizer, None, config, TrainingRun(log))
            return time.perf_counter() - began

    bare()
    ratio, tested = (paired(bare, partial(whole, test), 12) for test in (None, held))
    return Row(
        "an MNIST epoch of `monitor train mlp`, shuffled and logged, versus the bare loop over tensors in memory",
        "≤ 1.15 ×",
        f"{ratio} (with the test set of 10,000, its predictions and histograms: {tested})",
        ratio.median <= 1.15,
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
    what = f"the course's own program versus `monitor train mlp`, {EPOCHS} epochs of MNIST, both dashboards"
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
    found = f"{theirs / ours:.1f} × ({ours:.1f} s versus {theirs:.1f} s, start and both servers included); "
    return [Row(what, must, found + f"{mine:.2%} against {its:.2%}", theirs / ours >= 10 and abs(mine - its) <= 0.005)]
