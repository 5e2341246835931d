"""Do on the training thread what a dashboard asks for, and what an earlier process or another run did."""

from __future__ import annotations

import logging
import operator
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from monitor.steering.changes import MAX_CHANGES, STEERING_TAG, Change, Journal, format_value
from monitor.steering.controls import RESERVED, Request
from monitor.steering.ranks import Ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.runs.run import Run
    from monitor.steering.controls import Controls

log = logging.getLogger("monitor")

VALUE_PREFIX = "control/"  # before the tags of the curves of the values
PAUSE_INTERVAL_S = 1.0  # between two looks of several processes at a pause; a collective call must not wait for long


class Log(Protocol):
    """The log calls that tell of a change."""

    def text(self, tag: str, text: str, step: int | None = None) -> None:
        """Add a note."""

    def scalar(self, tag: str, value: Any, step: int | None = None) -> None:
        """Add a point to a curve."""


class Handler:
    """Handles the requests of `controls`, step by step. Only the training thread uses it."""

    def __init__(self, controls: Controls, log: Log, run: Run, on_pause: Callable[[bool], None]) -> None:
        """Tell of changes in `log` and `run`; `on_pause` is called when the loop begins or stops to wait."""
        self._controls, self._log, self._run, self._on_pause = controls, log, run, on_pause
        self._journal = Journal(run, () if run.is_resumed else controls.repeated)
        self._ranks: Ranks | None = None
        self._is_heard = False  # whether the loop looks for requests, on all ranks alike
        controls.handle = self.handle
        controls.pending = True  # so that the first step begins

    def handle(self, step: int) -> bool:
        """Do what was asked for, before update `step`; return whether to stop. Blocks while the training is paused."""
        controls = self._controls
        controls.last_step = step = operator.index(step)
        controls.pending = False  # first, because requests may come from now on
        ranks = self._ranks = self._ranks or self._begin(step)
        while controls.stop_step is None and (fields := self._journal.next_at(step)) is not None:
            self._do_again(fields, step)
        self._take_requests(ranks, step)
        if controls.is_paused:
            self._wait(ranks, step)
        if (self._is_heard and ranks.size > 1) or self._journal.planned or controls.stop_step is not None:
            controls.pending = True
        return controls.stop_step is not None

    def _begin(self, step: int) -> Ranks:
        ranks = Ranks()
        self._is_heard = self._controls.listens
        if ranks.size > 1:
            ((self._is_heard, planned),) = ranks.share([(self._is_heard, self._journal.planned)])
            if ranks.rank > 0:
                self._journal.take_planned(planned)
        self._controls.has_begun = True
        self._controls.made = self._journal.made
        if (self._is_heard or self._journal.planned) and not self._run.is_resumed:
            for name, setting in self._controls.settings.items():
                self._log.scalar(VALUE_PREFIX + name, setting.value, step)
        return ranks

    def _take_requests(self, ranks: Ranks, step: int, wait: float = 0.0) -> None:
        """Do what rank 0 was asked for; it blocks for at most `wait` seconds until it is asked."""
        if not self._is_heard:
            return
        requests = self._controls.take(wait) if ranks.rank == 0 else []
        if self._journal.is_full():
            for request in requests:
                self._controls.answer(request.control, f"refused: the run has {MAX_CHANGES:,} changes already")
            requests = [request for request in requests if request.control in RESERVED]
        for request in ranks.share(requests):
            if self._controls.stop_step is None:
                self._controls.answer(request.control, self._do(request, step))

    def _wait(self, ranks: Ranks, step: int) -> None:
        """Block until the training is resumed or stopped. Ctrl-C and other signals raise what their handlers do."""
        began, controls = monotonic(), self._controls
        self._on_pause(True)
        try:
            while controls.is_paused and controls.stop_step is None:
                self._take_requests(ranks, step, PAUSE_INTERVAL_S)
        finally:
            controls.is_paused = False
            self._on_pause(False)
            controls.paused_s += monotonic() - began

    def _do(self, request: Request, step: int) -> str:
        """Do one thing that a dashboard asked for; return the answer."""
        control, controls = request.control, self._controls
        if control in controls.settings:
            return self._change(request, step)
        if control in controls.calls:
            self._tell(Change(step, control, None, None, time()))
            controls.calls[control](step)
            return f"done at step {step:,}"
        if control == "stop":
            self._tell(Change(step, control, None, None, time()))
            controls.stop_step = step
        elif controls.is_paused != (control == "pause"):
            self._tell(Change(step, control, None, None, time()))
            controls.is_paused = control == "pause"
        return ""

    def _change(self, request: Request, step: int) -> str:
        """Change a setting to what a user has typed; return what became of it."""
        setting = self._controls.settings[request.control]
        before = setting.value
        try:
            value = setting.parse(request.text)
            setting.check(value)
        except ValueError as error:
            return f"refused: {error}"
        if value == before:
            return ""
        self._tell(Change(step, request.control, value, before, time()))
        setting.change(value)
        answer = f"was {format_value(before)} until step {step:,}"
        if not setting.has_foreign_schedule:
            return answer
        log.warning(
            "steering: %r has a schedule that is not among the controls and may set another value", setting.name
        )
        return f"{answer}; its schedule, which is not among the controls, may set another value"

    def _do_again(self, fields: Mapping[str, Any], step: int) -> None:
        """Make a change of an earlier process, or of another run, again."""
        control, value = fields["control"], fields.get("value")
        setting = self._controls.settings.get(control)
        if value is None and control in self._controls.calls:
            self._tell(Change(step, control, None, None, time()), is_new=False)
            self._controls.calls[control](step)
            return
        try:
            if value is None or setting is None:
                raise ValueError("there is no such control")
            value = setting.parse(value)
            setting.check(value)
        except ValueError as error:
            self._journal.drop_next()
            log.warning("steering: the change of %r at step %d is not repeated: %s", control, fields["step"], error)
            return
        self._tell(Change(step, control, value, setting.value, time()), is_new=False)
        setting.change(value)

    def _tell(self, change: Change, *, is_new: bool = True) -> None:
        """Record a change before it is made; one that is made again is on record already."""
        if is_new:
            self._journal.add(change)
        else:
            self._journal.note_repeated()
        self._controls.made = self._journal.made
        self._log.text(STEERING_TAG, str(change), change.step)
        if change.value is not None:  # both values, so that the curve is a step and not a ramp
            self._log.scalar(VALUE_PREFIX + change.control, change.before, change.step)
            self._log.scalar(VALUE_PREFIX + change.control, change.value, change.step)
