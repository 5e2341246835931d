"""How a trial starts: its command line, its environment, its GPU, and what an earlier attempt left."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.rules.halving import parse_settings
from monitor.runs.processes.rank import without_ranks
from monitor.runs.run_file import RUN_FILE
from monitor.runs.scripts.script_session import DIRECTORY_VARIABLE
from monitor.runs.trials.trial import SWEEP_VARIABLE, runs_path
from monitor.runs.trials.trial import Trial as SweepTrial
from monitor.sinks import registry
from monitor.sweeps.processes.trial_process import TrialProcess, TrialServer
from monitor.sweeps.results import log_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.runs.trials.trial import Population
    from monitor.sweeps.results import Trial
    from monitor.sweeps.settings import Sweep

THREADS_VARIABLE, GPUS_VARIABLE = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"


class TrialStarter:
    """Starts the trials of one driver."""

    def __init__(
        self,
        sweep: Sweep,
        folder: Path,
        logdir: Path,
        jobs: int,
        specs: Callable[[str], Sequence[str]],
    ) -> None:
        """Start the process that will start the trials.

        `specs` returns the sinks of a run by its name. Each of several jobs gets one of the GPUs.
        """
        self._sweep, self._folder, self._logdir, self._specs = sweep, folder.absolute(), logdir.absolute(), specs
        self._gpus = gpus()
        self._server = TrialServer(sweep.target.preloads, trial_environment(jobs), working_directory(sweep))

    def start(self, trial: Trial, claim: int, slot: int) -> TrialProcess:
        """Start a trial in a process that inherits the descriptor `claim`. Raises `OSError`."""
        arguments, variables = prepare(self._sweep, self._folder, self._logdir, trial, self._specs)
        if self._gpus:
            variables[GPUS_VARIABLE] = self._gpus[slot % len(self._gpus)]
        return self._server.start(arguments, variables, claim, log_path(self._folder, trial.number))

    def close(self) -> None:
        """End the process that starts the trials."""
        self._server.close()


def prepare(
    sweep: Sweep,
    folder: Path,
    logdir: Path,
    trial: Trial,
    specs: Callable[[str], Sequence[str]],
    population: Population | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Return the arguments of `monitor` that run a trial, and the variables of its environment.

    What an earlier attempt has noted is removed. `folder` and `logdir` are absolute. Raises `OSError`.
    """
    name = f"{sweep.name}-{trial.number}"
    sinks = specs(name)
    options = {"--name": [name], "--logdir": [str(logdir)], "--sink": sinks}
    arguments = sweep.target.trial_command(trial.number, trial.settings(sweep), options)
    prune = None if sweep.prune is None else parse_settings(sweep.prune).fields()
    peers = None if population is None else population._asdict()
    known = SweepTrial(
        sweep.name, trial.number, sweep.metric, sweep.goal, trial.values(sweep), folder, prune, sweep.is_best, peers
    )
    variables = {SWEEP_VARIABLE: known.to_environment()}
    if sweep.target.kind == "runner" and "--name" not in arguments:  # another's, without our options
        variables |= {DIRECTORY_VARIABLE: str(logdir / name), registry.SPECS_VARIABLE: ",".join(sinks)}
    runs_path(folder, trial.number).unlink(missing_ok=True)
    left = logdir / name / RUN_FILE
    if left.is_file() and not left.stat().st_size:  # killed while it made the run, which would be beside it now
        left.unlink()
    return arguments, variables


def trial_environment(jobs: int = 1) -> dict[str, str]:
    """Return the environment of all trials: that of this process, without its place among those of a launcher.

    With several jobs, each gets its share of the processor cores.
    """
    environment = without_ranks(os.environ)
    if jobs > 1:
        environment.setdefault(THREADS_VARIABLE, str(max(1, len(os.sched_getaffinity(0)) // jobs)))
    return environment


def working_directory(sweep: Sweep) -> str:
    """Return where trials run: where the sweep was started, if that is there on this machine."""
    return sweep.directory if Path(sweep.directory).is_dir() else str(Path.cwd())


def gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them. Does not use CUDA."""
    visible = os.environ.get(GPUS_VARIABLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip()]
        return names if "-1" not in names else []
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    count = sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    return [str(number) for number in range(count)]
