"""Bring event files that another program wrote to a sink.

python docs/examples/replay.py
"""

import subprocess
import sys

from torch.utils.tensorboard import SummaryWriter

with SummaryWriter("logs/theirs") as writer:  # any program that writes event files
    for step in range(100):
        writer.add_scalar("train/loss", 1 / (step + 1), step)
    writer.add_text("notes", "written by torch", 99)

# `--sink visdom` shows each run as an env of its own; here the records go to new event files.
command = ["replay", "logs", "--sink", "tensorboard", "--logdir", "copy"]
subprocess.run([sys.executable, "-m", "monitor", *command], check=True)
