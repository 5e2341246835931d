"""The training process of a soak: it logs values that tell their step, and obeys commands on stdin.

It reports on stdout, one line of JSON each: how many steps it has logged and when, answers to commands, and its end.
Its clock is `time.time`, patched before `monitor` is imported, so that it can be stepped.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor import Logger

TICK_S = 0.02
SHIFT = [0.0]  # seconds by which the clock is stepped
true_time = time.time


class Trainer:
    """The loop, and what it obeys.

    Attributes:
        four: how many `scalars` calls of a step have returned; the next step.
        single: how many `scalar` calls have returned.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        """`options`: path, sinks, pace (steps per second), life, first (step), checkpoint, on_sigterm."""
        self.options = options
        self.four = self.single = options["first"]
        self.log: Logger
        self._pace, self._paused, self._end = options["pace"], False, ""
        self._read = b""
        self._others: list[int] = []  # the steps at which the other kinds were logged

    def run(self) -> None:
        """Log until a command or a signal ends it."""
        from monitor import Logger, reopen

        path, first = self.options["path"], self.options["first"]
        resumed = self.options["checkpoint"] is not None
        run = reopen(path, self.options["checkpoint"], first) if resumed else path
        try:
            with Logger(run, self.options["sinks"]) as self.log:
                signal.signal(signal.SIGTERM, self._on_sigterm)
                signal.signal(signal.SIGUSR1, lambda *_: self.log.stats())
                report(pid=os.getpid())
                self._loop()
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            missing = sum(sink.missing for name, sink in self.log.stats().sinks.items() if name == "tensorboard")
            report(four=self.four, single=self.single, others=self._others, missing=missing)

    def _loop(self) -> None:
        due = time.monotonic()
        while not self._end:
            for command in self._commands():
                getattr(self, f"do_{command.pop('do')}")(**command)
            if not self._paused:
                self._steps(max(1, int(self._pace * TICK_S)))
                report(step=self.four, when=time.monotonic())
            due = max(due + TICK_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        if self._end == "exit":
            sys.exit(3)
        if self._end == "exception":
            raise ZeroDivisionError("the soak's own")

    def _steps(self, count: int) -> None:
        for _ in range(count):
            step = self.four
            values = {"train/loss": float(step), "test/loss": -float(step), "life": float(self.options["life"])}
            self.log.scalars(values, step)
            self.four += 1
            self.log.scalar("single", float(step % 1000), step)
            self.single += 1
            if step % 250 == 0:
                self._other_kinds(step)

    def _other_kinds(self, step: int) -> None:
        import numpy as np

        self.log.images("pictures", np.full((4, 1, 28, 28), step % 256, np.uint8), step)
        self.log.histogram("weights", np.arange(1000.0) + step, step)
        self.log.text("notes", f"step {step}", step)
        self._others.append(step)

    def _commands(self) -> list[dict[str, Any]]:
        while select.select([0], [], [], 0)[0]:
            data = os.read(0, 65536)
            if not data:
                os._exit(99)  # the soak is gone
            self._read += data
        *lines, self._read = self._read.split(b"\n")
        return [json.loads(line) for line in lines]

    def do_checkpoint(self, name: str) -> None:
        """Wait until everything is on disk."""
        step = self.four
        report(answer="checkpoint", name=name, ok=self.log.checkpoint(name, step, 30.0), at=step)

    def do_flush(self) -> None:
        """Wait until everything is visible in every sink."""
        report(answer="flush", ok=self.log.flush(30.0))

    def do_pause(self) -> None:
        """Stop logging, and wait until everything is visible in every sink."""
        self._paused = True
        report(answer="pause", ok=self.log.flush(30.0), at=self.four)

    def do_clock(self, seconds: float) -> None:
        """Step the clock."""
        SHIFT[0] = seconds
        report(answer="clock", ok=True)

    def do_end(self, how: str) -> None:
        """End after this tick; with `backlog`, after as many steps as the loop can make in one go."""
        if how == "backlog":
            self._steps(10_000)
        self._end = how

    def _on_sigterm(self, *_: object) -> None:
        if self.options["on_sigterm"] == "close":
            self.log.close(status="killed")
        raise SystemExit(128 + signal.SIGTERM)


def report(**fields: Any) -> None:
    """Write a line of JSON; whole, also from a signal handler."""
    os.write(1, json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    time.time = lambda: true_time() + SHIFT[0]
    faulthandler.register(signal.SIGUSR2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started this in the background
    Trainer(json.loads(sys.argv[1])).run()
