"""One of the soak's three parallel runs: its disk, its network, its Visdom server, and what is done to them."""

from __future__ import annotations

import os
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
from tests.benchmarks.soak.ways import WAYS, mount
from tests.support.servers import VisdomServer

if TYPE_CHECKING:
    from pathlib import Path

DISK_MB = 64
SECOND = 1.05  # the promise, and the time that a signal takes to be delivered on a busy machine


class Slot:
    """The place of one run.

    Attributes:
        disk: a folder; with `mounts`, a small tmpfs.
        logdir: where the runs are; with `mounts`, a bind mount of `disk`.
        server: the Visdom server.
        network: what is between the training and the server.
        training: the latest training process.
        lives: the first step and the number of each process of the run.
        was_killed: whether the run was ever killed.
    """

    disk: Path
    logdir: Path
    server: VisdomServer
    network: Network

    def __init__(self, folder: Path, *, mounts: bool) -> None:
        """Set it up; `close` removes it again."""
        self.disk, self.logdir, self._mounts = folder / "disk", folder / "logdir", mounts
        self.disk.mkdir(parents=True)
        self.logdir.mkdir()
        if mounts:
            mount("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.disk))
            mount("--bind", str(self.disk), str(self.logdir))
        # No page is opened, so the files of Visdom's page are not needed.
        self.server = VisdomServer(folder / "envs", environment={"MONITOR_ASSETS_DIR": str(folder / "assets")})
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
        WAYS[fault.name].begin(self, fault)
        if not stays:
            time.sleep(fault.length)
            WAYS[fault.name].mend(self, fault)
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
        elif not plan.ends_within:
            training.ask("flush")  # `close` gives a sink that is failing when it begins 0.2 s
        how = plan.end.removeprefix("end: ")
        if how in ("SIGINT", "SIGTERM"):
            training.signal(signal.SIGINT if how == "SIGINT" else signal.SIGTERM)
        else:
            training.tell("end", how=how)
        found = training.wait()
        if found != code:
            findings.problems.append(f"{training.path.name}: exit status {found}, not {code}: {training.stderr()}")
        if plan.ends_within:
            WAYS[plan.faults[-1].name].mend(self, plan.faults[-1])
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


def count_steps(path: Path) -> int:
    """Return how many steps the event files of a run hold."""
    from tests.support import event_reader

    return len(event_reader.series(path, "train/loss"))
