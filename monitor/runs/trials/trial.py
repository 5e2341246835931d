"""The trial of a sweep that this process is: what the sweep tells it through the environment."""

from __future__ import annotations

import json
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import AlertError
from monitor.halving import Halving, PruneRule
from monitor.metrics import GOALS
from monitor.runs.trials.pruning import Pruner
from monitor.runs.trials.rungs import Rungs
from monitor.runs.trials.sweep_trial import SWEEP_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.runs.run import Run

log = logging.getLogger("monitor")

SWEEP_SUFFIX = ".sweep"  # of the folder of a sweep, in the log directory


class Trial(NamedTuple):
    """One trial of a sweep.

    Attributes:
        name: of the sweep.
        trial: tells it from the others, such as its number.
        metric: the tag that the sweep goes by.
        goal: `"min"` or `"max"`.
        values: those of the options that the sweep sets, by option.
        folder: the sweep's own.
        prune: the settings with which the trials prune each other; None if they do not.
        is_best: whether a trial is worth the best value of the metric, not the last one.
    """

    name: str
    trial: int | str
    metric: str
    goal: str
    values: Mapping[str, Any]
    folder: Path
    prune: Mapping[str, Any] | None = None
    is_best: bool = False

    def fields(self) -> dict[str, Any]:
        """Return what `run.json` says about it."""
        unsaid = {"folder", *(name for name, value in self._asdict().items() if value is None or value is False)}
        return {name: value for name, value in self._asdict().items() if name not in unsaid}

    def to_environment(self) -> str:
        """Return the value of `MONITOR_SWEEP` that makes a process this trial."""
        return json.dumps({**self.fields(), "folder": os.path.abspath(self.folder)})  # noqa: PTH100 - keeps links


def current_trial() -> Trial | None:
    """Return the trial that this process is; None if it is none. What is wrong with `MONITOR_SWEEP` is logged once."""
    text = os.environ.get(SWEEP_VARIABLE)
    return _parse(text) if text else None


def trial_by_hand(rule: PruneRule, run: Run) -> Trial:
    """Return a run whose peers the rule names as a trial of a sweep of that name."""
    assert rule.peers is not None
    folder = run.path.parent / f"{rule.peers}{SWEEP_SUFFIX}"
    return Trial(rule.peers, run.name, rule.metric, rule.goal, {}, folder, rule.halving.fields())


def pruner_of(trial: Trial, rule: PruneRule | None = None) -> Pruner | None:
    """Return what prunes a trial: by `rule`, or else by the rule of the sweep; None if it has none."""
    if rule is None:
        if trial.prune is None:
            return None
        rule = PruneRule(trial.metric, trial.goal, Halving.from_fields(trial.prune))
    return Pruner(rule, Rungs(trial.folder, str(trial.trial)))


@lru_cache(4)
def _parse(text: str) -> Trial | None:
    try:
        fields = json.loads(text)
        optional = Trial._field_defaults
        trial = Trial(**{n: fields.get(n, optional[n]) if n in optional else fields[n] for n in Trial._fields})
        if not isinstance(trial.name, str) or type(trial.trial) not in (int, str) or not isinstance(trial.metric, str):
            raise ValueError("its name, trial, or metric is wrong")
        if trial.goal not in GOALS or not isinstance(trial.values, dict) or not os.path.isabs(trial.folder):  # noqa: PTH117
            raise ValueError("its goal, values, or folder is wrong")
        if trial.prune is not None:
            Halving.from_fields(trial.prune)
    except KeyError as error:
        log.warning("%s has no %s; it is ignored", SWEEP_VARIABLE, error)
    except (AlertError, ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read and is ignored: %s", SWEEP_VARIABLE, " ".join(str(error).split()))
    else:
        return trial._replace(folder=Path(trial.folder))
    return None
