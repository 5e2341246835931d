"""Processes that train, without the seconds that each of them would take to import torch."""

from __future__ import annotations

import json
import subprocess
import sys

# Imports once, then forks a process for each line of arguments: a start then takes no time.
NURSERY = """
import json, os, sys
import torch, numpy, torchvision, tensorboardX, monitor.sinks.visdom.sink, monitor.events.reader
import runners.data.images, runners.training.losses, runners.training.models, runners.launch.job
from runners.mlp import main
weight = torch.nn.Parameter(torch.zeros(2))
weight.grad = torch.zeros(2)
torch.optim.Adam([weight]).step()  # which imports a second's worth of modules
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        main(json.loads(line), prog_name="mlp")
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Nursery:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def spawn(self, *arguments: object) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self.process.stdin.flush()
        return int(self._line())

    def exit_code(self) -> int:
        return int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline().strip()).lstrip("-").isdigit():
            assert line, "the nursery has ended"
        return line

    def close(self) -> None:
        self.process.communicate(timeout=30)
