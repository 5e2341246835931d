"""Connect a run with the sweep of which it is a trial, and with the rule by which its peers prune it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from monitor.errors import AlertError
from monitor.rules.halving import parse_prune
from monitor.runs.processes.rank import process_rank
from monitor.runs.trials.pruning import pruner_of, trial_by_hand
from monitor.runs.trials.trial import Trial, current_trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.rules.halving import PruneRule
    from monitor.runs.run import Run
    from monitor.sinks.run_status import RunStatusSink


class Pruning(NamedTuple):
    """What prunes the run of a logger.

    Attributes:
        trial: of a sweep, as the environment says.
        rule: one that was given.
        is_wanted: whether there may be pruning.
    """

    trial: Trial | None
    rule: PruneRule | None
    is_wanted: bool

    @property
    def may_prune(self) -> bool:
        """Whether there is a rule."""
        return self.is_wanted and (self.rule is not None or (self.trial is not None and self.trial.prune is not None))

    def connect(self, run: Run, sink: RunStatusSink, on_prune: Callable[[], None]) -> None:
        """Record the sweep with the run, and let the sink that sees all values ask the rule.

        `on_prune` is called on another thread. Raises `OSError`.
        """
        if not run.is_written or process_rank() > 0:
            return
        trial = self.trial
        if self.rule is not None and (trial is None or self.rule.peers is not None):
            trial = trial_by_hand(self.rule, run.path, run.name)
        if trial is None:
            return
        known, fields = {_simplified(name) for name in run.config}, trial.masked_fields()
        new = {name: value for name, value in fields["values"].items() if _simplified(name) not in known}
        run.config.update(new)
        if new or trial is not self.trial:  # otherwise `run.json` has it since it was made
            run.update(sweep=fields, config=run.config)
        if self.is_wanted:
            sink.pruner, sink.on_prune = pruner_of(trial, self.rule), on_prune


def parse_pruning(prune: str | PruneRule | None) -> Pruning:
    """Read what prunes a run: None is what the sweep says, if there is one. Raises `AlertError` and `TypeError`."""
    rule, trial = parse_prune(prune), current_trial()
    if rule is not None and rule.peers is None and trial is None:
        raise AlertError(f"prune {prune!r}: outside of a sweep, it needs peers=NAME, the runs that compete")
    return Pruning(trial, rule, is_wanted=prune is None or rule is not None)


def sweep_environment(prune: str | None, run: Run) -> str:
    """Return the `MONITOR_SWEEP` of a script whose run is pruned by a rule; the one of this process without a rule."""
    pruning = parse_pruning(prune)
    trial, rule = pruning.trial, pruning.rule
    if rule is not None and (trial is None or rule.peers is not None):
        trial = trial_by_hand(rule, run.path, run.name)
    elif rule is not None and trial is not None:
        trial = trial._replace(metric=rule.metric, goal=rule.goal, prune=rule.halving.fields())
    elif trial is not None and not pruning.is_wanted:
        trial = trial._replace(prune=None)
    return "" if trial is None else trial.to_environment()


def _simplified(name: str) -> str:
    return name.lower().replace("-", "_")
