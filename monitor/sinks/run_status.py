"""Keep `run.json` current while a run goes on: heartbeat, progress, last and best of each metric, alerts.

It is in the pipeline like any sink, with its own thread, so none of this touches the training thread.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from monitor.alerts import ALERT_TAG, Rule, StallRule
from monitor.metrics import MetricSummary
from monitor.records import Progress, Record, Scalar, Text
from monitor.runs.jsonable import to_jsonable
from monitor.runs.run_file import timestamp
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.runs.run import Run

log = logging.getLogger("monitor")

HEARTBEAT_INTERVAL_S = 5.0  # between two heartbeats, at most; a run on another machine is lost after six
UPDATE_INTERVAL_S = 2.0  # between two writes when there is news
FIRST_NON_FINITE = "first NaN or infinity"  # the alert that needs no rule


class RunStatusSink(Sink):
    """Update `run.json` and watch the metrics. If the disk fails, the next heartbeat tries again."""

    name = "run status"
    accepts = frozenset({Scalar, Progress})

    def __init__(self, rules: Iterable[Rule | StallRule] = (), summary: MetricSummary | None = None) -> None:
        self.summary = summary or MetricSummary()
        self.first_alert: str | None = None
        self.on_alert: Callable[[Text], None] = _ignore_alert  # gets each alert as a record
        self.on_stall: Callable[[], None] = _ignore_stall
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
        self._changed = False
        self._last_write = -math.inf
        self._last_advance = time.monotonic()  # when the step last grew

    def open(self, run: Run) -> None:
        """Take over the alerts that fired before the run was resumed."""
        self._run = run
        self._alerts = list(run.alerts)
        fired = {alert.get("rule") for alert in self._alerts}
        self._all_finite = FIRST_NON_FINITE not in fired
        self._rules = {tag: [r for r in rules if r.text not in fired] for tag, rules in self._rules.items()}

    def recall(self, records: Sequence[Record]) -> None:
        """Take in the metrics so far, without trying the rules again."""
        for record in records:
            if type(record) is Scalar:
                self.summary.add(record.tag, record.value, record.step)

    def write(self, records: Sequence[Record]) -> None:
        """Summarize the scalars and try the rules on each."""
        step_before = self.summary.step
        add, rules = self.summary.add, self._rules
        for record in records:
            if type(record) is Scalar:
                tag, value, step, _ = record
                add(tag, value, step)
                fired = tag in rules and self._try_rules(tag, value, step)
                if value - value != 0.0 and self._all_finite:  # NaN or infinity
                    self._all_finite = False
                    if not fired:
                        self._fire(FIRST_NON_FINITE, f"{tag} is {value} at step {step}", tag, value, step)
            elif isinstance(record, Progress):
                self._progress = record
        if self.summary.step != step_before:
            self._last_advance = time.monotonic()
        self._changed = True

    def flush(self) -> None:
        """Check for a stall, and write `run.json` when it is due."""
        now = time.monotonic()
        for rule in [rule for rule in self._stall_rules if now - self._last_advance >= rule.seconds]:
            self._stall_rules.remove(rule)
            step = self.summary.step or 0
            self._fire(rule.text, f"{rule.text}: the last step was {step}", None, None, step)
            self.on_stall()
        if now - self._last_write >= (UPDATE_INTERVAL_S if self._changed else HEARTBEAT_INTERVAL_S):
            self._last_write, self._changed = now, False
            self._save()

    def close(self) -> None:
        """Write `run.json` and warn about rules whose metric was never logged."""
        self._save()
        for tag, rules in sorted(self._rules.items()):
            if rules and tag not in self._seen:
                log.warning("alert %r: nothing was logged under %r", rules[0].text, tag)

    def fields(self) -> dict[str, Any]:
        """Return the fields for `run.json`."""
        progress: dict[str, Any] = {"step": self.summary.step}
        if self._progress is not None:
            epoch, epochs, step, steps, _ = self._progress
            progress = {"epoch": epoch, "epochs": epochs, "step": max(step, self.summary.step or 0), "steps": steps}
        metrics = to_jsonable(self.summary.summary())
        fields = {"heartbeat": timestamp(time.time()), "progress": progress, "metrics": metrics}
        return fields | ({"alerts": self._alerts} if self._alerts else {})

    def _save(self) -> None:
        if self._run is not None:
            try:
                self._run.update(**self.fields())
            except OSError as error:
                log.debug("run status: %s", error)

    def _try_rules(self, tag: str, value: float, step: int) -> bool:
        """Try the rules of a metric; tell whether one fired."""
        self._seen.add(tag)
        alerts_before = len(self._alerts)
        for rule in list(self._rules[tag]):
            if rule.fires(value):
                self._rules[tag].remove(rule)
                self._fire(rule.text, f"{rule.text}: {value:.6g} at step {step}", tag, value, step)
        return len(self._alerts) > alerts_before

    def _fire(self, rule: str, message: str, tag: str | None, value: float | None, step: int) -> None:
        now = time.time()
        alert = {"rule": rule, "message": message, "metric": tag, "value": value, "step": step, "time": timestamp(now)}
        self._alerts.append(to_jsonable(alert))
        self.first_alert = self.first_alert or message
        log.warning("alert: %s", message)
        self.on_alert(Text(ALERT_TAG, message, step, now))
        self._last_write = -math.inf  # write it at the next flush


def _ignore_alert(_alert: Text) -> None:
    """Do nothing; a logger sets its own."""


def _ignore_stall() -> None:
    """Do nothing; a logger sets its own."""
