"""Population-based training by Ray's own scheduler: bad trials go on from the weights of good ones, with other options.

A trial is one run for its whole life. Its process waits after each round of epochs (`wait_at_gate`) until Ray has
decided. To go on from another trial's weights, it ends, and starts again from a copy of that one's checkpoint.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.search import BasicVariantGenerator

from monitor.runs.trials.population import open_gate, read_gate
from monitor.runs.trials.trial import Population
from monitor.sweeps.engines.ray_trial import POLL_INTERVAL_S, RayTrial
from monitor.sweeps.population import Limits, changing, config_name
from monitor.sweeps.processes.sessions import send_signal
from monitor.sweeps.results import Trial, runs_of

if TYPE_CHECKING:
    from monitor.sweeps.settings import Sweep
    from monitor.sweeps.space import Dimension

TRIAL_FILE = "trial.json"  # in a checkpoint of Ray
CHECKPOINT_FOLDER, CHECKPOINTS = "checkpoints", "step-*.pt"  # of a run, the last one by name is the newest
TAKE_TIMEOUT_S = 90.0  # for the process of an earlier actor to end


def population_settings(sweep: Sweep) -> tuple[dict[str, Any], PopulationBasedTraining, BasicVariantGenerator]:
    """Return the space as Ray has it, the scheduler, and what draws the first values; seed what they draw from."""
    import numpy as np

    random.seed(sweep.seed)
    np.random.seed(sweep.seed)
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        metric="value",
        mode=sweep.goal,
        perturbation_interval=1,
        hyperparam_mutations={dimension.option: _mutations(dimension) for dimension in changing(sweep)},
        custom_explore_fn=Limits(sweep),
    )
    space = {dimension.option: _domain(dimension) for dimension in sweep.space}
    return space, scheduler, BasicVariantGenerator(random_state=sweep.seed)


def _domain(dimension: Dimension) -> Any:
    if dimension.is_integer and not dimension.step:
        draw = tune.lograndint if dimension.log else tune.randint
        return draw(int(dimension.low), int(dimension.high) + 1)
    values = dimension.grid()
    if values is not None:
        return tune.choice(values)
    return (tune.loguniform if dimension.log else tune.uniform)(dimension.low, dimension.high)


def _mutations(dimension: Dimension) -> Any:
    """Return the values of which Ray takes a neighbor, or the range in which it multiplies by 0.8 or 1.2."""
    return dimension.grid() or _domain(dimension)


def remove_copies(stored: Path) -> None:
    """Remove the copies of checkpoints from the folder of an experiment of Ray's that has ended."""
    for folder in stored.glob("*/checkpoint_*"):
        shutil.rmtree(folder, ignore_errors=True)


class PopulationTrial(RayTrial):
    """One trial of a population. A step of Ray's is a round of epochs."""

    def step(self) -> dict[str, Any]:
        """Let the training go on, and wait until its next round has ended, or it has."""
        number = self._trial.number
        if self._has_begun:
            open_gate(self._folder, number)
        else:
            self._begin()
        while True:
            has_ended, code = self._poll()
            self._claim.touch()
            if has_ended:
                return self._end(code)
            gate = read_gate(self._folder, number)
            if gate is not None:
                value = next((v for step, v in reversed(self._points()) if step <= gate.step), float("nan"))
                rounds = gate.epoch // (self._sweep.perturb_every or 1)
                return {"value": value, "step": gate.step, "training_iteration": rounds, "done": False}
            time.sleep(POLL_INTERVAL_S)

    def _begin(self) -> None:
        self._take_claim()
        open_gate(self._folder, self._trial.number)
        super()._begin()

    def _take_claim(self) -> None:
        """Wait until the process of an earlier actor has ended, which may just be ending."""
        deadline = time.monotonic() + TAKE_TIMEOUT_S
        while not self._claim.take():
            self._claim.read()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the process of trial {self._trial.number} does not end")
            if self._claim.pid is not None and self._claim.adopt():
                send_signal(self._claim.pid, signal.SIGINT)
            time.sleep(POLL_INTERVAL_S)
        taken = self._claim.owner.get("taken")
        if taken is not None:  # Ray may have forgotten it: its driver may have died before it wrote that down
            self._trial = Trial(self._trial.number, taken["parameters"])

    def _population(self) -> Population:
        names = tuple(config_name(dimension) for dimension in changing(self._sweep))
        taken = self._claim.owner.get("taken") or {}
        return Population(names, self._sweep.perturb_every or 1, taken.get("trial"), taken.get("checkpoint"))

    @property
    def _checkpoints(self) -> Path:
        noted = runs_of(self._folder, self._trial.number)
        run = noted[0] if noted else self._logdir / f"{self._sweep.name}-{self._trial.number}"
        return run / CHECKPOINT_FOLDER

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the newest checkpoint of the run, which is that of the round that has ended."""
        files = sorted(self._checkpoints.glob(CHECKPOINTS))
        known = {"trial": self._trial.number, "parameters": dict(self._trial.parameters)}
        if files:
            shutil.copyfile(files[-1], Path(checkpoint_dir) / files[-1].name)
            known["checkpoint"] = files[-1].name
        (Path(checkpoint_dir) / TRIAL_FILE).write_text(json.dumps(known), "utf-8")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Put the checkpoint of another trial in the place of those of this one, which goes on from it.

        Of its own ones, the run has the newest already. So it has if Ray only starts the trial again.
        """
        known = json.loads((Path(checkpoint) / TRIAL_FILE).read_text("utf-8"))
        if known["trial"] == self._trial.number or "checkpoint" not in known:
            return
        own = {d.option: self._trial.parameters[d.option] for d in changing(self._sweep)}
        wanted = {**known, "parameters": {**known["parameters"], **own}}
        self._take_claim()
        if self._claim.owner.get("taken") == wanted or self._has_ended():
            return
        folder, name = self._checkpoints, known["checkpoint"]
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.part"
        shutil.copyfile(Path(checkpoint) / name, temporary)
        temporary.replace(folder / name)
        for file in folder.glob(CHECKPOINTS):
            if file.name != name:
                file.unlink()
        self._claim.write(taken=wanted)
        self._trial = Trial(self._trial.number, wanted["parameters"])
