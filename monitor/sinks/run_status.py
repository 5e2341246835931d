"""Keep `run.json` current while a run goes on: heartbeat, settings, progress, last and best of each metric, alerts.

It is in the pipeline like any sink, with its own thread, so none of this touches the training thread.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from monitor.metrics import MAX_TAG_CHARS, MetricSummary
from monitor.records import Config, Predictions, Progress, Record, Scalar, Text
from monitor.rules.alerts import ALERT_TAG, Rule, StallRule
from monitor.rules.halving import PRUNE_TAG
from monitor.runs.jsonable import to_jsonable
from monitor.runs.run_file import timestamp
from monitor.runs.status import RunStatus
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.runs.run import Run
    from monitor.runs.trials.pruning import Pruned, Pruner
    from monitor.scalar_block import ScalarBlock

log = logging.getLogger("monitor")

HEARTBEAT_INTERVAL_S = 5.0  # between two heartbeats, at most; a run on another machine is lost after six
UPDATE_INTERVAL_S = 2.0  # between two writes when there is news
FIRST_NON_FINITE = "first NaN or infinity"  # the alert that needs no rule


class RunStatusSink(Sink):
    """Update `run.json` and watch the metrics. If the disk fails, the next heartbeat tries again."""

    name = "run status"
    accepts = frozenset({Scalar, Progress, Config, Predictions})

    def __init__(self, rules: Iterable[Rule | StallRule] = (), summary: MetricSummary | None = None) -> None:
        self.summary = summary or MetricSummary()
        self.first_alert: str | None = None
        self.on_alert: Callable[[Text], None] = _ignore_alert  # gets each alert as a record
        self.on_stall: Callable[[], None] = _ignore_stall
        self.pruner: Pruner | None = None  # set before the first value
        self.on_prune: Callable[[], None] = _ignore_stall
        self.is_paused = False  # by a dashboard: then no progress is no stall
        self._rules: dict[str, list[Rule]] = {}
        self._stall_rules: list[StallRule] = []
        for rule in rules:
            if isinstance(rule, StallRule):
                self._stall_rules.append(rule)
            else:
                self._rules.setdefault(rule.metric, []).append(rule)
        self._seen: set[str] = set()  # metrics with a rule that were logged
        self._all_finite = True
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._alerts: list[dict[str, Any]] = []
        self._config: dict[str, Any] | None = None  # if it is not that with which the run was made
        self._timelines: dict[str, dict[str, int]] = {}  # what was counted about predictions, by their tag
        self._is_ending = self._has_told = (
            False  # whether the run is at its end, and whether it knows that it is pruned
        )
        self._changed = False
        self._has_metrics = False  # in `run.json`
        self._last_write = -math.inf
        self._last_advance = time.monotonic()  # when the step last grew

    def open(self, run: Run) -> None:
        """Take over the alerts that fired before the run was resumed."""
        self._run = run
        self.summary.goals = run.goals
        self._alerts = list(run.alerts)
        self._timelines = {tag: timeline.counts() for tag, timeline in run.timelines.items()}
        fired = {alert.get("rule") for alert in self._alerts}
        self._all_finite = FIRST_NON_FINITE not in fired
        self._rules = {tag: [r for r in rules if r.text not in fired] for tag, rules in self._rules.items()}

    def recall(self, records: Sequence[Record]) -> None:
        """Take in the metrics so far, without trying the rules again."""
        for record in records:
            if type(record) is Scalar:
                self.summary.add(record.tag, record.value, record.step)
                if self.pruner is not None and record.tag == self.pruner.rule.metric:
                    self.pruner.recall(record.step)

    def write(self, records: Sequence[Record]) -> None:
        """Summarize the scalars and try the rules on each."""
        from monitor.scalar_block import ScalarBlock  # it loads NumPy, which a program may not need otherwise

        scalars = [record for record in records if type(record) is Scalar]
        if scalars:
            self.write_scalars(ScalarBlock.of(scalars))
        for record in records:
            if isinstance(record, Progress):
                self._progress = record
            elif isinstance(record, Config):
                self._add_config(record.values)
            elif isinstance(record, Predictions) and record.timeline is not None:
                self._timelines[record.tag] = record.timeline.counts()
        self._changed = True

    def write_scalars(self, block: ScalarBlock) -> None:
        """Summarize the scalars, and try the rules on those of metrics that have any, in the order of the log calls."""
        step_before = self.summary.step
        fired: list[tuple[int, Rule]] = []  # with the place of the value
        for tag, calls, places in block.places():
            values = block.values[places]
            self.summary.extend(tag, block.steps[calls], values)
            if self.pruner is not None and tag == self.pruner.rule.metric:
                self.pruner.add(block.steps[calls].tolist(), values.tolist())
            if tag in self._rules:
                fired += [(int(places[number]), rule) for number, rule in self._try_rules(tag, values.tolist())]
        fired.sort(key=lambda pair: pair[0])
        non_finite = self._first_non_finite(block)
        for place, rule in fired:
            if non_finite is not None and place >= non_finite:
                self._report_non_finite(block, non_finite, is_told=place == non_finite)
                non_finite = None
            tag, value, step = _scalar(block, place)
            self._fire(rule.text, f"{rule.text}: {value:.6g} at step {step}", tag, value, step)
        if non_finite is not None:
            self._report_non_finite(block, non_finite, is_told=False)
        if self.summary.step != step_before:
            self._last_advance = time.monotonic()
        self._changed = True

    def pause(self, is_paused: bool) -> None:
        """Take note that a dashboard has paused the training, or that it goes on; any thread may call it."""
        self.is_paused, self._last_advance = is_paused, time.monotonic()

    @property
    def pruned(self) -> Pruned | None:
        """The decision to prune the run, once it is made."""
        return None if self.pruner is None else self.pruner.pruned

    def tells_pruned(self) -> bool:
        """Tell the training whether it is pruned."""
        self._has_told = self._has_told or self.pruned is not None
        return self._has_told

    def end(self, status: RunStatus) -> Pruned | None:
        """Return the decision that has ended the run; from now on, the rule only tells the peers the last values.

        A run that finished and never heard of a decision is whole.
        """
        self._is_ending = True
        return None if status is RunStatus.FINISHED and not self._has_told else self.pruned

    def flush(self) -> None:
        """Check for a stall, decide whether the run is pruned, and write `run.json` when it is due."""
        self._prune()
        now = time.monotonic()
        if self.is_paused:
            self._last_advance = now
        for rule in [rule for rule in self._stall_rules if now - self._last_advance >= rule.seconds]:
            self._stall_rules.remove(rule)
            step = self.summary.step or 0
            self._fire(rule.text, f"{rule.text}: the last step was {step}", None, None, step)
            self.on_stall()
        is_first = not self._has_metrics and self.summary.step is not None  # the run may be killed soon
        if is_first or now - self._last_write >= (UPDATE_INTERVAL_S if self._changed else HEARTBEAT_INTERVAL_S):
            self._last_write, self._changed, self._has_metrics = now, False, self._has_metrics or is_first
            self._save()

    def close(self) -> None:
        """Write `run.json` and warn about rules whose metric was never logged."""
        self._save()
        if self.pruner is not None and self._run is not None and self._run.status == RunStatus.FINISHED:
            self.pruner.finish()
        for tag, rules in sorted(self._rules.items()):
            if rules and tag not in self._seen and (self._run is None or tag not in self._run.metrics):
                log.warning("alert %r: nothing was logged under %r", rules[0].text, tag)

    def _prune(self) -> None:
        """Ask the rule about the new values; tell when it prunes the run."""
        if self.pruner is None or self.pruned is not None or (pruned := self.pruner.decide()) is None:
            return
        if self._is_ending:
            return
        log.info("pruned: %s", pruned.reason)
        self.on_alert(Text(PRUNE_TAG, pruned.reason, pruned.step, time.time()))
        self.on_prune()

    def fields(self) -> dict[str, Any]:
        """Return the fields for `run.json`."""
        progress: dict[str, Any] = {"step": self.summary.step}
        if self._progress is not None:
            _, epochs, step, steps, _ = self._progress
            step = max(step, self.summary.step or 0)
            progress = {"epoch": self._progress.epoch_at(step), "epochs": epochs, "step": step, "steps": steps}
        metrics = to_jsonable(self.summary.summary())
        fields = {"heartbeat": timestamp(time.time()), "progress": progress, "metrics": metrics}
        goals = self.summary.goals.defined
        fields |= {"goals": goals} if goals else {}
        fields |= {"alerts": self._alerts} if self._alerts else {}
        if self._timelines or (self._run is not None and self._run.is_resumed):
            fields["timelines"] = self._timelines
        return fields | ({"config": self._config} if self._config is not None else {})

    def _save(self) -> None:
        if self._run is not None:
            try:
                self._run.update(**self.fields())
            except OSError as error:
                log.debug("run status: %s", error)
            except ValueError as error:  # too large: the heartbeat and the step tell that the run goes on
                log.debug("run status: %s", error)
                with suppress(OSError):
                    self._run.update(heartbeat=timestamp(time.time()), progress={"step": self.summary.step})

    def _add_config(self, settings: dict[str, Any]) -> None:
        """Take in settings; those that the run has besides stay."""
        if self._config is None:
            self._config = dict(self._run.written_config) if self._run is not None else {}
        config = {**self._config, **settings}
        if config != self._config:
            self._config = config
            self._last_write = -math.inf  # write it at the next flush

    def _try_rules(self, tag: str, values: list[float]) -> list[tuple[int, Rule]]:
        """Try the rules of a metric on its next values; return those that fired, with the number of the value."""
        self._seen.add(tag)
        fired: list[tuple[int, Rule]] = []
        goal = self.summary.goals.defined_for(tag)
        for rule in list(self._rules[tag]):
            number = next((number for number, value in enumerate(values) if rule.fires(value, goal)), None)
            if number is not None:
                self._rules[tag].remove(rule)
                fired.append((number, rule))
        return fired

    def _first_non_finite(self, block: ScalarBlock) -> int | None:
        """Return the place of the first NaN or infinity of the run if it is in this block."""
        import numpy as np

        finite = np.isfinite(block.values)
        if not self._all_finite or finite.all():
            return None
        self._all_finite = False
        return int(finite.argmin())

    def _report_non_finite(self, block: ScalarBlock, place: int, *, is_told: bool) -> None:
        """Report the first NaN or infinity, unless a rule on the value tells of it."""
        if not is_told:
            tag, value, step = _scalar(block, place)
            self._fire(FIRST_NON_FINITE, f"{tag} is {value} at step {step}", tag, value, step)

    def _fire(self, rule: str, message: str, tag: str | None, value: float | None, step: int) -> None:
        now = time.time()
        tag, message = tag and _shortened(tag), _shortened(message)
        alert = {"rule": rule, "message": message, "metric": tag, "value": value, "step": step, "time": timestamp(now)}
        self._alerts.append(to_jsonable(alert))
        self.first_alert = self.first_alert or message
        log.warning("alert: %s", message)
        self.on_alert(Text(ALERT_TAG, message, step, now))
        self._last_write = -math.inf  # write it at the next flush


def _scalar(block: ScalarBlock, place: int) -> tuple[str, float, int]:
    """Return the tag, the value, and the step of the scalar at a place in `block.values`."""
    call = int(block.starts.searchsorted(place, side="right")) - 1
    tag = block.groups[block.group[call]][place - int(block.starts[call])]
    return tag, float(block.values[place]), int(block.steps[call])


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TAG_CHARS else f"{text[:MAX_TAG_CHARS]}…"


def _ignore_alert(_alert: Text) -> None:
    """Do nothing; a logger sets its own."""


def _ignore_stall() -> None:
    """Do nothing; a logger sets its own."""
