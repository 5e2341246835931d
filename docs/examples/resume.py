"""Resume a training loop of your own after a crash, in the same curves.

python docs/examples/resume.py --crash-at 25
python docs/examples/resume.py
"""

import argparse
import os
import signal
from pathlib import Path

import torch

from monitor import Logger, reopen

RUN = Path("runs/resume")
STEPS, CHECKPOINT_EVERY = 40, 10

parser = argparse.ArgumentParser()
parser.add_argument("--crash-at", type=int)
crash_at = parser.parse_args().crash_at

torch.manual_seed(0)
x = torch.rand(100, 3)
y = x @ torch.tensor([[1.0], [2.0], [3.0]])
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

checkpoints = sorted(RUN.glob("checkpoint-*.pt"))
if checkpoints:
    newest = torch.load(checkpoints[-1], weights_only=True)
    model.load_state_dict(newest["model"])
    optimizer.load_state_dict(newest["optimizer"])
    first = newest["step"]
    log = Logger(reopen(RUN, checkpoints[-1].name, first), ["tensorboard"])
else:
    first = 0
    log = Logger(RUN, ["tensorboard"], {"lr": 0.1, "momentum": 0.9})

with log:
    for step in range(first, STEPS):
        if step == crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.scalar("train/loss", loss, step)
        done = step + 1
        if done % CHECKPOINT_EVERY == 0:
            path = log.run.path / f"checkpoint-{done:06}.pt"
            scratch = path.with_suffix(".tmp")
            torch.save({"step": done, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, scratch)
            if log.checkpoint(path.name, done):  # everything logged so far is on disk
                scratch.replace(path)  # from here on, the checkpoint counts
