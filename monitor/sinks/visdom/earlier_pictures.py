"""The pictures of earlier processes of a run.

An event file has pictures, and does not say what they show: samples, predictions, a plot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from monitor.render.pictures.images import encode_png
from monitor.sinks.visdom.history import WindowHistory
from monitor.sinks.visdom.windows import Message, image_window

if TYPE_CHECKING:
    from monitor.records import Images


def empty_history() -> WindowHistory:
    """Return a window for pictures as they were logged, which are not to be arranged in a grid again."""
    return WindowHistory(_picture_window, is_picture_first=True)


def add_picture(history: WindowHistory, record: Images, max_bytes: int) -> bool:
    """Take in a picture, and keep at most `max_bytes` of older ones; tell whether there is any. Blocks to encode it.

    As an array, it would take many times the memory. The newest stays one until the next, because most of many pictures
    are left out soon. One that cannot be drawn is left out, too.
    """
    history.add(record)
    try:
        history.draw(max_bytes, with_newest=False)
    except Exception:  # a file may hold anything
        return history.drop()[1]
    return True


def _picture_window(record: Images) -> Message:
    pixels = record.images[0].transpose(1, 2, 0)
    return image_window(record.tag, encode_png(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)))
