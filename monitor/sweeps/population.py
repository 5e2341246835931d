"""A sweep as a population: which options may change in the middle of a run, and within which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.errors import SpaceError
from monitor.sweeps.target import changing_runners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.sweeps.settings import Sweep
    from monitor.sweeps.space import Dimension

PERTURB_EVERY = 5  # epochs
MIN_TRIALS = 2


def config_name(dimension: Dimension) -> str:
    """Return the name that the config of a run has for an option."""
    return dimension.name.replace("-", "_")


def changing(sweep: Sweep) -> list[Dimension]:
    """Return the dimensions that may change in the middle of a run."""
    accepted = sweep.target.changeable
    return [dimension for dimension in sweep.space if config_name(dimension) in accepted]


def check_population(sweep: Sweep, sampler: str | None) -> None:
    """Raise `SpaceError` if the sweep cannot be a population; `sampler` is the one that was asked for."""
    if sweep.engine != "ray":
        raise SpaceError("--scheduler pbt goes with --engine ray")
    if sampler not in (None, "random"):
        raise SpaceError(f"--scheduler pbt draws the first values at random; leave out --sampler {sampler}")
    if sweep.prune is not None:
        raise SpaceError("--prune ends bad trials, which --scheduler pbt gives the weights of good ones; choose one")
    if not sweep.target.changeable:
        raise SpaceError(
            f"--scheduler pbt changes options in the middle of a run, which {sweep.target.name!r} does not take; "
            f"accepted: {', '.join(changing_runners())}"
        )
    if not changing(sweep):
        options = ", ".join(name.replace("_", "-") for name in sweep.target.changeable)
        raise SpaceError(f"nothing in the space can change in the middle of a run; these can: {options}")
    if sweep.trials < MIN_TRIALS:
        raise SpaceError(f"--trials is {sweep.trials}; a population has {MIN_TRIALS} or more")


class Limits:
    """Keeps what has changed within the ranges of a space."""

    def __init__(self, sweep: Sweep) -> None:
        self._ranges = {d.option: (d.low, d.high) for d in changing(sweep) if not d.choices}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values by option, those that are outside of their range at its end."""
        ends = {option: self._ranges[option] for option in values if option in self._ranges}
        return {**values, **{option: min(max(values[option], low), high) for option, (low, high) in ends.items()}}
