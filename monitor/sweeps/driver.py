"""The driver of a sweep on one machine: it starts trials, watches them, and takes up those of drivers that are gone."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.runs.processes import process
from monitor.runs.processes.process import signals_handled
from monitor.sweeps.claims import Claim
from monitor.sweeps.processes.sessions import end_session, end_strays, send_signal
from monitor.sweeps.results import Result, Trial, is_ended, result_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from monitor.sweeps.engines.optuna_engine import OptunaEngine
    from monitor.sweeps.locks import SweepLock
    from monitor.sweeps.processes.start import TrialStarter
    from monitor.sweeps.processes.trial_process import TrialProcess
    from monitor.sweeps.reporting import Reporter
    from monitor.sweeps.settings import Sweep

HEARTBEAT_INTERVAL_S = 5.0
ADOPTED_INTERVAL_S = 0.2  # between two looks at trials of a dead driver, whose ends nobody tells
STOP_TIMEOUT_S = 30.0  # for a trial that is asked to end; then it is killed
FIRST_FAILURES = 3  # in a row, before any success: then something is wrong with all of them


@dataclass
class Active:
    """A trial that this driver runs, or watches after its driver died; then there is no `process`."""

    trial: Trial
    claim: Claim
    slot: int
    is_adopted: bool = False
    process: TrialProcess | None = None

    @property
    def pid(self) -> int | None:
        """The number of its process, if it is known and alive."""
        if self.process is not None:
            return self.process.pid
        self.claim.read()
        return self.claim.pid if process.is_alive(self.claim.owner.get("process")) else None


class Driver:
    """Runs trials, at most `jobs` at a time, until the sweep has all of its results.

    Attributes:
        stopped_by: the signal that stopped it, or None.
        problem: why it gave up, or None.
    """

    def __init__(
        self,
        sweep: Sweep,
        folder: Path,
        engine: OptunaEngine,
        lock: SweepLock,
        starter: TrialStarter,
        reporter: Reporter,
        jobs: int,
    ) -> None:
        self._sweep, self._folder, self._engine, self._lock = sweep, folder, engine, lock
        self._starter, self._reporter, self._jobs = starter, reporter, jobs
        self._active: list[Active] = []
        self._failures, self._successes = 0, 0
        self._kills = False
        self._last_heartbeat = time.monotonic()
        self._woken, self._waker = os.pipe()
        for descriptor in (self._woken, self._waker):
            os.set_blocking(descriptor, False)
        self.stopped_by: int | None = None
        self.problem: str | None = None

    def run(self) -> None:
        """Run the sweep to its end, or until SIGINT, SIGTERM, or SIGHUP; then the trials are stopped first.

        Raises `OSError` if the sweep's folder cannot be written; the trials are stopped then, too.
        """
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with signals_handled(dict.fromkeys(numbers, self._on_signal)):
            previous = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
            try:
                self._run()
            finally:
                self._stop()
                signal.set_wakeup_fd(previous)
                os.close(self._woken)
                os.close(self._waker)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._kills = self.stopped_by is not None
        self.stopped_by = number

    def _run(self) -> None:
        while self.stopped_by is None and self.problem is None:
            is_waiting = False
            while self.stopped_by is None and len(self._active) < self._jobs:
                active = self._take()
                if active is None:
                    is_waiting = True
                    break
                self._active.append(active)
                if not active.is_adopted:
                    self._start(active)
            if not self._active and is_waiting:
                with self._lock:
                    others = len(self._engine.running())
                if not others:
                    return
                self._reporter.waiting(others)
            self._wait(HEARTBEAT_INTERVAL_S)

    def _take(self) -> Active | None:
        """Return a trial that nobody runs any more, one that a dead driver has left running, or a new one."""
        slot = next(slot for slot in range(self._jobs) if all(active.slot != slot for active in self._active))
        with self._lock:
            for trial in self._engine.running():
                if any(active.trial.number == trial.number for active in self._active):
                    continue
                claim = Claim(self._folder, trial.number)
                if claim.take():
                    end_strays(self._folder, trial.number, claim.pid)
                    result = result_of(self._sweep, self._folder, trial, None)
                    if not is_ended(result) or (result.state == "failed" and claim.owner.get("stopped")):
                        return Active(trial, claim, slot)
                    self._keep(result)
                elif claim.adopt():
                    self._reporter.adopted(trial)
                    return Active(trial, claim, slot, is_adopted=True)
                claim.close()
            new = self._engine.ask(self._sweep.trials)
            if new is None:
                return None
            claim = Claim(self._folder, new.number)
            claim.take()
            return Active(new, claim, slot)

    def _start(self, active: Active) -> None:
        """Start the process of a trial."""
        active.process = self._starter.start(active.trial, active.claim.descriptor, active.slot)
        with suppress(OSError):  # it has ended already
            active.claim.write(process=process.identity(active.process.pid), stopped=False)

    def _wait(self, seconds: float) -> None:
        """Wait until a trial ends, a signal comes, or the time is over; deal with what ended."""
        adopted = [active for active in self._active if active.process is None]
        processes = {active.process.fileno(): active for active in self._active if active.process is not None}
        timeout = min(seconds, ADOPTED_INTERVAL_S) if adopted else seconds
        ready, _, _ = select.select([self._woken, *processes], [], [], timeout)
        if self._woken in ready:
            os.read(self._woken, 4096)
        for descriptor in ready:
            if descriptor in processes:
                self._end_process(processes[descriptor])
        for active in adopted:
            if active.claim.try_lock():
                end_strays(self._folder, active.trial.number, active.claim.pid)
                self._end(active, None)
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT_INTERVAL_S:
            self._last_heartbeat = time.monotonic()
            self._show_life()

    def _end_process(self, active: Active) -> None:
        assert active.process is not None
        code, leader = active.process.return_code(), active.process.pid
        active.process.close()
        active.process = None
        if code is None:  # the server is gone, and the trial may go on: it is watched by its claim
            shared, active.claim = active.claim, Claim(self._folder, active.trial.number)
            shared.close()
            return
        if code < 0:
            end_session(leader)
        self._end(active, code)

    def _end(self, active: Active, code: int | None) -> None:
        """Keep the result of a trial whose processes have ended, or start it again."""
        if not active.claim.is_ours:  # another driver was quicker
            self._drop(active)
            return
        is_stopping = self.stopped_by is not None or self.problem is not None
        result = result_of(self._sweep, self._folder, active.trial, code)
        if is_stopping and result.state in ("killed", "failed"):
            self._drop(active)
            return
        if not is_ended(result):
            deaths = active.claim.deaths + 1
            if deaths <= self._sweep.retries:
                active.claim.write(deaths=deaths)
                self._reporter.retried(active.trial, code)
                self._start(active)
                return
            times = "once" if deaths == 1 else f"{deaths} times"
            result = result._replace(state="failed", error=f"its process was killed {times}")
        with self._lock:
            if active.claim.is_ours:
                self._keep(result)
        self._drop(active)

    def _keep(self, result: Result) -> None:
        """Tell the engine; give up if nothing can come of the sweep."""
        if not self._engine.tell(result):
            return
        results = self._engine.results()
        self._reporter.result(result, results)
        self._successes += result.state != "failed"
        self._failures += result.state == "failed"
        if self._successes or any(other.state != "failed" for other in results):
            return
        if result.lacks_metric is not None:
            self.problem = self._reporter.lacks_metric(result)
        elif self._failures >= max(FIRST_FAILURES, self._jobs):
            self.problem = f"the first {self._failures} trials failed; the last one: {result.error}"

    def _drop(self, active: Active) -> None:
        active.claim.close()
        self._active.remove(active)

    def _show_life(self) -> None:
        """Touch the claims, for other machines; a trial that one of them has taken since ends here."""
        for active in list(self._active):
            if active.claim.is_ours:
                active.claim.touch()
            elif (pid := active.pid) is not None:
                send_signal(pid, signal.SIGKILL, group=True)
            else:
                self._drop(active)

    def _stop(self) -> None:
        """Ask the trials to end, and wait; kill them after a while, or at the second signal."""
        if not self._active:
            return
        self._reporter.stopping(len(self._active))
        for active in self._active:
            active.claim.write(stopped=True)
            for pid in self._pids(active):
                send_signal(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        if self.stopped_by is None and self.problem is None:
            self.problem = "the sweep cannot go on"  # an exception is on its way
        while self._active:
            if self._kills or time.monotonic() > deadline:
                for active in self._active:
                    for pid in self._pids(active):
                        send_signal(pid, signal.SIGKILL, group=True)
            self._wait(min(1.0, HEARTBEAT_INTERVAL_S))

    def _pids(self, active: Active) -> Iterator[int]:
        pid = active.pid
        if pid is not None:
            yield pid
