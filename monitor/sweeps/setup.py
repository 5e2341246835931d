"""From the command line, or a TOML file, to a sweep and its folder."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import DataError, SpaceError
from monitor.metrics import GOALS, goal
from monitor.rules.halving import parse_settings
from monitor.runs.opening import default_name
from monitor.sweeps.description import read_description
from monitor.sweeps.locks import SweepLock
from monitor.sweeps.population import check_population
from monitor.sweeps.settings import (
    ENGINES,
    SAMPLERS,
    SETTINGS_FILE,
    Sweep,
    check_sampler,
    read_sweep,
    sweep_folder,
    write_sweep,
)
from monitor.sweeps.space import parse, size, unique
from monitor.sweeps.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK_FILE = "sweep.lock"
MAX_TRIALS = 10**6


def make_sweep(
    target: str, arguments: Sequence[str], *, is_module: bool, perturb_every: int | None = None, **given: Any
) -> Sweep:
    """Return the sweep of a command line; what it leaves out comes from the TOML file that it names, if it does.

    With `perturb_every`, it is a population. Raises `SpaceError` for what is missing or cannot be.
    """
    settings: dict[str, Any] = {}
    if target.endswith(".toml") and not is_module:
        settings = read_description(Path(target))
        arguments = [*settings.get("arguments", ()), *arguments]
        kind = next(kind for kind in ("runner", "script", "module") if kind in settings)
        target, is_module = settings[kind], kind == "module"
    found = Target.find(target, arguments, is_module=is_module)
    set_here = [parse(text) for text in given.pop("space")]
    names = {dimension.name for dimension in set_here}
    space = unique([d for d in settings.pop("set", []) if d.name not in names] + set_here)
    settings |= {name: value for name, value in given.items() if value is not None}
    metric = settings.get("metric")
    if not metric:
        raise SpaceError("--metric is missing: name the scalar that counts, such as --metric test/accuracy")
    wanted = settings.get("goal") or goal(metric)
    if wanted is None:
        raise SpaceError(f"the name of {metric!r} does not say if it should be low or high; add --goal min, or max")
    for name, value, accepted in (
        ("goal", wanted, GOALS),
        ("value", settings.get("value", "last"), ("last", "best")),
        ("sampler", settings.get("sampler", "tpe"), SAMPLERS),
        ("engine", settings.get("engine", "optuna"), ENGINES),
    ):
        if value not in accepted:
            raise SpaceError(f"{name} is {value!r}; accepted: {', '.join(accepted)}")
    sweep = Sweep(
        name=settings.get("name") or default_name(Path(target).stem),
        target=found,
        space=tuple(found.checked(space)),
        metric=metric,
        goal=wanted,
        trials=settings.get("trials", 0),
        is_best=settings.get("value") == "best",
        sampler=settings.get("sampler", "tpe" if perturb_every is None else "random"),
        seed=settings.get("seed", 0),
        retries=settings.get("retries", 2),
        engine=settings.get("engine", "optuna"),
        directory=str(Path.cwd()),
        sinks=tuple(settings.get("sinks", ())),
        prune=settings.get("prune"),
        perturb_every=perturb_every,
    )
    if perturb_every is not None:
        check_population(sweep, settings.get("sampler"))
    check_sampler(sweep)
    parse_settings(sweep.prune or "")
    points = size(sweep.space)
    if sweep.sampler == "grid" and points is not None:
        sweep = replace(sweep, trials=points if sweep.engine == "ray" else min(points, sweep.trials or points))
    if not 0 < sweep.trials <= MAX_TRIALS:
        raise SpaceError(f"--trials is {sweep.trials or 'missing'}: say how many, from 1 to {MAX_TRIALS:,}")
    return sweep


def open_folder(sweep: Sweep, logdir: Path, **changes: Any) -> Sweep:
    """Return the sweep as its folder in `logdir` has it, which is made if it is not there.

    `changes` replace what is in there: `trials`, `retries`, and `sinks`, where they are not None. Raises `DataError` if
    another sweep has the folder, or if it cannot be written.
    """
    folder = sweep_folder(logdir, sweep.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with SweepLock(folder / LOCK_FILE):
            if (folder / SETTINGS_FILE).exists():
                found = read_sweep(folder)
                if not found.has_space_of(sweep):
                    name = found.name
                    raise DataError(f"there is another sweep {name!r} in {str(logdir)!r}; give another --name")
                changed = replace(found, **{name: value for name, value in changes.items() if value is not None})
                if changed == found:
                    return found
                sweep = changed
            write_sweep(folder, sweep)
    except OSError as error:
        raise DataError(f"{str(logdir)!r} cannot be written: {error.strerror or error}") from error
    return sweep


def sample_commands(sweep: Sweep, count: int) -> list[str]:
    """Return the command lines of the first trials, as they would be if no result came in. Writes nothing."""
    from monitor.sweeps.engines.optuna_engine import OptunaEngine

    engine = OptunaEngine(sweep, None, _NoLock())
    lines: list[str] = []
    while len(lines) < count and (trial := engine.ask(sweep.trials)) is not None:
        lines.append(shlex.join(sweep.target.user_command(trial.settings(sweep))))
    if len(lines) < sweep.trials:
        lines.append(f"… and {sweep.trials - len(lines)} more")
    return lines


class _NoLock(SweepLock):
    """For a study that nobody shares."""

    def __init__(self) -> None:
        pass

    def acquire(self) -> bool:
        """Do nothing."""
        return True

    def release(self) -> None:
        """Do nothing."""
