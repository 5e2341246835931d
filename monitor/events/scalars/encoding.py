"""Encode many scalars into framed events at once, many times faster than message by message.

The bytes are those that protocol buffers write for the same events.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from monitor.events.scalars.layout import Layout, frame_event, layout, value_prefix, varint
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SAME_EVENT_S = 0.001  # calls of one step within this time share an event, and so a wall time
ROWS_AT_ONCE = 4096  # so that they stay in the processor's cache
MIN_EVENTS = 48  # with the same tags; fewer are encoded one by one
WIDTH_LIMITS = np.array([1, *(1 << 7 * width for width in range(1, 10))], np.uint64)  # steps from here need one more


def encode_scalars(block: ScalarBlock, *, shares_events: bool = True) -> bytes:
    """Return the framed events of a block, without its calls that have no scalars.

    Consecutive calls of the same step within `SAME_EVENT_S` of the first one share an event, unless `shares_events` is
    false. Values become float32, and those beyond its range infinite. Raises `UnicodeEncodeError` if a tag is not valid
    Unicode.
    """
    block = _without_empty_calls(block)
    if not len(block):
        return b""
    first_calls = _first_calls(block) if shares_events else np.arange(block.calls + 1)
    if len(first_calls) <= MIN_EVENTS:
        return b"".join(_encode_each(block, first_calls, np.arange(len(first_calls) - 1)))
    pieces: list[bytes] = []
    firsts: list[int] = []  # the first event of each piece
    rest: list[NDArray[np.intp]] = []
    for events in _alike(block, first_calls):
        if len(events) < MIN_EVENTS:
            rest.append(events)
            continue
        data, size = _encode_alike(block, first_calls, events)
        starts = [0, *(np.flatnonzero(np.diff(events) != 1) + 1).tolist(), len(events)]
        pieces += [data[size * start : size * stop] for start, stop in pairwise(starts)]
        firsts += events[starts[:-1]].tolist()
    if rest:
        events = np.concatenate(rest)
        pieces += _encode_each(block, first_calls, events)
        firsts += events.tolist()
    if len(pieces) > 1:
        pieces = [pieces[place] for place in np.argsort(firsts).tolist()]
    return b"".join(pieces)


def _without_empty_calls(block: ScalarBlock) -> ScalarBlock:
    sizes = np.diff(block.starts)
    if sizes.all():
        return block
    kept = sizes > 0
    return ScalarBlock(block.groups, block.group[kept], block.steps[kept], block.times[kept], block.values)


def _first_calls(block: ScalarBlock) -> NDArray[np.intp]:
    """Return the first call of each of E events, and after them the number of calls."""
    steps, times = block.steps, block.times
    starts = np.ones(block.calls, np.bool_)
    np.not_equal(steps[1:], steps[:-1], out=starts[1:])
    firsts = np.flatnonzero(starts)
    sizes = np.diff(firsts, append=block.calls)
    if len(firsts) < block.calls:
        with np.errstate(invalid="ignore"):
            late = np.abs(times - np.repeat(times[firsts], sizes)) > SAME_EVENT_S
        for number in np.unique(np.repeat(np.arange(len(firsts)), sizes)[late]).tolist():
            first, size = int(firsts[number]), int(sizes[number])
            begun = float(times[first])
            for call, time in enumerate(times[first : first + size].tolist(), first):
                if abs(time - begun) > SAME_EVENT_S:
                    starts[call], begun = True, time
        firsts = np.flatnonzero(starts)
    return np.append(firsts, block.calls)


def _alike(block: ScalarBlock, first_calls: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the events that differ in nothing but time, step, and values, for each kind of event."""
    sizes = np.diff(first_calls)
    firsts = first_calls[:-1]
    if len(sizes) == block.calls:
        sequences = block.group.astype(np.uint64)
    else:  # a hash of each sequence of groups, small enough to be combined below
        places = np.arange(block.calls) - np.repeat(firsts, sizes)
        hashes = np.add.reduceat(_scramble(block.group) * _scramble(places), firsts)
        sequences = np.unique(hashes, return_inverse=True)[1].astype(np.uint64)
    widths = np.searchsorted(WIDTH_LIMITS, block.steps[firsts].view(np.uint64), side="right").astype(np.uint64)
    has_time = (block.times[firsts].view(np.int64) != 0).astype(np.uint64)
    kinds = (sequences * np.uint64(11) + widths) * np.uint64(2) + has_time
    for events in _equal(kinds):
        yield from _with_same_groups(block, first_calls, events)


def _scramble(numbers: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return odd numbers that look random. Source: splitmix64, https://prng.di.unimi.it/splitmix64.c."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    odd: NDArray[np.uint64] = (mixed ^ mixed >> np.uint64(31)) | np.uint64(1)
    return odd


def _equal(kinds: NDArray[np.uint64]) -> list[NDArray[np.intp]]:
    """Return the positions of each kind, in order."""
    if (kinds == kinds[0]).all():
        return [np.arange(len(kinds))]
    order = np.argsort(kinds, kind="stable")
    ordered = kinds[order]
    return np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def _with_same_groups(
    block: ScalarBlock, first_calls: NDArray[np.intp], events: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    """Check events whose hashes are equal: return them, or each on its own if their groups differ after all."""
    firsts, calls = first_calls[events], np.diff(first_calls)[events]
    first, count = int(firsts[0]), int(calls[0])
    if (calls == count).all() and (
        count == 1 or all((block.group[firsts + n] == block.group[first + n]).all() for n in range(count))
    ):
        return [events]
    return np.split(events, len(events))


def _encode_alike(block: ScalarBlock, first_calls: NDArray[np.intp], events: NDArray[np.intp]) -> tuple[bytes, int]:
    """Encode events of one kind; return their frames and the bytes of each."""
    firsts = first_calls[events]
    first, end = int(firsts[0]), int(first_calls[events[0] + 1])
    tags = tuple(tag for number in block.group[first:end].tolist() for tag in block.groups[number])
    width = len(varint(int(block.steps[first]))) if block.steps[first] else 0
    form = layout(tags, width, has_time=bool(block.times[first].view(np.int64)))
    parts: list[bytes] = []
    for at in range(0, len(events), ROWS_AT_ONCE):
        calls = firsts[at : at + ROWS_AT_ONCE]
        starts = block.starts[calls]
        if starts[-1] - starts[0] == (len(starts) - 1) * len(tags):
            values = block.values[starts[0] : starts[-1] + len(tags)].reshape(-1, len(tags))
        else:
            values = block.values[starts[:, None] + np.arange(len(tags))]
        parts.append(_rows(form, block.steps[calls], block.times[calls], values).tobytes())
    return b"".join(parts), form.size


def _rows(
    form: Layout, steps: NDArray[np.int64], times: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return R frames as an R×`size` matrix; `values` is R×N."""
    rows = np.empty((len(steps), form.size), np.uint8)
    rows[:] = form.template
    if form.time_at is not None:
        form.times(rows)[:] = times
    rest = steps.view(np.uint64)
    for at in range(form.step_at, form.step_at + form.width):
        more = 0x80 if at < form.step_at + form.width - 1 else 0
        rows[:, at] = rest & np.uint64(0x7F) | np.uint64(more)
        rest = rest >> np.uint64(7)
    with np.errstate(over="ignore", invalid="ignore"):
        floats = values.astype(np.float32)
    for position in range(values.shape[1]):
        form.values(rows, position)[:] = floats[:, position]
    form.stored_checksums(rows)[:] = form.checksums(rows)
    return rows


def _encode_each(block: ScalarBlock, first_calls: NDArray[np.intp], events: NDArray[np.intp]) -> list[bytes]:
    """Encode event by event."""
    firsts, ends = first_calls[events], first_calls[events + 1]
    bounds = zip(firsts.tolist(), ends.tolist(), (4 * block.starts[firsts]).tolist(), (4 * block.starts[ends]).tolist())
    steps, times = block.steps[firsts].tolist(), block.times[firsts].tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        floats = block.values.astype("<f4").tobytes()
    numbers, groups = block.group.tolist(), block.groups
    prefixes: dict[int, list[bytes]] = {}  # by group
    frames = []
    for (first, end, start, stop), step, wall_time in zip(bounds, steps, times):
        chosen: list[bytes] = []
        for number in numbers[first:end]:
            found = prefixes.get(number)
            if found is None:
                found = prefixes[number] = [value_prefix(tag) for tag in groups[number]]
            chosen += found
        frames.append(frame_event(chosen, floats[start:stop], step, wall_time))
    return frames
