"""The trial of a sweep that this process is, as the environment says, and what it tells the sweep."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.errors import AlertError, DataError
from monitor.metrics import GOALS
from monitor.rules.halving import Halving
from monitor.runs.run_file import RUN_FILE, read_run_file
from monitor.runs.settings.convert import to_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("monitor")

SWEEP_VARIABLE = "MONITOR_SWEEP"  # a JSON object with the fields of `Trial`
SWEEP_SUFFIX = ".sweep"  # of the folder of a sweep, in the log directory
TRIALS_FOLDER = "trials"  # in the sweep's folder: what its trials leave there


class Population(NamedTuple):
    """How a trial is one of a population, whose bad trials go on from the weights of good ones.

    Attributes:
        options: those that may change in the middle of a run, as its config names them.
        epochs: after so many each, the trials are compared.
        donor: the trial whose checkpoint this one goes on from; None for its own.
        checkpoint: the name of the donor's checkpoint.
    """

    options: tuple[str, ...]
    epochs: int
    donor: int | None = None
    checkpoint: str | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Population:
        """Return it from a JSON object. Raises `KeyError`, `TypeError`, or `ValueError` for one that is wrong."""
        found = cls(tuple(map(str, fields["options"])), fields["epochs"], fields.get("donor"), fields.get("checkpoint"))
        if type(found.epochs) is not int or found.epochs < 1:
            raise ValueError("the epochs of its population are wrong")
        return found


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
        population: the fields of a `Population`, if it is one of one.
    """

    name: str
    trial: int | str
    metric: str
    goal: str
    values: Mapping[str, Any]
    folder: Path
    prune: Mapping[str, Any] | None = None
    is_best: bool = False
    population: Mapping[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that have a value, without the folder."""
        unsaid = {"folder", *(name for name, value in self._asdict().items() if value is None or value is False)}
        return {name: value for name, value in self._asdict().items() if name not in unsaid}

    def masked_fields(self) -> dict[str, Any]:
        """Return what `run.json` says about it, without secrets."""
        return {**self.fields(), "values": to_settings(dict(self.values))}

    def to_environment(self) -> str:
        """Return the value of `MONITOR_SWEEP` that makes a process this trial."""
        return json.dumps({**self.fields(), "folder": os.path.abspath(self.folder)})  # noqa: PTH100 - keeps links


def current_trial() -> Trial | None:
    """Return the trial that this process is; None if it is none. What is wrong with `MONITOR_SWEEP` is logged once."""
    text = os.environ.get(SWEEP_VARIABLE)
    return _parse(text) if text else None


def current_population() -> Population | None:
    """Return the population that this process is a trial of; None if it is of none."""
    trial = current_trial()
    return None if trial is None or trial.population is None else Population.from_fields(trial.population)


def sweep_field() -> dict[str, Any]:
    """Return `{"sweep": …}` for the `run.json` of a run that a trial starts; nothing outside a sweep."""
    trial = current_trial()
    return {} if trial is None else {"sweep": trial.masked_fields()}


def note_run(directory: Path) -> None:
    """Tell the sweep, if there is one, that its trial logs to a run in `directory`."""
    trial = current_trial()
    if trial is not None:
        line = json.dumps(os.path.abspath(directory)) + "\n"  # noqa: PTH100 - keeps links as they are
        with suppress(OSError):  # the folder is gone
            path = runs_path(trial.folder, trial.trial)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)


def runs_path(folder: Path, trial: int | str) -> Path:
    """Return the file in which a trial notes its runs, one line of JSON each."""
    return folder / TRIALS_FOLDER / f"{trial}.runs"


def earlier_attempt(directory: Path) -> Path | None:
    """Return `directory` if an earlier process of the same trial has left its run there, which goes on; else None."""
    trial = current_trial()
    if trial is None or not (directory / RUN_FILE).is_file():
        return None
    with suppress(DataError):
        left: Mapping[str, Any] = read_run_file(directory).get("sweep") or {}
        if (left.get("name"), left.get("trial")) == (trial.name, trial.trial):
            return directory
    return None


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
        if trial.population is not None:
            Population.from_fields(trial.population)
    except KeyError as error:
        log.warning("%s has no %s; it is ignored", SWEEP_VARIABLE, error)
    except (AlertError, ValueError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read and is ignored: %s", SWEEP_VARIABLE, " ".join(str(error).split()))
    else:
        return trial._replace(folder=Path(trial.folder))
    return None
