"""The curves of `add_scalars`: a writer puts each into a folder of its own below the run, as both packages do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.events.files import runs_under
from monitor.events.reading.reader import EventReader
from monitor.records import Scalar
from monitor.runs.run_file import RUN_FILE
from monitor.scalar_block import ScalarBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitor.events.reading.history import Batch


def folders_of_series(run: Path) -> dict[str, Path]:
    """Return the folders where our `SummaryWriter` of a run has such curves, and none of another run, by their names.

    Below a run of another program, each folder with event files is a run of its own.
    """
    folders = runs_under(run).values() if (run / RUN_FILE).is_file() else ()
    own = [folder for folder in folders if folder != run and not _is_in_another(folder, run)]
    return {folder.relative_to(run).as_posix(): folder for folder in own}


def series_tag(folder: str, tag: str) -> str:
    """Return the name of a curve in the run: that under which the writer's other sinks get it."""
    of_torch, of_tensorboardx = f"{tag.replace('/', '_')}_", f"{tag}/"
    for prefix in (of_torch, of_tensorboardx):
        if folder.startswith(prefix):
            return f"{tag}/{folder.removeprefix(prefix)}"
    return f"{folder}/{tag}"


def read_series_folders(
    run: Path,
    is_wanted: Callable[[str], bool] | None = None,
    on_error: Callable[[Path, OSError], None] | None = None,
) -> Iterator[ScalarBlock]:
    """Yield the scalars in these folders, by their names in the run. Blocks; a writer marks no restarts there.

    The arguments and errors are those of `EventReader`.
    """
    for folder, path in folders_of_series(run).items():
        for batch in series_reader(folder, path, is_wanted, on_error).batches():
            block = with_series_tags(folder, batch)
            if block is not None:
                yield block


def series_reader(
    folder: str,
    path: Path,
    is_wanted: Callable[[str], bool] | None = None,
    on_error: Callable[[Path, OSError], None] | None = None,
) -> EventReader:
    """Return a reader of the scalars in one of these folders; `is_wanted` takes their names in the run."""
    wanted = None if is_wanted is None else lambda tag: is_wanted(series_tag(folder, tag))
    return EventReader(path, wanted, on_error=on_error, kinds=frozenset({Scalar}))


def with_series_tags(folder: str, batch: Batch) -> ScalarBlock | None:
    """Return the scalars of one of these folders with their names in the run; None if there are none."""
    if not isinstance(batch, ScalarBlock):
        scalars = [record for record in batch if isinstance(record, Scalar)]
        return with_series_tags(folder, ScalarBlock.of(scalars)) if scalars else None
    groups = [tuple(series_tag(folder, tag) for tag in tags) for tags in batch.groups]
    return ScalarBlock(groups, batch.group, batch.steps, batch.times, batch.values, batch.starts)


def _is_in_another(folder: Path, run: Path) -> bool:
    """Tell whether a folder below a run is, or is in, another run."""
    between = [place for place in (folder, *folder.parents) if place != run and place.is_relative_to(run)]
    return any((place / RUN_FILE).exists() for place in between)
