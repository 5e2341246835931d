"""The log calls: validate, snapshot, enqueue; nothing else happens on the training thread."""

from __future__ import annotations

import sys
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from monitor.capture import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_STEP_LIMIT = 2**63  # of a step


class LogMethods:
    """What can be logged, each kind by a call, and what the calls cost."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        """Hand what is logged to `put`, as `Pipeline.inbox` takes it."""
        self._put = put
        self._tags: set[str] = set()  # checked once, then known
        self._tensor_type: Any = None  # torch's, once it is there
        self._sampling = False
        self._sampled_calls = self._slow_calls = self._slow_tuples = 0
        self._sampled_seconds = self._slow_seconds = 0.0

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Add a point to the curve `tag`: a number, or an array or tensor of one element, on any device.

        A CPU value is read now; a value on a GPU is cloned there and read by a worker, so the call never waits for it.
        Raises `TypeError` or `ValueError` for anything else, a tag that is no text, or a step that is no int.
        """
        try:
            number = value
            if type(value) is self._tensor_type and not value.is_cuda:
                number = value.item()
            if type(number) is float and type(step) is int and tag in self._tags and -_STEP_LIMIT <= step < _STEP_LIMIT:
                if self._sampling:
                    self._sample(self.scalar, tag, value, step)
                else:
                    self._put((tag, number, step, time()))
                return
        except (TypeError, RuntimeError):
            pass  # an unhashable tag, a tensor of several elements: told below
        self._measured(encode.scalar, tag, value, step)

    def scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Add a point to each of several curves at one step; as `scalar`, and all or none of them."""
        try:
            tags, tensor_type = self._tags, self._tensor_type
            if type(values) is dict and type(step) is int and -_STEP_LIMIT <= step < _STEP_LIMIT:
                number = values.copy()
                for tag, value in values.items():
                    if type(value) is tensor_type and not value.is_cuda:
                        value = number[tag] = value.item()
                    if type(value) is not float or tag not in tags:
                        break
                else:
                    if self._sampling:
                        self._sample(self.scalars, values, step)
                    else:
                        self._put((None, number, step, time()))
                    return
        except (TypeError, RuntimeError):
            pass
        self._measured(encode.scalars, values, step)

    def images(self, tag: str, images: Any, step: int) -> None:
        """Show a grid of pictures: N×C×H×W (or N×H×W), C of 1 or 3, uint8, bool, or float in [0, 1] (clipped).

        The first 256 are kept. Raises `TypeError` or `ValueError` for any other shape or dtype.
        """
        self._measured(encode.images, tag, images, step)

    def predictions(
        self, tag: str, images: Any, predicted: Any, target: Any, step: int, names: Sequence[str] = ()
    ) -> None:
        """Show samples with their predicted and true classes; wrong ones are marked.

        `images` as in `images`; `predicted` and `target` are N integers each, `names` the classes' names.
        """
        self._measured(encode.predictions, tag, images, predicted, target, step, names)

    def text(self, tag: str, text: str, step: int) -> None:
        """Add a note, shown as plain text."""
        self._measured(encode.text, tag, text, step)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """Show the distribution of the values of an array or tensor of real numbers, of any shape but empty."""
        self._measured(encode.histogram, tag, values, step)

    def confusion_matrix(self, tag: str, counts: Any, step: int, names: Sequence[str] = ()) -> None:
        """Show K×K integers: how often the class of the row was taken for the class of the column."""
        self._measured(encode.confusion_matrix, tag, counts, step, names)

    def curve(
        self,
        tag: str,
        x: Any,
        y: Any,
        step: int,
        x_title: str = "x",
        y_title: str = "y",
        *,
        level: float | None = None,
        points: tuple[Any, Any] | None = None,
    ) -> None:
        """Show an x–y plot, replaced as a whole at the next call; `x` and `y` hold the same number of real numbers.

        `level` draws a line across at that height; `points` are data to show beside the curve, as their x and y.
        """
        self._measured(encode.curve, tag, x, y, step, x_title, y_title, level, points)

    def progress(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Say that `epoch` of `epochs` are done, at `step` of `steps`; the console shows a line for it."""
        self._measured(encode.progress, epoch, epochs, step, steps)

    # How it is done

    def _measured(self, call: Any, *arguments: Any) -> None:
        """Do a call off the fast path, all or nothing, and note how long it took."""
        started = perf_counter()
        if self._tensor_type is None:
            self._tensor_type = getattr(sys.modules.get("torch"), "Tensor", None)
        for entry in call(self._tags, *arguments):
            self._put(entry)
            self._slow_tuples += type(entry) is tuple
        self._slow_seconds += perf_counter() - started
        self._slow_calls += 1

    def _sample(self, call: Any, *arguments: Any) -> None:
        """Measure one call of the fast path, to stand for those that are too cheap to measure."""
        self._sampling = False
        started = perf_counter()
        call(*arguments)
        self._sampled_seconds += perf_counter() - started
        self._sampled_calls += 1

    def _tick(self) -> None:
        self._sampling = True  # the next scalar call is measured

    def _cost(self, tuples: int) -> tuple[int, float]:
        """Return how many calls there were and the seconds they took; `tuples` is how many entries were plain ones."""
        fast = tuples - self._slow_tuples
        return fast + self._slow_calls, self._slow_seconds + (
            fast * self._sampled_seconds / self._sampled_calls if self._sampled_calls else 0.0
        )
