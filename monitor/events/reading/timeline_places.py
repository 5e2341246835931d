"""Where event files hold the timelines of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events.framing import parse_event
from monitor.machine.files import open_regular
from monitor.metrics import TIMELINE_KEY, TIMELINE_PREFIX

if TYPE_CHECKING:
    from monitor.machine.files import FileRange
    from monitor.prediction_timeline import PredictionTimeline

HEAD_BYTES = 100  # of a picture, in which the name of its first text chunk is


class TimelinePlaces:
    """The places of the timelines that no restart supersedes. Each timeline includes those before it."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[int, str, FileRange]]] = {}  # by the tag of the predictions

    def add(self, event: Any, place: FileRange) -> None:
        """Take note of the timelines that an event holds."""
        for value in event.summary.value:
            if value.HasField("image") and TIMELINE_KEY in value.image.encoded_image_string[:HEAD_BYTES]:
                tag = value.tag.removeprefix(TIMELINE_PREFIX)  # of a first test, it is the picture of the predictions
                self._places.setdefault(tag, []).append((event.step, value.tag, place))

    def restart(self, step: int) -> None:
        """Leave out those at `step` and above."""
        for tag, places in self._places.items():
            self._places[tag] = [found for found in places if found[0] < step]

    def read(self) -> dict[str, PredictionTimeline]:
        """Return the newest timeline of each tag. Blocks while it reads; raises `OSError`."""
        from monitor.render.reduction.prediction_timeline import read_timeline

        found: dict[str, PredictionTimeline] = {}
        for tag, places in self._places.items():
            _, own_tag, place = places[-1] if places else (0, "", None)
            event = None if place is None else parse_event(_read(place))
            for value in event.summary.value if event is not None else ():
                if value.tag == own_tag:
                    timeline = read_timeline(value.image.encoded_image_string)
                    found |= {} if timeline is None else {tag: timeline}
        return found


def _read(place: FileRange) -> bytes:
    with open_regular(place.path) as file:
        file.seek(place.offset)
        return file.read(place.length)
