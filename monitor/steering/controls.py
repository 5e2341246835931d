"""What may be changed while a training runs, and how a request for it reaches the training thread.

A dashboard puts requests into a queue and raises a flag. The loop looks at the flag once a step, and at the queue only
if it is raised.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.steering.changes import changes_of, format_value
from monitor.steering.settings import Setting

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

RESERVED = ("pause", "resume", "stop")  # controls that are always there
MAX_WAITING = 1000  # requests that the loop has not looked at


class Request(NamedTuple):
    """What a page asks for: a control, and what was typed."""

    control: str
    text: str


class Answer(NamedTuple):
    """What became of the last request for a control, and how many were answered."""

    text: str
    number: int


class Controls:
    """What a dashboard may change while a training runs: settings of optimizers, calls, pause, and stop.

    Attributes:
        pending: whether `Logger.steer` has anything to do; a loop may look at it before it calls.
        listens: whether a dashboard may ask for changes; false to only repeat those of another run.
        settings: the settings of optimizers, by name.
        calls: what buttons call, by name.
        repeated: the changes of another run that are to be made again.
        answers: by control, what became of the last request.
        has_begun: whether the loop has called `Logger.steer`.
        made: how many changes of the run were made so far.
        is_paused: whether the loop waits.
        paused_s: seconds that it has waited so far.
        last_step: the step of the last thing that it did.
        stop_step: the step at which a dashboard stopped the training, or None.
    """

    def __init__(
        self,
        targets: Mapping[str, Any] | None = None,
        *,
        repeat: str | os.PathLike[str] | None = None,
        listens: bool = True,
    ) -> None:
        """Prepare the controls; `Logger(controls=...)` takes them.

        Args:
            targets: by name, what can be changed. For `lr`, `weight_decay`, and `momentum`, an optimizer; for a
                learning rate with a schedule, the schedule, or a list of both. A prefix tells several optimizers apart,
                as in `generator/lr`. Any other name is a button that calls a function with the step.
            repeat: a run directory whose changes are made again, at the same steps.
            listens: whether a dashboard may ask for changes.

        Raises:
            TypeError: if a target is neither, or a name is not text.
            ValueError: if an optimizer does not have the setting, or a name is reserved.
            DataError: if the run to repeat cannot be read.
        """
        self.pending = False
        self.listens = listens
        self.settings: dict[str, Setting] = {}
        self.calls: dict[str, Callable[[int], Any]] = {}
        self.repeated: Sequence[Mapping[str, Any]] = [] if repeat is None else changes_of(repeat)
        self.answers: dict[str, Answer] = {}
        self.has_begun = self.is_paused = False
        self.made = self.last_step = 0
        self.paused_s = 0.0
        self.stop_step: int | None = None
        self.handle: Callable[[int], bool] = self._ignore  # does what was asked for; a logger sets its own
        self._requests: SimpleQueue[Request] = SimpleQueue()
        for name, target in (targets or {}).items():
            self.add(name, target)

    def add(self, name: str, target: Any) -> None:
        """Add a control, or replace one; `name` and `target` are as in the constructor, and so are the exceptions."""
        if not isinstance(name, str):
            raise TypeError(f"a control's name is text, not {type(name).__name__}")
        if not name.strip() or name in RESERVED:
            raise ValueError(f"a control cannot be called {name!r}; these are always there: {', '.join(RESERVED)}")
        if callable(target) and not hasattr(target, "param_groups"):
            self.calls[name] = target
        else:
            self.settings[name] = Setting(name, target)

    def request(self, control: str, text: str = "") -> None:
        """Ask the loop for a change, with the text of the new value; it comes at the next step.

        Does not block; any thread may call it. Nothing happens for an unknown control. What is wrong with the text is
        in `answers` when the loop has looked at it.
        """
        is_known = control in self.settings or control in self.calls or control in RESERVED
        if is_known and self._requests.qsize() < MAX_WAITING:
            self.answer(control, "comes with the next step", is_final=False)
            self._requests.put(Request(control, text))
            self.pending = True

    # Called by the thread of a dashboard

    def values(self) -> dict[str, str]:
        """Return the current values of the settings, as a user would type them."""
        return {name: format_value(setting.value) for name, setting in self.settings.items()}

    def status(self) -> str:
        """Return what the training does, in a few words."""
        if self.stop_step is not None:
            return f"stopped at step {self.stop_step:,}"
        return f"paused at step {self.last_step:,}" if self.is_paused else "running"

    # Called by the training thread

    @property
    def stop_reason(self) -> str | None:
        """Why the run has ended, if a dashboard has stopped it."""
        return None if self.stop_step is None else f"stopped from a dashboard at step {self.stop_step}"

    def take(self, wait: float = 0.0) -> list[Request]:
        """Return what was asked for; block for at most `wait` seconds for the first request."""
        requests: list[Request] = []
        try:
            if wait:
                requests.append(self._requests.get(timeout=wait))
            while True:
                requests.append(self._requests.get_nowait())
        except Empty:
            return requests

    def answer(self, control: str, text: str, *, is_final: bool = True) -> None:
        """Say what became of a request; `is_final` when it is done."""
        before = self.answers.get(control)
        self.answers[control] = Answer(text, is_final + (before.number if before else 0))

    def _ignore(self, _step: int) -> bool:
        self.pending = False
        return False
