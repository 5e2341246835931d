"""Find the scalars in a piece of an event file, of any writer, thousands of events at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.events.framing import CHECKSUM
from monitor.events.scalars.patterns import FLOAT_BYTES, Pattern, Slots, checksums, fixed_bits, read_pattern
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.events.reading.pieces import Piece
    from monitor.scalar_block import TagGroup

    Bytes = NDArray[np.uint8]
    Places = NDArray[np.intp]

OTHER, DAMAGED = -1, -2  # events that no pattern fits, and those whose checksum does not match
MIN_EVENTS = 12  # of one size; fewer are decoded one by one, unless they are long
LONG_EVENT_BYTES = 1024
MAX_SLOTS = 6  # arrangements of numbers that are tried on events of one size
MAX_PATTERN_BYTES = 2**24  # of all patterns that are remembered
EVENTS_PER_PATTERN = 4  # at least, on average; otherwise, it is not worth while
MANY_VALUES = 16  # of one event, which are gathered at once
MAX_EQUAL = 6  # patterns that are found by comparing, and not by sorting
ODD = np.uint64(0x9E3779B97F4A7C15)


class Columns:
    """What was found in a piece of E events.

    Attributes:
        patterns: the patterns that were found.
        which: for each event, its position in `patterns`, or `OTHER`, or `DAMAGED`.
        steps: for each event, int64.
        times: for each event, as it is in the file, float64.
    """

    def __init__(self, count: int) -> None:
        self.patterns: list[Pattern] = []
        self.which = np.full(count, OTHER, np.int32)
        self.steps = np.zeros(count, np.int64)
        self.times = np.zeros(count, np.float64)
        self._values: list[tuple[Places, NDArray[np.float64]]] = []  # of R events, R×N

    def put(self, events: Places, rows: Bytes, slots: Slots) -> None:
        """Take in the numbers of R events, R×`size`."""
        if slots.time_at:
            self.times[events] = _column(rows, slots.time_at, "<f8")
        if slots.width:
            steps = np.zeros(len(rows), np.uint64)
            for place in range(slots.width):
                part = rows[:, slots.step_at + place] & np.uint8(0x7F)
                steps |= part.astype(np.uint64) << np.uint64(7 * place)
            self.steps[events] = steps.view(np.int64)
        values = np.empty((len(rows), len(slots.values)), np.float64)
        with np.errstate(invalid="ignore"):  # a signaling NaN
            if len(slots.values) > MANY_VALUES and all(size == FLOAT_BYTES for _, size in slots.values):
                places = np.array([at for at, _ in slots.values])[:, None] + np.arange(FLOAT_BYTES)
                values[:] = np.ascontiguousarray(rows[:, places.ravel()]).view("<f4")
            else:
                for position, (at, size) in enumerate(slots.values):
                    values[:, position] = _column(rows, at, "<f4" if size == FLOAT_BYTES else "<f8")
        self._values.append((events, values))

    def block(
        self, first: int, chosen: Mapping[int, Sequence[int]], times: NDArray[np.float64]
    ) -> tuple[ScalarBlock, Places]:
        """Return the scalars of the events from `first` on as a block, and the event of each of its calls.

        Args:
            first: the first event.
            chosen: for each pattern, the positions of the values that are wanted; a pattern that is left out has none.
            times: for each event, the time.
        """
        groups: dict[TagGroup, int] = {}
        group_of = np.full(len(self.patterns) + 2, -1, np.int32)  # the last two are OTHER and DAMAGED
        for number, positions in chosen.items():
            tags = self.patterns[number].tags
            wanted = tags if len(positions) == len(tags) else tuple(tags[position] for position in positions)
            if wanted:
                group_of[number] = groups.setdefault(wanted, len(groups))
        group = group_of[self.which]
        group[:first] = -1
        events = np.flatnonzero(group >= 0)
        call_of = np.zeros(len(group), np.intp)
        call_of[events] = np.arange(len(events))
        starts = np.zeros(len(events) + 1, np.int64)
        np.cumsum(np.array([len(tags) for tags in groups], np.int64)[group[events]], out=starts[1:])
        values = np.empty(int(starts[-1]), np.float64)
        for rows, matrix in self._values:
            self._fill(values, starts[call_of[rows]], group[rows] >= 0, rows, matrix, chosen)
        return ScalarBlock(list(groups), group[events], self.steps[events], times[events], values, starts), events

    def _fill(
        self,
        values: NDArray[np.float64],
        starts: NDArray[np.int64],
        is_wanted: NDArray[np.bool_],
        events: Places,
        matrix: NDArray[np.float64],
        chosen: Mapping[int, Sequence[int]],
    ) -> None:
        """Put the wanted values of some events, R×N, where their calls begin."""
        count = matrix.shape[1]
        which = self.which[events]
        numbers = np.unique(which[is_wanted]).tolist() if count > 1 else []
        if all(len(chosen[number]) == count for number in numbers):
            if not is_wanted.all():
                starts, matrix = starts[is_wanted], matrix[is_wanted]
            if len(starts) and (np.diff(starts) == count).all():
                values[starts[0] : starts[0] + matrix.size] = matrix.ravel()
            else:
                values[starts[:, None] + np.arange(count)] = matrix
            return
        for number in numbers:
            at, positions = np.flatnonzero(is_wanted & (which == number)), list(chosen[number])
            values[starts[at][:, None] + np.arange(len(positions))] = matrix[at][:, positions]


class ColumnDecoder:
    """Find the scalars in the pieces of one run. It remembers what their frames look like."""

    def __init__(self) -> None:
        self._patterns: dict[bytes, Pattern] = {}  # by the bytes of a frame without its numbers
        self._slots: dict[int, dict[Slots, None]] = {}  # by size of a frame
        self._pattern_bytes = 0

    def decode(self, piece: Piece) -> Columns:
        """Return the columns of a piece; the checksums of events that have a pattern are checked."""
        sizes = np.diff(piece.offsets)
        columns = Columns(len(sizes))
        numbers: dict[Pattern, int] = {}
        data = np.frombuffer(piece.data, np.uint8)
        for events in _equal(sizes):
            size = int(sizes[events[0]])
            if len(events) < MIN_EVENTS and size < LONG_EVENT_BYTES:
                continue
            starts = piece.offsets[events]
            if len(starts) > 1 and (np.diff(starts) == size).all():
                rows = data[starts[0] : int(starts[-1]) + size].reshape(-1, size)
            else:
                rows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(data, size)[starts])
            self._decode_rows(rows, events, columns, numbers)
        columns.patterns = list(numbers)
        return columns

    def _decode_rows(self, rows: Bytes, events: Places, columns: Columns, numbers: dict[Pattern, int]) -> None:
        """Decode what can be decoded of R frames of one size."""
        left = np.arange(len(rows))
        for slots in self._slots_of(rows):
            if not len(left):
                return
            own = rows if len(left) == len(rows) else rows[left]
            found, pattern_of = self._match(own, slots)
            if not found:
                continue
            has_pattern = pattern_of >= 0
            if not has_pattern.all():
                own, pattern_of = own[has_pattern], pattern_of[has_pattern]
            at = events[left[has_pattern]]
            bare = np.array([pattern.checksum for pattern in found], np.uint32)[pattern_of]
            is_right = checksums(own, slots, bare) == _column(own, slots.size - CHECKSUM.size, "<u4")
            number_of = np.array([numbers.setdefault(pattern, len(numbers)) for pattern in found], np.int32)
            columns.which[at] = np.where(is_right, number_of[pattern_of], DAMAGED)
            columns.put(at, own, slots)
            left = left[~has_pattern]

    def _slots_of(self, rows: Bytes) -> list[Slots]:
        """Return the arrangements of numbers that frames of this size may have, those that were seen before first."""
        known = self._slots.setdefault(rows.shape[1], {})
        for place in {0, len(rows) // 2, len(rows) - 1}:
            row = rows[place]
            if not any((row & fixed_bits(slots)).tobytes() in self._patterns for slots in known):
                self._read(row, known)
        return list(known)[:MAX_SLOTS]

    def _read(self, row: Bytes, known: dict[Slots, None]) -> Pattern | None:
        """Remember the pattern of a frame; None if it has none."""
        pattern = read_pattern(row.tobytes())
        if pattern is None:
            return None
        if self._pattern_bytes > MAX_PATTERN_BYTES:
            self._patterns.clear()
            self._slots.clear()
            self._pattern_bytes = 0
        known[pattern.slots] = None
        self._patterns[(row & fixed_bits(pattern.slots)).tobytes()] = pattern
        self._pattern_bytes += 10 * len(row) + 1000
        return pattern

    def _match(self, rows: Bytes, slots: Slots) -> tuple[list[Pattern], NDArray[np.int32]]:
        """Return the patterns with these slots of R frames, and for each frame which one it has, or -1."""
        words = np.zeros((len(rows), -(-slots.size // 8)), np.uint64)
        fixed = words.view(np.uint8)[:, : slots.size]
        np.bitwise_and(rows, fixed_bits(slots), out=fixed)
        is_one = bool((words == words[0]).all())
        kind_of, firsts = (np.zeros(len(rows), np.intp), [0]) if is_one else _kinds(words)
        if len(firsts) * EVENTS_PER_PATTERN > len(rows) and len(slots.values) < MANY_VALUES:
            firsts = firsts[:MAX_EQUAL]  # many tags with few events each
        found: list[Pattern] = []
        known = self._slots.setdefault(slots.size, {})
        number_of_kind = np.full(len(firsts), -1, np.int32)
        for kind, first in enumerate(firsts):
            pattern = self._patterns.get(fixed[first].tobytes()) or self._read(rows[first], known)
            if pattern is not None and pattern.slots == slots:
                number_of_kind[kind] = len(found)
                found.append(pattern)
        pattern_of = np.full(len(rows), -1, np.int32)
        if is_one:
            pattern_of[:] = number_of_kind[0]
            return found, pattern_of
        own = np.flatnonzero(kind_of < len(firsts))
        own = own[(words[own] == words[np.array(firsts)[kind_of[own]]]).all(axis=1)]  # a hash only proposes it
        pattern_of[own] = number_of_kind[kind_of[own]]
        return found, pattern_of


def _kinds(words: NDArray[np.uint64]) -> tuple[Places, list[int]]:
    """Sort R rows of words into kinds by a hash: return the kind of each row, and the first row of each kind."""
    factors = ODD * (2 * np.arange(words.shape[1], dtype=np.uint64) + np.uint64(1))
    hashes = words @ factors
    kind_of = np.full(len(words), -1, np.intp)
    firsts: list[int] = []
    left = np.arange(len(words))
    while len(left) and len(firsts) < MAX_EQUAL:
        firsts.append(int(left[0]))
        equal = hashes[left] == hashes[left[0]]
        kind_of[left[equal]] = len(firsts) - 1
        left = left[~equal]
    if len(left):
        _, first, inverse = np.unique(hashes[left], return_index=True, return_inverse=True)
        kind_of[left] = inverse + len(firsts)
        firsts += left[first].tolist()
    return kind_of, firsts


def _equal(sizes: NDArray[np.intp]) -> list[Places]:
    """Return the positions of each size, in order."""
    if (sizes == sizes[0]).all():
        return [np.arange(len(sizes))]
    if sizes.max() < 2**16:
        sizes = sizes.astype(np.uint16)  # which is sorted in linear time
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    return np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def _column(rows: Bytes, at: int, dtype: str) -> NDArray[np.float64]:
    """Return the numbers at one place of each row, as a view."""
    column: NDArray[np.float64] = np.ndarray((len(rows),), dtype, rows, at, (rows.strides[0],))
    return column
