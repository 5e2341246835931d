"""The pictures of earlier processes of a run, until it is known which windows they belong to.

An event file has pictures, and does not say what they show: samples, predictions, a plot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from monitor.metrics import TIMELINE_PREFIX
from monitor.render.images import encode_png
from monitor.sinks.visdom.history import MAX_BYTES, MAX_PAGE_BYTES, WindowHistory
from monitor.sinks.visdom.windows import Message, image_window

if TYPE_CHECKING:
    from monitor.records import Images


class EarlierPictures:
    """Keeps pictures by their tags, each as the slider of a window would."""

    def __init__(self) -> None:
        self._histories: dict[str, WindowHistory] = {}

    def add(self, record: Images) -> None:
        """Take in a picture. It is encoded at once: as an array, it takes many times the memory."""
        if len(record.images) != 1 or record.tag.startswith(TIMELINE_PREFIX):  # a timeline comes with its predictions
            return
        history = self._histories.setdefault(record.tag, WindowHistory(_picture_window, is_picture_first=True))
        history.add(record)
        try:
            history.draw(min(MAX_BYTES, MAX_PAGE_BYTES // len(self._histories)))
        except Exception:  # a file may hold anything; the step is left out
            if not history.drop()[1]:
                del self._histories[record.tag]

    def take(self, tag: str) -> WindowHistory | None:
        """Return and forget the pictures of a tag."""
        return self._histories.pop(tag, None)

    def restart(self, step: int) -> None:
        """Remove the pictures at `step` and above."""
        for history in self._histories.values():
            history.restart(step)


def _picture_window(record: Images) -> Message:
    """Show a picture as it was logged, and not as one of a grid."""
    pixels = record.images[0].transpose(1, 2, 0)
    return image_window(record.tag, encode_png(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)))
