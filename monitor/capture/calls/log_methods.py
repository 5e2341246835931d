"""The log calls: check, copy, enqueue. Nothing else happens on the training thread."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from monitor.capture import encode
from monitor.capture.calls.array_methods import ArrayMethods
from monitor.capture.calls.model_watch import WatchMethods
from monitor.steering.controls import Controls
from monitor.steering.methods import SteerMethods

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.capture.run_config import RunConfig

_STEP_LIMIT = 2**63


class LogMethods(ArrayMethods, WatchMethods, SteerMethods):
    """The log calls of a logger, one method per kind of record.

    Calls may come from any thread. None of them does I/O or waits for a GPU. Arrays and tensors are copied during the
    call, so they may be changed afterwards.
    """

    _config: RunConfig

    def __init__(self, put: Callable[[Any], None]) -> None:
        """Pass entries, as `Pipeline.inbox` takes them, to `put`."""
        super().__init__(put)
        self._controls = Controls(listens=False)
        self._clipped_images: set[str] = set()

    @property
    def config(self) -> RunConfig:
        """The run's settings, which may be added to at any time: `log.config["lr"] = 0.1`, `log.config.update(lr=0.1)`.

        Assigning another object raises `AttributeError`.
        """
        return self._config

    @config.setter
    def config(self, config: Any) -> None:
        if config is not self._config:  # which `log.config |= {...}` assigns
            raise AttributeError("log.config cannot be replaced; use log.config.update(...) to add settings")

    def scalar(self, tag: str, value: Any, step: int | None = None) -> None:
        """Add a point to the curve `tag`.

        Does not block: a value on a GPU is cloned there, and read later by a worker thread.

        Args:
            tag: names the curve, such as `"train/loss"`. Visdom shows curves of one metric in one chart.
            value: a real number, or an array or tensor of one element, of any real dtype, on any device. NaN and
                infinity are accepted.
            step: an integer of at most 64 bits; usually the number of updates so far. Without one, steps are counted
                per group of tags, the part before the last `/`: a tag that is logged again begins the next step, from
                0 on, and the other tags of the group join it. Counting continues after explicit steps, and after those
                of a run that was resumed. The calls of child processes are counted together.

        Raises:
            TypeError: if the tag is not text, the step is not an int, or the value is not a real number.
            ValueError: if the tag is empty, the step does not fit in 64 bits, or the value has several elements.
        """
        try:
            number = value
            if type(value) is self._tensor_type and not value.is_cuda:
                number = value.item()
            if (
                type(number) is float
                and tag in self._tags
                and ((type(step) is int and -_STEP_LIMIT <= step < _STEP_LIMIT) or step is None)
            ):
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

    def scalars(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Add a point to each of several curves at one step, or to none of them if one cannot be logged.

        Does not block.

        Args:
            values: a value per tag, each as in `scalar`.
            step: as in `scalar`. Without one, all values get the same, the highest of what each of them would get.

        Raises:
            TypeError: if `values` is not a mapping, and as in `scalar`.
            ValueError: as in `scalar`.
        """
        try:
            tags, tensor_type = self._tags, self._tensor_type
            if type(values) is dict and ((type(step) is int and -_STEP_LIMIT <= step < _STEP_LIMIT) or step is None):
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

    def text(self, tag: str, text: str, step: int | None = None, *, markdown: bool = False) -> None:
        """Add a note. Does not block.

        Args:
            tag: names the notes that belong together.
            text: shown as it is, not as HTML or Markdown. TensorBoard alone renders every text as Markdown.
            step: as in `images`.
            markdown: whether `text` is Markdown, with tables. Visdom then renders it, up to 20,000 characters: HTML in
                it is text, and pictures are links. The console shows the source.

        Raises:
            TypeError: if `text` is not a string, or `markdown` is not a bool.
            ValueError: if it contains a lone surrogate, which UTF-8 cannot encode.
        """
        self._measure(encode.text, tag, text, step, markdown)

    def define(self, metric: str, *, goal: str) -> None:
        """Say whether a metric should be low or high, where its name does not tell. Does not block.

        Lists and comparisons of runs then show its best value, and `best` in an alert is that one. Values that were
        logged before count too. A resumed run knows it.

        Args:
            metric: the tag, or a pattern such as `"val/*"`: `*` stands for any text, `?` for one character. A tag comes
                before patterns, and a later pattern before an earlier one.
            goal: `"min"` if low values are good, `"max"` if high ones are.

        Raises:
            TypeError: if `metric` is not text.
            ValueError: if it is empty, or `goal` is neither of them.
        """
        self._measure(encode.definition, metric, goal)

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
