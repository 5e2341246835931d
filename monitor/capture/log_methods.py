"""The log calls: check, copy, enqueue. Nothing else happens on the training thread."""

from __future__ import annotations

import sys
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from monitor.capture import encode
from monitor.capture.media_methods import MediaMethods
from monitor.capture.model_watch import WatchMethods
from monitor.capture.snapshot import PendingRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Sized

_STEP_LIMIT = 2**63


class LogMethods(MediaMethods, WatchMethods):
    """The log calls of a logger, one method per kind of record.

    Calls may come from any thread. None of them does I/O or waits for a GPU. Arrays and tensors are copied during the
    call, so they may be changed afterwards.
    """

    def __init__(self, put: Callable[[Any], None]) -> None:
        """Pass entries, as `Pipeline.inbox` takes them, to `put`."""
        self._put = put
        self._inbox: Sized = ()  # where `put` appends to, if it is bounded
        self._limit = 0  # its entries; beyond, `_hold` is called with the new one
        self._hold: Callable[[Any], None] = put
        self._note_array: Callable[[int], None] = _ignore_array  # gets the bytes of each array in the inbox
        self._tags: set[str] = set()  # the tags that were checked before
        self._tensor_type: Any = None  # `torch.Tensor`, once the program has imported torch
        self._sampling = False
        self._sampled_calls = self._slow_calls = self._slow_tuples = 0
        self._sampled_seconds = self._slow_seconds = 0.0

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Add a point to the curve `tag`.

        Does not block: a value on a GPU is cloned there, and read later by a worker thread.

        Args:
            tag: names the curve, such as `"train/loss"`. Visdom shows curves with the same prefix in one chart.
            value: a real number, or an array or tensor of one element, of any real dtype, on any device. NaN and
                infinity are accepted.
            step: an integer of at most 64 bits; usually the number of updates so far.

        Raises:
            TypeError: if the tag is not text, the step is not an int, or the value is not a real number.
            ValueError: if the tag is empty, the step does not fit in 64 bits, or the value has several elements.
        """
        try:
            number = value
            if type(value) is self._tensor_type and not value.is_cuda:
                number = value.item()
            if type(number) is float and type(step) is int and tag in self._tags and -_STEP_LIMIT <= step < _STEP_LIMIT:
                if self._sampling:
                    self._sample(self.scalar, tag, value, step)
                    return
                entry = (tag, number, step, time())
                self._put(entry)
                if len(self._inbox) > self._limit:
                    self._hold(entry)
                return
        except (TypeError, RuntimeError):
            pass  # an unhashable tag, or a tensor of several elements: reported below
        self._measure(encode.scalar, tag, value, step)

    def scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Add a point to each of several curves at one step, or to none of them if one cannot be logged.

        Does not block.

        Args:
            values: a value per tag, each as in `scalar`.
            step: as in `scalar`.

        Raises:
            TypeError: if `values` is not a mapping, and as in `scalar`.
            ValueError: as in `scalar`.
        """
        try:
            tags, tensor_type = self._tags, self._tensor_type
            if type(values) is dict and type(step) is int and -_STEP_LIMIT <= step < _STEP_LIMIT:
                numbers = values.copy()
                for tag, value in values.items():
                    if type(value) is tensor_type and not value.is_cuda:
                        value = numbers[tag] = value.item()
                    if type(value) is not float or tag not in tags:
                        break
                else:
                    if self._sampling:
                        self._sample(self.scalars, values, step)
                        return
                    entry = (None, numbers, step, time())
                    self._put(entry)
                    if len(self._inbox) > self._limit:
                        self._hold(entry)
                    return
        except (TypeError, RuntimeError):
            pass
        self._measure(encode.scalars, values, step)

    def images(self, tag: str, images: Any, step: int) -> None:
        """Show images in a grid. Does not block.

        Args:
            tag: names the grid.
            images: an array or tensor, N×C×H×W with 1, 3, or 4 channels (gray, RGB, RGBA) or N×H×W; uint8, bool, or
                float in [0, 1]. Floats are clipped to that range, and NaN is black. The first 256 images are shown.
            step: as in `scalar`.

        Raises:
            TypeError: if `images` is not an array or has another dtype.
            ValueError: if it has another shape or is empty.
        """
        self._measure(encode.images, tag, images, step)

    def predictions(
        self, tag: str, images: Any, predicted: Any, target: Any, step: int, names: Sequence[str] = ()
    ) -> None:
        """Show images with their predicted and true classes; incorrect predictions are marked. Does not block.

        Args:
            tag: names the grid.
            images: N images, as in `images`.
            predicted: the N predicted classes, integers.
            target: the N true classes, integers.
            step: as in `scalar`.
            names: the names of the classes, in their order. A class without a name is shown as its number.

        Raises:
            TypeError: if an argument has another dtype, or a class name is not text.
            ValueError: if an argument has another shape.
        """
        self._measure(encode.predictions, tag, images, predicted, target, step, names)

    def text(self, tag: str, text: str, step: int) -> None:
        """Add a note. Does not block.

        Args:
            tag: names the notes that belong together.
            text: shown as it is, not as HTML or Markdown.
            step: as in `scalar`.

        Raises:
            TypeError: if `text` is not a string.
            ValueError: if it contains a lone surrogate, which UTF-8 cannot encode.
        """
        self._measure(encode.text, tag, text, step)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """Show the distribution of values. Does not block.

        Args:
            tag: names the histogram.
            values: an array or tensor of real numbers, of any shape, not empty. NaN and infinity are left out of the
                histogram.
            step: as in `scalar`.

        Raises:
            TypeError: if `values` is not an array of real numbers.
            ValueError: if it is empty.
        """
        self._measure(encode.histogram, tag, values, step)

    def confusion_matrix(self, tag: str, counts: Any, step: int, names: Sequence[str] = ()) -> None:
        """Show a confusion matrix. Does not block.

        Args:
            tag: names the matrix.
            counts: K×K integers: how many samples of the row's class were predicted as the column's class.
            step: as in `scalar`.
            names: the names of the classes, as in `predictions`.

        Raises:
            TypeError: if `counts` does not contain integers, or a class name is not text.
            ValueError: if it is not a square matrix.
        """
        self._measure(encode.confusion_matrix, tag, counts, step, names)

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
        """Show an x–y plot; the next call with the same tag replaces it. Does not block.

        Args:
            tag: names the plot.
            x: an array or tensor of real numbers.
            y: the same number of values.
            step: as in `scalar`.
            x_title: the label of the x axis.
            y_title: the label of the y axis.
            level: draws a horizontal line at this height.
            points: x and y of data points to show with the curve.

        Raises:
            TypeError: if `x`, `y`, `points`, or `level` are not real numbers, or a title is not text.
            ValueError: if `x` and `y` are empty or differ in shape, or `level` is not finite.
        """
        self._measure(encode.curve, tag, x, y, step, x_title, y_title, level, points)

    def progress(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Report how far the training is, for the console and for `monitor runs`. Does not block.

        Args:
            epoch: the number of completed epochs; the console prints a line for it.
            epochs: the number of epochs in all.
            step: the number of completed steps.
            steps: the number of steps in all.

        Raises:
            TypeError: if one of them is not an int.
        """
        self._measure(encode.progress, epoch, epochs, step, steps)

    def _measure(self, call: Any, *arguments: Any) -> None:
        """Make a call off the fast path, all or nothing, and record how long it took."""
        started = perf_counter()
        if self._tensor_type is None:
            self._tensor_type = getattr(sys.modules.get("torch"), "Tensor", None)
        for entry in call(self._tags, *arguments):
            self._put(entry)
            if len(self._inbox) > self._limit:
                self._hold(entry)
            if type(entry) is PendingRecord:
                self._note_array(entry.nbytes)
            self._slow_tuples += type(entry) is tuple
        self._slow_seconds += perf_counter() - started
        self._slow_calls += 1

    def _sample(self, call: Any, *arguments: Any) -> None:
        """Measure one call of the fast path. It stands for the others, because timing each would double their cost."""
        self._sampling = False
        started = perf_counter()
        call(*arguments)
        self._sampled_seconds += perf_counter() - started
        self._sampled_calls += 1

    def _tick(self) -> None:
        """Measure the next call of the fast path."""
        self._sampling = True

    def _cost(self, tuples: int) -> tuple[int, float]:
        """Return the number of calls and the seconds they took; `tuples` counts the tuples in the inbox so far."""
        fast_calls = tuples - self._slow_tuples
        seconds = self._slow_seconds
        if self._sampled_calls:
            seconds += fast_calls * self._sampled_seconds / self._sampled_calls
        return fast_calls + self._slow_calls, seconds


def _ignore_array(_nbytes: int) -> None:
    """Do nothing; a logger sets its own."""
