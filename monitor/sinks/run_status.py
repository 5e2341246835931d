"""What `run.json` says of a run while it goes on: a heartbeat, how far it is, the last and best of metrics, alerts.

It hangs in the pipeline like a sink, with a thread of its own, so none of this touches the training thread.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any

from monitor.alerts import ALERT_TAG, Rule, StallRule
from monitor.metrics import MetricSummary
from monitor.records import Progress, Record, Scalar, Text
from monitor.runs.run import Run, timestamp, to_jsonable
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger("monitor")

HEARTBEAT_INTERVAL_S = 5.0  # seconds between two heartbeats at most; a run is lost after six
FIRST_NON_FINITE = "first NaN or infinity"  # the rule that needs none
UPDATE_INTERVAL_S = 2.0  # seconds between two writes where there is news


class RunStatusSink(Sink):
    """Keep `run.json` current, and watch over the metrics. Where the disk fails, the next beat tries again."""

    name = "vitals"
    accepts = frozenset({Scalar, Progress})

    def __init__(self, rules: Iterable[Rule | StallRule] = (), tally: MetricSummary | None = None) -> None:
        self.tally = tally or MetricSummary()
        self.stopped: str | None = None  # the first alert
        self.tell: Callable[[Text], None] = lambda text: None  # takes the alerts' records
        self.on_stall: Callable[[], None] = lambda: None
        self._rules: dict[str, list[Rule]] = {}
        self._stalls: list[StallRule] = []
        for rule in rules:
            if isinstance(rule, StallRule):
                self._stalls.append(rule)
            else:
                self._rules.setdefault(rule.metric, []).append(rule)
        self._seen: set[str] = set()  # metrics with a rule that came
        self._all_finite = True
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._alerts: list[dict[str, Any]] = []
        self._changed = False
        self._written = -math.inf
        self._moved = time.monotonic()  # when the step last grew

    def open(self, run: Run) -> None:
        self._run = run
        self._alerts = list(run.alerts)
        fired = {alert.get("rule") for alert in self._alerts}  # before the run was resumed
        self._all_finite = FIRST_NON_FINITE not in fired
        self._rules = {tag: [r for r in rules if r.text not in fired] for tag, rules in self._rules.items()}

    def recall(self, records: Sequence[Record]) -> None:
        for record in records:
            if type(record) is Scalar:
                self.tally.add(record.tag, record.value, record.step)

    def write(self, records: Sequence[Record]) -> None:
        before = self.tally.step
        add, rules = self.tally.add, self._rules
        for record in records:
            if type(record) is Scalar:
                tag, value, step, _ = record
                add(tag, value, step)
                told = tag in rules and self._check(tag, value, step)
                if value - value != 0.0 and self._all_finite:  # NaN or infinity
                    self._all_finite = False
                    if not told:
                        self._fire(FIRST_NON_FINITE, f"{tag} is {value} at step {step}", tag, value, step)
            elif isinstance(record, Progress):
                self._progress = record
        if self.tally.step != before:
            self._moved = time.monotonic()
        self._changed = True

    def flush(self) -> None:
        now = time.monotonic()
        for stall in [s for s in self._stalls if now - self._moved >= s.seconds]:
            self._stalls.remove(stall)
            step = self.tally.step or 0
            self._fire(stall.text, f"{stall.text}: the last step was {step}", None, None, step)
            self.on_stall()
        if now - self._written >= (UPDATE_INTERVAL_S if self._changed else HEARTBEAT_INTERVAL_S):
            self._written, self._changed = now, False
            self._save()

    def close(self) -> None:
        self._save()
        for tag, rules in sorted(self._rules.items()):
            if rules and tag not in self._seen:
                log.warning("alert %r: nothing was logged under %r", rules[0].text, tag)

    def fields(self) -> dict[str, Any]:
        """Return what goes into `run.json`."""
        at = self._progress
        progress: dict[str, Any] = {"step": self.tally.step}
        if at is not None:
            step = max(at.step, self.tally.step or 0)
            progress = {"epoch": at.epoch, "epochs": at.epochs, "step": step, "steps": at.steps}
        found = {
            "heartbeat": timestamp(time.time()),
            "progress": progress,
            "metrics": to_jsonable(self.tally.summary()),
        }
        return found | ({"alerts": self._alerts} if self._alerts else {})

    def _save(self) -> None:
        if self._run is not None:
            try:
                self._run.update(**self.fields())
            except OSError as error:
                log.debug("vitals: %s", error)

    def _check(self, tag: str, value: float, step: int) -> bool:
        """Try the rules of a metric; tell whether one fired."""
        self._seen.add(tag)
        before = len(self._alerts)
        for rule in list(self._rules[tag]):
            if rule.fires(value):
                self._rules[tag].remove(rule)
                self._fire(rule.text, f"{rule.text}: {value:.6g} at step {step}", tag, value, step)
        return len(self._alerts) > before

    def _fire(self, rule: str, message: str, tag: str | None, value: float | None, step: int) -> None:
        now = time.time()
        fired = {"rule": rule, "message": message, "metric": tag, "value": value, "step": step, "time": timestamp(now)}
        self._alerts.append(to_jsonable(fired))
        self.stopped = self.stopped or message
        log.warning("alert: %s", message)
        self.tell(Text(ALERT_TAG, message, step, now))
        self._written = -math.inf  # news that must not wait
