"""Where event files hold the timelines of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.events.framing import parse_event
from monitor.files import open_regular
from monitor.metrics import TIMELINE_PREFIX

if TYPE_CHECKING:
    from monitor.files import FileRange
    from monitor.prediction_timeline import PredictionTimeline


class TimelinePlaces:
    """The places of the timelines that no restart supersedes. Each timeline includes those before it."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[int, FileRange]]] = {}  # by the tag of the predictions, with their steps

    def add(self, event: Any, place: FileRange) -> None:
        """Take note of the timelines that an event holds."""
        for value in event.summary.value:
            if value.tag.startswith(TIMELINE_PREFIX) and value.HasField("image"):
                self._places.setdefault(value.tag.removeprefix(TIMELINE_PREFIX), []).append((event.step, place))

    def restart(self, step: int) -> None:
        """Leave out those at `step` and above."""
        for tag, places in self._places.items():
            self._places[tag] = [(at_step, place) for at_step, place in places if at_step < step]

    def read(self) -> dict[str, PredictionTimeline]:
        """Return the newest timeline of each tag. Blocks while it reads; raises `OSError`."""
        from monitor.render.prediction_timeline import read_timeline

        found: dict[str, PredictionTimeline] = {}
        for tag, places in self._places.items():
            event = parse_event(_read(places[-1][1])) if places else None
            for value in event.summary.value if event is not None else ():
                if value.tag == TIMELINE_PREFIX + tag:
                    timeline = read_timeline(value.image.encoded_image_string)
                    found |= {} if timeline is None else {tag: timeline}
        return found


def _read(place: FileRange) -> bytes:
    with open_regular(place.path) as file:
        file.seek(place.offset)
        return file.read(place.length)
