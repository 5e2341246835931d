"""The scalars of a run as blocks of columns, without those that a restart supersedes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from monitor.events.files import event_files
from monitor.events.reading.reader import EventReader, find_restarts
from monitor.records import Config, Restart, Scalar
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.records import Record

    OnError = Callable[[Path, OSError], None] | None
    Batch = ScalarBlock | list[Record]

Folded = TypeVar("Folded")
KINDS = frozenset({Scalar, Restart})


class RestartFound(Exception):
    """A run was resumed where it was read as one that was not."""


def fold_history(
    run: Path,
    fold: Callable[[Iterator[Batch]], Folded],
    is_wanted: Callable[[str], bool] | None = None,
    on_error: OnError = None,
    kinds: frozenset[type] = KINDS,
) -> Folded:
    """Return what `fold` makes of the scalars of a run, and of its settings if `kinds` has `Config`.

    `fold` may be called twice: a run is first read as if it had never been resumed, which most never were. Blocks while
    it reads; takes memory for a megabyte of an event file at a time. The other arguments and errors are those of
    `EventReader`.
    """
    files = event_files(run)
    reader = EventReader(run, is_wanted, files, on_error, kinds | {Restart})
    try:
        return fold(before_restart(reader.batches()))
    except RestartFound:
        restarts = find_restarts(files, _ignore_error if on_error is not None else None)
        reader = EventReader(run, is_wanted, files, on_error, kinds | {Restart})
        return fold(without_superseded(reader.batches(), restarts))


def before_restart(batches: Iterable[Batch], highest: int = -(2**63)) -> Iterator[Batch]:
    """Pass batches on; raise `RestartFound` at a restart that supersedes something. `highest` is a step before them."""
    for batch in batches:
        if isinstance(batch, ScalarBlock):
            highest = max(highest, int(batch.steps.max()))
        elif any(isinstance(record, Restart) and record.step <= highest for record in batch):
            raise RestartFound
        else:
            highest = max([highest, *(record.step for record in batch if isinstance(record, Scalar))])
        yield from _as_blocks(batch)


def without_superseded(batches: Iterable[Batch], restarts: Sequence[int]) -> Iterator[Batch]:
    """Pass batches on without the scalars that restarts supersede; `restarts` is what `find_restarts` returns."""
    count = 0
    for batch in batches:
        if not isinstance(batch, ScalarBlock):
            kept: list[Record] = []
            for record in batch:
                if isinstance(record, Restart):
                    count += 1
                elif isinstance(record, Config) or count >= len(restarts) or record.step < restarts[count]:
                    kept.append(record)
            yield from _as_blocks(kept)
            continue
        block = batch if count >= len(restarts) else select_calls(batch, batch.steps < restarts[count])
        if len(block):
            yield block


def select_calls(block: ScalarBlock, kept: NDArray[np.bool_]) -> ScalarBlock:
    """Return the calls of a block for which `kept` is true."""
    if kept.all():
        return block
    sizes = np.diff(block.starts)
    values = block.values[np.repeat(kept, sizes)]
    return ScalarBlock(block.groups, block.group[kept], block.steps[kept], block.times[kept], values)


def select_tags(block: ScalarBlock, wanted: Mapping[str, object] | set[str]) -> ScalarBlock:
    """Return the calls of a block that have one of the tags, among others."""
    has_one = np.array([any(tag in wanted for tag in tags) for tags in block.groups], np.bool_)
    return select_calls(block, has_one[block.group])


def _as_blocks(batch: Batch) -> Iterator[Batch]:
    """Yield scalars that come as records, beside others of their event, as a block."""
    if isinstance(batch, ScalarBlock):
        yield batch
        return
    scalars = [record for record in batch if isinstance(record, Scalar)]
    if scalars:
        yield ScalarBlock.of(scalars)
    if len(scalars) < len(batch):
        yield [record for record in batch if not isinstance(record, Scalar)]


def _ignore_error(_path: Path, _error: OSError) -> None:
    """Do nothing: the first pass has reported the error."""
