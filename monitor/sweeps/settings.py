"""The settings of a sweep, and its folder `LOGDIR/NAME.sweep`, which all of its drivers share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError, MonitorError, SpaceError
from monitor.machine.files import atomic_write
from monitor.metrics import GOALS
from monitor.runs.settings.masking import mask_command
from monitor.runs.trials.trial import SWEEP_SUFFIX, TRIALS_FOLDER
from monitor.suggestions import hint
from monitor.sweeps.space import Dimension, from_value, unique
from monitor.sweeps.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS_FILE = "sweep.json"
SAMPLERS = ("tpe", "random", "grid", "qmc")
ENGINES = ("optuna", "ray")


@dataclass(frozen=True)
class Sweep:
    """What is swept, over which space, and by which metric.

    Attributes:
        name: of the sweep; its runs are `NAME-0`, `NAME-1`, and so on.
        target: the program.
        space: its options.
        metric: the tag of a scalar.
        is_best: whether a trial is worth the best value of the metric, not the last one.
        goal: `min` or `max`.
        trials: how many there are to be.
        sampler: of `SAMPLERS`.
        seed: of the sampler.
        retries: how often a trial starts again whose process was killed.
        engine: of `ENGINES`.
        directory: where it was started; the paths of the command line are relative to it.
        sinks: where its trials log; the default ones if it is empty.
        prune: how trials prune each other, such as `reduction_factor=3`; None if they do not.
        perturb_every: the epochs after which trials may go on from others' weights; None if they never do.
    """

    name: str
    target: Target
    space: tuple[Dimension, ...]
    metric: str
    goal: str
    trials: int
    is_best: bool = False
    sampler: str = "tpe"
    seed: int = 0
    retries: int = 2
    engine: str = "optuna"
    directory: str = "."
    sinks: tuple[str, ...] = ()
    prune: str | None = None
    perturb_every: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what `sweep.json` holds."""
        target = self.target
        return {
            "name": self.name,
            "engine": self.engine,
            target.kind: target.name,
            "arguments": list(target.arguments),
            "set": {dimension.option: dimension.as_json() for dimension in self.space},
            "metric": self.metric,
            "value": "best" if self.is_best else "last",
            "goal": self.goal,
            "trials": self.trials,
            "sampler": self.sampler,
            "seed": self.seed,
            "retries": self.retries,
            "directory": self.directory,
            "sinks": list(self.sinks),
            "prune": self.prune,
            "perturb_every": self.perturb_every,
        }

    def has_space_of(self, other: Sweep) -> bool:
        """Whether the other one does the same, apart from how many trials there are, and how they are run."""
        free: dict[str, Any] = {"trials": 0, "retries": 0, "directory": "", "sinks": ()}
        return replace(self, **free) == replace(other, **free)


@dataclass(frozen=True)
class RayOptions:
    """How Ray runs the trials.

    Attributes:
        address: of the cluster, such as `auto`; None starts Ray on this machine.
        cpus, gpus: of each trial.
        scheduler: `asha` ends bad trials early, `fifo` none; a population has its own.
    """

    address: str | None = None
    cpus: float = 1
    gpus: float = 0
    scheduler: str = "fifo"


def read_sweep(folder: Path) -> Sweep:
    """Return the sweep of a folder. Raises `DataError` if there is none, or if its file cannot be read."""
    file = folder / SETTINGS_FILE
    try:
        fields = json.loads(file.read_bytes())
        kind = next(kind for kind in ("runner", "script", "module") if kind in fields)
        sweep = Sweep(
            name=str(fields["name"]),
            target=Target(kind, str(fields[kind]), tuple(map(str, fields["arguments"]))),
            space=unique([from_value(option, value) for option, value in fields["set"].items()]),
            metric=str(fields["metric"]),
            goal=_one_of(fields["goal"], GOALS),
            trials=int(fields["trials"]),
            is_best=fields["value"] == "best",
            sampler=_one_of(fields["sampler"], SAMPLERS),
            seed=int(fields["seed"]),
            retries=int(fields["retries"]),
            engine=_one_of(fields["engine"], ENGINES),
            directory=str(fields["directory"]),
            sinks=tuple(map(str, fields["sinks"])),
            prune=None if fields.get("prune") is None else str(fields["prune"]),
            perturb_every=None if fields.get("perturb_every") is None else int(fields["perturb_every"]),
        )
    except FileNotFoundError:
        raise DataError(f"there is no sweep in {str(folder)!r}: it has no {SETTINGS_FILE}") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration, MonitorError) as error:
        raise DataError(f"{file} cannot be read: {type(error).__name__}: {error}") from error
    return sweep


def write_sweep(folder: Path, sweep: Sweep) -> None:
    """Write `sweep.json`; if its arguments may hold a secret, for this user alone. Raises `OSError`."""
    (folder / TRIALS_FOLDER).mkdir(parents=True, exist_ok=True)
    arguments = list(sweep.target.arguments)
    mode = None if mask_command(arguments) == arguments else 0o600
    atomic_write(folder / SETTINGS_FILE, json.dumps(sweep.as_json(), indent=2, ensure_ascii=False) + "\n", mode)


def sweep_folder(logdir: Path, name: str) -> Path:
    """Return the folder of a sweep, which need not be there."""
    return logdir / f"{name}{SWEEP_SUFFIX}"


def find_folder(name: str, logdir: Path) -> Path:
    """Return the folder of a sweep by its name, or by its path. Raises `DataError` if there is none."""
    path = Path(name)
    for folder in (sweep_folder(logdir, name), path, path.with_name(path.name + SWEEP_SUFFIX)):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    known = [
        found.parent.name.removesuffix(SWEEP_SUFFIX)
        for found in sorted(logdir.glob(f"*{SWEEP_SUFFIX}/{SETTINGS_FILE}"))
    ]
    raise DataError(f"there is no sweep {name!r} in {str(logdir)!r}{hint(name, known)}")


def check_sampler(sweep: Sweep) -> None:
    """Raise `SpaceError` if the sampler cannot take the space."""
    if sweep.sampler == "grid":
        endless = [dimension.option for dimension in sweep.space if dimension.grid() is None]
        if endless:
            raise SpaceError(
                f"--sampler grid needs values that can be counted, and {endless[0]!r} has no end of them; "
                "accepted: A,B,C, ints LOW..HIGH, LOW..HIGH:STEP"
            )


def _one_of(value: Any, names: Sequence[str]) -> str:
    if value not in names:
        raise ValueError(f"{value!r} is none of {', '.join(names)}")
    return str(value)
