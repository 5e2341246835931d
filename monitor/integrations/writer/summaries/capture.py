"""Turn the arguments of `add_*` calls into inbox entries: check them, and copy what could change.

Each function takes the tags that were checked before, as the functions in `monitor.capture.encode` do.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import DeviceScalar, PendingRecord
from monitor.capture.snapshot import ArraySnapshot, is_tensor
from monitor.integrations.writer.records import FileSummary
from monitor.integrations.writer.summaries.checking import check
from monitor.integrations.writer.summaries.encoding import summary_event, summary_record
from monitor.integrations.writer.summaries.plain import is_text
from monitor.records import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from monitor.capture.encode import Entries
    from monitor.integrations.writer.summaries.builders import Builders

_written_types: set[Any] = set()  # of tensors that PyTorch's writer has accepted


def scalars(
    known_tags: set[str], values: Sequence[tuple[str, Any]], step: int, time: float, builders: Builders
) -> Entries:
    """Encode scalars by their names; a value on a GPU is cloned there and read later.

    Raises what the builders raise for a value that is not a scalar.
    """
    entries: list[Any] = []
    for name, value in values:
        number = scalar_value(value, builders)
        known_tags.add(name)
        is_number = type(number) is float
        entries.append((name, number, step, time) if is_number else DeviceScalar(name, number, step, time))
    return entries


def scalar_value(value: Any, builders: Builders) -> Any:
    """Return a number, or the only element of an array, as a float; return a tensor of one element on a GPU unread."""
    if isinstance(value, float | int):
        return float(value)
    if is_tensor(value) and value.numel() == 1 and value.device.type != "meta":
        return value if value.is_cuda else float(value.item())
    if type(value).__module__ == "numpy" and is_numpy_number(value):
        return float(value.item())
    array = builders.make_np(value).squeeze()
    if array.ndim != 0:
        raise AssertionError(f"scalar should be 0D, not of shape {list(array.shape)}")
    return float(array)


def is_numpy_number(value: Any) -> bool:
    """Tell whether an object of NumPy's is a real number, or an array of one."""
    return getattr(value, "size", 0) == 1 and getattr(value, "dtype", None) is not None and value.dtype.kind in "fiub"


def built(
    _known_tags: set[str],
    builders: Builders,
    function: str,
    tag: str,
    arrays: Sequence[Any],
    options: Mapping[str, Any],
    key: Hashable,
    step: int,
    time: float,
) -> Entries:
    """Copy arrays now; a worker builds the summary of the copies.

    Args:
        builders: which packages may build it.
        function: the name of the function in their `summary` modules.
        tag: names the summary.
        arrays: what the function takes after the tag: arrays, tensors, what the packages convert to arrays, or None.
        options: further arguments of the function.
        key: what distinguishes the options.
        step: of the event.
        time: of the event, in seconds since the epoch.

    Raises:
        Exception: what the function raises.
    """
    arrays = [None if array is None else as_array(array, builders) for array in arrays]
    for array in arrays:
        if array is not None and not is_tensor(array) and array.dtype.hasobject:
            return (summary_record(tag, builders.call(function, tag, *arrays, **options), step, time),)
    build = check(builders, function, tag, arrays, options, key)
    copies = [None if array is None else ArraySnapshot(array) for array in arrays]
    nbytes = 0
    for copy in copies:
        nbytes += 0 if copy is None else copy.nbytes

    def resolve() -> Summary:
        values = [None if copy is None else copy.numpy() for copy in copies]
        return summary_record(tag, build(tag, *values, **options), step, time)

    return (PendingRecord(Summary, tag, nbytes, resolve),)


def later(_known_tags: set[str], kind: type, tag: str, nbytes: int, build: Callable[[], Any]) -> Entries:
    """Let a worker build a record of type `kind` from copies of `nbytes` bytes."""
    return (PendingRecord(kind, tag, nbytes, build),)


class PendingSummary(PendingRecord):
    """The record of a summary that one of the functions below builds of arguments that nobody changes.

    Attributes:
        building: a lock for all of them, which are built in microseconds. A forked child needs another one.
    """

    __slots__ = ("_arguments", "_builders", "_number", "_time")
    building = threading.Lock()

    def __init__(
        self,
        build: Callable[..., Any],
        builders: Builders,
        tag: str,
        arguments: tuple[Any, ...],
        nbytes: int,
        step: int,
        time: float,
    ) -> None:
        """Keep the arguments: of `build`, after `builders` and the tag, and of the event."""
        self._build, self._builders, self._arguments, self._number, self._time = build, builders, arguments, step, time
        self.kind, self.tag, self.nbytes = Summary, tag, nbytes
        self.step = self.complete = self._record = self._error = None
        self._lock = self.building

    def _built(self) -> Summary:
        assert self._build is not None
        arguments, self._arguments = self._arguments, ()
        summary = self._build(self._builders, self.tag, *arguments)
        return summary_record(self.tag, summary, self._number, self._time)


def text(builders: Builders, tag: str, content: str) -> Any:
    """Build the summary of a text."""
    return builders.call("text", tag, content)


def histogram_raw(builders: Builders, tag: str, *numbers: float) -> Any:
    """Build the summary of a histogram: its five statistics, the limits of its buckets, and their counts."""
    middle = 5 + (len(numbers) - 5) // 2
    return builders.call("histogram_raw", tag, *numbers[:5], numbers[5:middle], numbers[middle:])


def pr_curve_raw(builders: Builders, tag: str, num_thresholds: int, *numbers: float) -> Any:
    """Build the summary of a precision–recall curve: six columns, one after the other."""
    rows = len(numbers) // 6
    columns = [numbers[start : start + rows] for start in range(0, len(numbers), rows)] if rows else [()] * 6
    return builders.call("pr_curve_raw", tag, *columns, num_thresholds)


def custom_scalars(builders: Builders, _tag: str, layout: dict[str, Any]) -> Any:
    """Build the summary of the layout of custom scalars."""
    return builders.call("custom_scalars", layout)


def ready(_known_tags: set[str], *records: Any) -> Entries:
    """Pass on records that are complete."""
    return records


def as_array(value: Any, builders: Builders) -> Any:
    """Return an array or a dense tensor with data, as it is; convert anything else as the packages do."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value
    if torch is not None and is_tensor(value) and not value.is_meta and not value.is_quantized:
        return value if value.layout is torch.strided else builders.make_np(value)
    return builders.make_np(value)


def file_summary(directory: str, tag: str, summary: Any, step: int, time: float) -> FileSummary:
    """Return the record of a `Summary` message that goes into a file and nowhere else."""
    return FileSummary(directory, tag, summary_event(summary.SerializeToString(), step, time), step, time)


def hparams(
    builders: Builders, settings: dict[str, Any], metrics: Iterable[str], directory: str, step: int, time: float
) -> list[Any]:
    """Return the three summaries of hyperparameters that the packages accept, which a worker builds."""
    arguments = settings, dict.fromkeys(metrics, 0.0)

    def build(part: int) -> Any:
        return file_summary(directory, "hparams", builders.call("hparams", *arguments)[part], step, time)

    return [PendingRecord(FileSummary, "hparams", 0, partial(build, part)) for part in range(3)]


def tensor(_known_tags: set[str], tag: str, value: Any, step: int, time: float) -> Entries:
    """Copy a tensor now; a worker builds its summary. Raises what PyTorch's writer raises."""
    from torch.utils.tensorboard import summary

    build: Any = summary.tensor_proto
    if not (is_tensor(value) and value.dtype in _written_types and is_text(tag)):
        build(tag, value[:0] if is_tensor(value) and value.ndim else value)  # refuses some types
        _written_types.add(value.dtype)
    copy, dtype = ArraySnapshot(value), value.dtype

    def resolve() -> Summary:
        import torch

        return summary_record(tag, build(tag, torch.from_numpy(copy.numpy()).to(dtype)), step, time)

    return (PendingRecord(Summary, tag, copy.nbytes, resolve),)
