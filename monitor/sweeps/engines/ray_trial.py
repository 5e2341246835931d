"""A trial on a Ray cluster: an actor that runs it in a process of its own, and reports each value of the metric."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ray import tune

from monitor.events.reading.reader import read_scalars
from monitor.machine.files import atomic_write
from monitor.sweeps.claims import Claim
from monitor.sweeps.locks import SweepLock
from monitor.sweeps.processes.sessions import end_session, end_strays, send_signal
from monitor.sweeps.processes.start import prepare, trial_environment, working_directory
from monitor.sweeps.results import Trial, is_ended, log_path, result_of, runs_of
from monitor.sweeps.setup import LOCK_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.runs.trials.trial import Population
    from monitor.sweeps.settings import Sweep

NUMBERS_FILE = "ray.json"  # in the sweep's folder: the numbers of the trials by Ray's names
# Ray's actors ignore SIGINT and block it, and what they start would too. When the actor ends, its trial gets one.
START = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGINT)
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
os.execv(sys.argv[1], sys.argv[1:])
"""
RUN_NAME = "monitor-run-name"  # in a spec: the name of the run
PROCESS_KILLED = "its process was killed"
POLL_INTERVAL_S = 0.2
STOP_TIMEOUT_S = 30.0


class RayTrial(tune.Trainable):  # type: ignore[misc]
    """One trial. Ray makes it on the node that has the resources, and again where that node is gone."""

    def setup(self, config: dict[str, Any], sweep: Sweep, folder: str, logdir: str, specs: Sequence[str]) -> None:
        """Keep what the first step needs, which starts the process."""
        self._sweep, self._folder, self._logdir, self._specs = sweep, Path(folder), Path(logdir), specs
        self._trial = trial_of(sweep, self._folder, self.trial_id, config)
        self._reported = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._claim = Claim(self._folder, self._trial.number)
        self._has_begun = self._is_watched = False

    def _begin(self) -> None:
        """Start the process, unless the trial has ended already and only its driver did not get to know."""
        self._has_begun = True
        self._is_watched = not self._claim.take()
        if self._is_watched:  # the process that a dead driver has left: its values are reported from here on
            return
        end_strays(self._folder, self._trial.number, self._claim.pid)
        if self._has_ended():
            return
        arguments, variables = prepare(
            self._sweep,
            self._folder,
            self._logdir,
            self._trial,
            lambda name: _specs_of(self._specs, name),
            self._population(),
        )
        with log_path(self._folder, self._trial.number).open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, sys.executable, "-m", "monitor", *arguments],
                cwd=working_directory(self._sweep),
                env={**trial_environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[self._claim.descriptor],
                start_new_session=True,
            )
        self._claim.write(process=_identity(self._process.pid))

    def step(self) -> dict[str, Any]:
        """Wait for the next value of the metric, or for the end. Raises `RuntimeError` if the process was killed."""
        if not self._has_begun:
            self._begin()
        while True:
            has_ended, code = self._poll()
            self._claim.touch()
            points = self._points()
            if len(points) > self._reported:
                self._reported += 1
                step, value = points[self._reported - 1]
                return {"value": value, "step": step, "done": False}
            if has_ended:
                return self._end(code)
            time.sleep(POLL_INTERVAL_S)

    def _poll(self) -> tuple[bool, int | None]:
        """Return whether the process has ended, and its return code, if it is known."""
        if self._process is not None:
            code = self._process.poll()
            return code is not None, code
        return not self._is_watched or self._claim.try_lock(), None

    def _end(self, code: int | None) -> dict[str, Any]:
        if code is not None and code < 0 and self._process is not None:
            end_session(self._process.pid)
        result = result_of(self._sweep, self._folder, self._trial, code)
        if not is_ended(result):
            raise RuntimeError(PROCESS_KILLED)
        value = float("nan") if result.value is None else result.value
        return {"value": value, "step": result.step, "state": result.state, "done": True}

    def _has_ended(self) -> bool:
        return is_ended(result_of(self._sweep, self._folder, self._trial, None))

    def _population(self) -> Population | None:
        """Return the population that the trial is of, if it is of one."""
        return None

    def _points(self) -> list[tuple[int, float]]:
        for run in runs_of(self._folder, self._trial.number):
            with suppress(OSError):
                points = read_scalars(run, [self._sweep.metric])[self._sweep.metric]
                if points:
                    return points
        return []

    def cleanup(self) -> None:
        """Stop the process, where Ray's scheduler has ended the trial before it ended itself."""
        pid = self._claim.pid
        if pid is not None and not self._poll()[0]:
            send_signal(pid, signal.SIGINT)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while time.monotonic() < deadline and not self._poll()[0]:
                time.sleep(POLL_INTERVAL_S)
            end_session(pid)
        self._claim.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keep nothing: runs have checkpoints of their own."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing."""


def number_of(folder: Path, trial_id: str) -> int:
    """Return the number of the trial that Ray knows by this name; a new one gets the next."""
    file = folder / NUMBERS_FILE
    with SweepLock(folder / LOCK_FILE):
        known: dict[str, int] = json.loads(file.read_bytes()) if file.exists() else {}
        if trial_id not in known:
            known[trial_id] = len(known)
            atomic_write(file, json.dumps(known))
    return known[trial_id]


def trial_of(sweep: Sweep, folder: Path, trial_id: str, config: Mapping[str, Any]) -> Trial:
    """Return the trial that Ray knows by this name."""
    chosen = ((dimension.option, config[dimension.option]) for dimension in sweep.space)
    parameters = {option: value.item() if hasattr(value, "item") else value for option, value in chosen}  # of NumPy
    return Trial(number_of(folder, trial_id), parameters)


def _specs_of(specs: Sequence[str], name: str) -> list[str]:
    return [spec.replace(RUN_NAME, quote(name)) for spec in specs]


def _identity(pid: int) -> dict[str, Any] | None:
    from monitor.runs.processes.process import identity

    try:
        return identity(pid)
    except OSError:  # it has ended already
        return None
