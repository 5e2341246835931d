"""What only a writer's own event files hold: records that no other sink takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class FileSummary(NamedTuple):
    """An event for the files alone, where other sinks get the same data as a record of another type.

    Attributes:
        directory: the directory of the file; empty for the run's own.
        tag: names what is shown.
        event: a serialized `Event` with the same step and time.
        step: when it was logged.
        time: seconds since the epoch.
    """

    directory: str
    tag: str
    event: bytes
    step: int
    time: float


class ProjectorFiles(NamedTuple):
    """The files of an embedding, which TensorBoard's projector reads instead of an event.

    Attributes:
        tag: names the embedding.
        write: writes the files; a second call writes the same ones.
        step: when it was logged.
        time: seconds since the epoch.
    """

    tag: str
    write: Callable[[], None]
    step: int
    time: float
