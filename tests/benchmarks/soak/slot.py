"""One of the soak's three parallel runs: its disk, its network, its Visdom server, and what is done to them."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.benchmarks.soak import checks
from tests.benchmarks.soak.checks import Findings
from tests.benchmarks.soak.network import Network
from tests.benchmarks.soak.plan import ENDS, KILLS, ON_DISK, Fault, Plan
from tests.benchmarks.soak.training import HungError, Training
from tests.support.servers import VisdomServer

if TYPE_CHECKING:
    from pathlib import Path

DISK_MB = 64
SECOND = 1.05  # the promise, and the time that a signal takes to be delivered on a busy machine
BURST = 150  # signals


class Slot:
    """The place of one run.

    With `mounts`, `logdir` is a bind mount of a small tmpfs, `disk`.
    """

    def __init__(self, folder: Path, *, mounts: bool) -> None:
        """Set it up; `close` removes it again."""
        self.disk, self.logdir, self._mounts = folder / "disk", folder / "logdir", mounts
        self.disk.mkdir(parents=True)
        self.logdir.mkdir()
        if mounts:
            mount("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.disk))
            mount("--bind", str(self.disk), str(self.logdir))
        self.server = VisdomServer(folder / "envs")
        self.network = Network(self.server.port)
        self.training: Training
        self.lives: list[tuple[int, int]] = []
        self.was_killed = False

    def close(self) -> None:
        """End the server, and unmount."""
        self.network.close()
        self.server.stop()
        if self._mounts:
            subprocess.run(["umount", "-l", str(self.logdir)], check=False)
            subprocess.run(["umount", "-l", str(self.disk)], check=False)

    # A round

    def play(self, plan: Plan, name: str) -> Findings:
        """Let one training live through the plan; return what was found afterwards."""
        findings = Findings()
        self._start(name, plan)
        try:
            for number, fault in enumerate(plan.faults):
                stays = plan.ends_within and number == len(plan.faults) - 1
                findings.add(self._suffer(fault, plan, stays=stays))
            if plan.ends_within:
                time.sleep(0.5)
            findings.add(self._end(plan))
        except (AssertionError, OSError) as error:
            kind = "" if isinstance(error, HungError) else f"{type(error).__name__}: "
            findings.problems.append(f"{name}: {kind}{error}")
            self._give_up(findings)
        return findings

    def clean(self) -> None:
        """Remove what the round left."""
        self.server.clear()
        for path in (*self.logdir.iterdir(), *self.disk.iterdir()):
            shutil.rmtree(path, ignore_errors=True)

    def _start(self, name: str, plan: Plan, first: int = 0, checkpoint: str | None = None) -> None:
        if checkpoint is None:
            self.lives, self.was_killed = [], False
        self.lives.append((first, len(self.lives)))
        sinks = ["tensorboard", f"visdom://127.0.0.1:{self.network.port}/"]
        self.training = Training(
            path=str(self.logdir / name), sinks=sinks, pace=plan.pace, life=self.lives[-1][1], first=first,
            checkpoint=checkpoint, on_sigterm=plan.on_sigterm,
        )  # fmt: skip

    def _suffer(self, fault: Fault, plan: Plan, *, stays: bool) -> Findings:
        time.sleep(fault.delay)
        if fault.name in KILLS:
            return self._kill(fault, plan)
        self._begin(fault)
        if not stays:
            time.sleep(fault.length)
            self._mend(fault)
        if fault.name in ON_DISK:  # what waits in memory while the disk is gone is not safe from a kill
            self.training.ask("checkpoint", name=f"after {fault.name}")
        elif fault.name == "training stopped":
            time.sleep(SECOND)  # it has had no time since
        findings = Findings(problems=checks.check_status(self.training.path, "running"))
        before = self.training.steps
        self.training.wait_for(lambda: self.training.steps > before, 30, "log another step")
        return findings

    def _kill(self, fault: Fault, plan: Plan) -> Findings:
        old = self.training
        name = f"life {len(self.lives)}"
        at = old.ask("checkpoint", name=name)["at"]
        time.sleep(fault.length)
        killed, self.was_killed = old.kill(), True
        must = old.steps_before(killed - SECOND)
        findings = checks.check_scalars(old.path, self.lives, {"four": must, "single": must}, exact=False)
        findings.last_second = 4 * max(0, old.steps - count_steps(old.path))
        findings.problems += checks.check_status(old.path, "lost")
        if fault.name == "SIGKILL, then resumed":
            self._start(old.path.name, plan, at, name)
        else:
            self._start(f"{old.path.name}-again", plan)
        return findings

    def _end(self, plan: Plan) -> Findings:
        training, (_, code, status) = self.training, ENDS[plan.end]
        findings = Findings()
        is_settled = not plan.ends_within and plan.end != "end: backlog"
        if is_settled:
            steps = training.ask("pause")["at"]
            findings.problems += checks.check_windows(self.server, training.path.name, steps)
        how = plan.end.removeprefix("end: ")
        if how in ("SIGINT", "SIGTERM"):
            training.signal(signal.SIGINT if how == "SIGINT" else signal.SIGTERM)
        else:
            training.tell("end", how=how)
        found = training.wait()
        if found != code:
            findings.problems.append(f"{training.path.name}: exit status {found}, not {code}: {training.stderr()}")
        if plan.ends_within:
            self._mend(plan.faults[-1])
        must = {key: training.last.get(key, training.steps) for key in ("four", "single")}
        findings.add(checks.check_scalars(training.path, self.lives, must, exact=True))
        findings.problems += checks.check_others(training.path, must["four"], is_resumed=self.lives[-1][0] > 0)
        if wrong := checks.check_status(training.path, status):
            findings.problems += [*wrong, f"{training.path.name}: stderr: {training.stderr()}"]
        if not plan.ends_within and not is_settled:
            findings.problems += checks.check_windows(self.server, training.path.name, must["four"])
        if not self.was_killed:
            findings.problems += checks.check_files(training.path)
        return findings

    def _give_up(self, findings: Findings) -> None:
        """End a round that went wrong, so that the next one begins with everything in place."""
        self.training.kill()
        self.network.mend()
        if self.server.served is None:
            self.server.start()
        else:
            self.server.served.process.send_signal(signal.SIGCONT)
        if self._mounts and not os.path.ismount(self.logdir):
            mount("--bind", str(self.disk), str(self.logdir))
        if self.training.path.exists():
            must = self.training.steps
            findings.add(
                checks.check_scalars(self.training.path, self.lives, {"four": must, "single": must}, exact=False)
            )

    # The faults

    def _begin(self, fault: Fault) -> None:
        assert self.server.served is not None
        if fault.name == "training stopped":
            self.training.signal(signal.SIGSTOP)
        elif fault.name == "Visdom stopped":
            self.server.served.process.send_signal(signal.SIGSTOP)
        elif fault.name == "Visdom killed":
            self.server.stop()
        elif fault.cut:
            self.network.cut(fault.cut)
        elif fault.name == "signals":
            for _ in range(BURST):
                self.training.signal(signal.SIGUSR1)
                time.sleep(fault.length / BURST)
        elif fault.name == "clock stepped":
            self.training.ask("clock", seconds=86400.0 if fault.chance < 0.5 else -86400.0)
        elif fault.name == "disk full":
            fill(self.disk / "ballast")
        elif fault.name == "file size limit":
            size = max(file.stat().st_size for file in self.training.path.iterdir())
            self._limit(size + int(fault.chance * 1000))
        elif fault.name == "file system unmounted":
            subprocess.run(["umount", "-l", str(self.logdir)], check=True)
        elif fault.name == "directory moved":
            self.training.path.rename(self.logdir / "aside")

    def _mend(self, fault: Fault) -> None:
        if fault.name == "training stopped":
            self.training.signal(signal.SIGCONT)
        elif fault.name == "Visdom stopped":
            assert self.server.served is not None
            self.server.served.process.send_signal(signal.SIGCONT)
        elif fault.name == "Visdom killed":
            self.server.start()
        elif fault.cut:
            self.network.mend()
        elif fault.name == "disk full":
            (self.disk / "ballast").unlink()
        elif fault.name == "file size limit":
            self._limit(resource.RLIM_INFINITY)
        elif fault.name == "file system unmounted":
            mount("--bind", str(self.disk), str(self.logdir))
        elif fault.name == "directory moved":
            self._move_back()

    def _limit(self, size: int) -> None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.training.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def _move_back(self) -> None:
        path, number = self.training.path, 0
        while True:
            try:
                (self.logdir / "aside").rename(path)
            except OSError:  # the run has made the directory again: move that one away
                number += 1
                path.rename(self.logdir / f"made again {number}")
            else:
                return


def count_steps(path: Path) -> int:
    """Return how many steps the event files of a run hold."""
    from tests.support import event_reader

    return len(event_reader.series(path, "train/loss"))


def fill(path: Path) -> None:
    """Fill the disk to its last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def mount(*arguments: str) -> None:
    """Mount a file system."""
    subprocess.run(["mount", *arguments], check=True)
