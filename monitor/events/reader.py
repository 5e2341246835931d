"""From event files to records: our own, and those of torch, TensorFlow, JAX and whoever else writes the format."""

from __future__ import annotations

import io
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from monitor.events.files import event_files
from monitor.events.framing import FrameReader
from monitor.metrics import BEST_PREFIX
from monitor.records import Checkpoint, Config, Histogram, Images, Record, Restart, Scalar, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from tensorboard.compat.proto.event_pb2 import Event

log = logging.getLogger("monitor")

RECORDS_PER_LIST = 2000  # records that are handed on together, fewer of those with pictures
BYTES_PER_RECORD = 16_384  # bytes of a picture that count as a record
TEXT_SUFFIX = "/text_summary"  # what writers put behind the tag of a text
MAX_IMAGE_PIXELS = 4096 * 4096  # pixels of a picture


class EventReader:
    """Read one run's event files as records, again and again as they grow.

    What is no record is counted in `skipped`, by its plugin or kind. `wanted` chooses tags, `files` the files.
    """

    def __init__(
        self, run: Path, wanted: Callable[[str], bool] | None = None, files: Sequence[Path] | None = None
    ) -> None:
        self.run = run
        self._files = files
        self.skipped: Counter[str] = Counter()
        self._wanted = wanted
        self._tails: dict[Path, FrameReader] = {}
        self._bytes = 0  # of pictures that are not handed on yet
        self._configured = False  # whether it is a run of ours, or of somebody who writes hyperparameters as we do
        self._plugins: dict[str, str] = {}  # by tag; writers name it with the first value alone

    @property
    def damaged(self) -> int:
        """Events that could not be read."""
        return sum(tail.damaged for tail in self._tails.values())

    @property
    def torn(self) -> int:
        """Bytes at the files' ends that are no whole event."""
        return sum(tail.torn for tail in self._tails.values())

    def records(self) -> Iterator[list[Record]]:
        """Yield what is new since the last call, in lists of some thousand; superseded records are there too."""
        found: list[Record] = []
        for path in event_files(self.run) if self._files is None else self._files:
            tail = self._tails.setdefault(path, FrameReader(path))
            for event in tail.events():
                self._read(event, found)
                if len(found) + self._bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                    yield found
                    found, self._bytes = [], 0
        if found:
            yield found

    def _read(self, event: Event, found: list[Record]) -> None:
        what = event.WhichOneof("what")
        if what == "summary":
            step, when = event.step, event.wall_time
            for value in event.summary.value:
                tag = value.tag
                if value.WhichOneof("value") == "simple_value":
                    if tag[:5] == BEST_PREFIX and self._configured:
                        continue  # can be told from the others
                    if self._wanted is None or self._wanted(tag):
                        found.append(Scalar(tag, value.simple_value, step, when))
                else:
                    self._value(value, step, when, found)
        elif what == "session_log":
            if event.session_log.status == 1:
                found.append(Restart(event.step, event.wall_time))
            elif event.session_log.status == 3:
                found.append(Checkpoint(event.session_log.checkpoint_path, event.step, event.wall_time))
        elif what not in ("file_version", None):
            self.skipped[what.replace("_", " ")] += 1

    def _value(self, value: Any, step: int, when: float, found: list[Record]) -> None:
        tag, kind = value.tag, value.WhichOneof("value")
        if value.metadata.plugin_data.plugin_name:
            self._plugins.setdefault(tag, value.metadata.plugin_data.plugin_name)
        plugin = self._plugins.get(tag)
        if plugin == "hparams":
            found += self._hparams(value.metadata.plugin_data.content, when)
            return
        if self._wanted is not None and not self._wanted(tag.removesuffix(TEXT_SUFFIX)):
            return
        try:
            record = _record(value, kind, plugin, step, when)
        except Exception as error:  # whatever a file holds, the others are read
            log.debug("%s: %s at step %s: %s", self.run, tag, step, error)
            record = None
        if isinstance(record, Text) and record.tag == "config" and self._configured:
            return  # the same once more
        if record is None:
            self.skipped[plugin or str(kind or "empty value")] += 1
        else:
            self._bytes += record.images.nbytes if isinstance(record, Images) else 0
            found.append(record)

    def _hparams(self, content: bytes, when: float) -> list[Record]:
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        data = HParamsPluginData.FromString(content)
        if data.WhichOneof("data") != "session_start_info":
            return []
        self._configured = True
        values = {name: _plain(value) for name, value in sorted(data.session_start_info.hparams.items())}
        return [Config(values, when)]


def read_history(
    run: Path, wanted: Callable[[str], bool] | None = None, files: Sequence[Path] | None = None
) -> Iterator[list[Record]]:
    """Yield the records of a run that stand: those that a restart supersedes are left out, as TensorBoard does.

    `files`, where given, are all that is read. Blocks while it reads; 1,000,000 scalars take some ten seconds.
    """
    files = event_files(run) if files is None else files
    floors = _floors(files)
    restarts = 0
    for records in EventReader(run, wanted, files).records():
        kept: list[Record] = []
        for record in records:
            if isinstance(record, Restart):
                restarts += 1
            elif restarts >= len(floors) or isinstance(record, Config | Checkpoint) or record.step < floors[restarts]:
                kept.append(record)
        if kept:
            yield kept


def read_scalars(run: Path, wanted: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each of the scalars `wanted`, as (step, value), those that stand."""
    points: dict[str, list[tuple[int, float]]] = {tag: [] for tag in wanted}
    for records in read_history(run, points.__contains__):
        for record in records:
            if isinstance(record, Scalar) and record.tag in points:
                points[record.tag].append((record.step, record.value))
    return points


def _floors(files: Sequence[Path]) -> list[int]:
    """Return, by the number of restarts before a record, the step from which on it is superseded."""
    from tensorboard.compat.proto.event_pb2 import Event

    steps = []
    for path in files:
        for data in FrameReader(path).frames():
            if b"\x3a" in data:  # the field's key; most events have none
                event = Event.FromString(data)
                if event.HasField("session_log") and event.session_log.status == 1:
                    steps.append(event.step)
    for place in range(len(steps) - 2, -1, -1):
        steps[place] = min(steps[place], steps[place + 1])
    return steps


def _record(value: Any, kind: str | None, plugin: str | None, step: int, when: float) -> Record | None:
    """Make the record of a value that is no plain scalar; None for what there is no record for."""
    tag = value.tag
    if kind == "image":
        return Images(tag, _pictures([value.image.encoded_image_string]), step, when)
    if kind == "histo":
        return _old_histogram(value, step, when)
    if kind != "tensor":
        return None
    array = _array(value.tensor)
    if plugin == "scalars" and array.size == 1:
        return Scalar(tag, float(array.reshape(())), step, when)
    if plugin == "images":
        return Images(tag, _pictures(array.ravel()[2:]), step, when)
    if plugin == "text":
        text = "\n".join(part.decode("utf-8", "replace") for part in array.ravel())
        return Text(tag.removesuffix(TEXT_SUFFIX), text, step, when)
    if plugin == "histograms":
        return _histogram(tag, array, step, when)
    return None


def _array(tensor: Any) -> NDArray[Any]:
    """Return a tensor's values, by TensorBoard's own function; it knows the many ways in which they are stored."""
    from tensorboard.util.tensor_util import make_ndarray

    found: NDArray[Any] = make_ndarray(tensor)
    return found


def _pictures(encoded: Sequence[bytes] | NDArray[Any]) -> NDArray[np.uint8]:
    """Decode pictures, all of one size: N×3×H×W, or N×1×H×W where there are no colours. Others are left out."""
    import numpy as np
    from PIL import Image

    pictures = []
    for data in encoded:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise ValueError(f"a picture of {image.width}×{image.height} pixels is too large")
            grey = image.mode in ("1", "L", "LA")
            array = np.asarray(image.convert("L" if grey else "RGB"))
        pictures.append(array[None] if grey else np.moveaxis(array, 2, 0))
    same = [picture for picture in pictures if picture.shape == pictures[0].shape]
    return np.stack(same)


def _old_histogram(value: Any, step: int, when: float) -> Histogram | None:
    """Read a histogram of which the upper limits are known: the first bucket starts at the lowest value."""
    import numpy as np

    limits = np.asarray(value.histo.bucket_limit, float)
    counts = np.asarray(value.histo.bucket, float)
    if not len(limits) or len(limits) != len(counts):
        return None
    limits = np.clip(limits, -1e308, 1e308)
    lowest = min(value.histo.min, limits[0])
    used = np.flatnonzero(counts)
    if len(used):  # writers keep hundreds of empty buckets on both sides
        first, last = used[0], used[-1]
        lowest = min(max(value.histo.min, limits[first - 1]), limits[first]) if first else lowest
        limits, counts = limits[first : last + 1], counts[first : last + 1]
    limits[-1] = max(min(limits[-1], value.histo.max), lowest) if value.histo.max > lowest else limits[-1]
    edges = np.concatenate([[lowest], limits])
    return Histogram(value.tag, np.zeros(0), step, when, (counts, edges))


def _histogram(tag: str, array: NDArray[Any], step: int, when: float) -> Histogram | None:
    """Read a histogram of k×3: left and right edge, and count, of each bucket."""
    import numpy as np

    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        return None
    edges = np.concatenate([array[:, 0], array[-1:, 1]]).astype(float)
    return Histogram(tag, np.zeros(0), step, when, (array[:, 2].astype(float), edges))


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind not in ("number_value", "string_value", "bool_value"):
        return None
    found = getattr(value, kind)
    return int(found) if kind == "number_value" and found == int(found) and abs(found) < 2**53 else found
