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
        self._is_wanted = wanted
        self._frame_readers: dict[Path, FrameReader] = {}
        self._bytes = 0  # of pictures that are not handed on yet
        self._configured = False  # whether it is a run of ours, or of somebody who writes hyperparameters as we do
        self._plugins: dict[str, str] = {}  # by tag; writers name it with the first value alone

    @property
    def damaged(self) -> int:
        """Events that could not be read."""
        return sum(reader.damaged for reader in self._frame_readers.values())

    @property
    def torn(self) -> int:
        """Bytes at the files' ends that are no whole event."""
        return sum(reader.torn for reader in self._frame_readers.values())

    def records(self) -> Iterator[list[Record]]:
        """Yield what is new since the last call, in lists of some thousand; superseded records are there too."""
        records: list[Record] = []
        for path in event_files(self.run) if self._files is None else self._files:
            reader = self._frame_readers.setdefault(path, FrameReader(path))
            for event in reader.events():
                self._read_event(event, records)
                if len(records) + self._bytes // BYTES_PER_RECORD >= RECORDS_PER_LIST:
                    yield records
                    records, self._bytes = [], 0
        if records:
            yield records

    def _read_event(self, event: Event, records: list[Record]) -> None:
        kind = event.WhichOneof("what")
        if kind == "summary":
            step, wall_time = event.step, event.wall_time
            for value in event.summary.value:
                tag = value.tag
                if value.WhichOneof("value") == "simple_value":
                    if tag[:5] == BEST_PREFIX and self._configured:
                        continue  # can be told from the others
                    if self._is_wanted is None or self._is_wanted(tag):
                        records.append(Scalar(tag, value.simple_value, step, wall_time))
                else:
                    self._read_value(value, step, wall_time, records)
        elif kind == "session_log":
            if event.session_log.status == 1:
                records.append(Restart(event.step, event.wall_time))
            elif event.session_log.status == 3:
                records.append(Checkpoint(event.session_log.checkpoint_path, event.step, event.wall_time))
        elif kind not in ("file_version", None):
            self.skipped[kind.replace("_", " ")] += 1

    def _read_value(self, value: Any, step: int, wall_time: float, records: list[Record]) -> None:
        tag, kind = value.tag, value.WhichOneof("value")
        if value.metadata.plugin_data.plugin_name:
            self._plugins.setdefault(tag, value.metadata.plugin_data.plugin_name)
        plugin = self._plugins.get(tag)
        if plugin == "hparams":
            records += self._read_hparams(value.metadata.plugin_data.content, wall_time)
            return
        if self._is_wanted is not None and not self._is_wanted(tag.removesuffix(TEXT_SUFFIX)):
            return
        try:
            record = _decode_record(value, kind, plugin, step, wall_time)
        except Exception as error:  # whatever a file holds, the others are read
            log.debug("%s: %s at step %s: %s", self.run, tag, step, error)
            record = None
        if isinstance(record, Text) and record.tag == "config" and self._configured:
            return  # the same once more
        if record is None:
            self.skipped[plugin or str(kind or "empty value")] += 1
        else:
            self._bytes += record.images.nbytes if isinstance(record, Images) else 0
            records.append(record)

    def _read_hparams(self, content: bytes, wall_time: float) -> list[Record]:
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        data = HParamsPluginData.FromString(content)
        if data.WhichOneof("data") != "session_start_info":
            return []
        self._configured = True
        values = {name: _to_python(value) for name, value in sorted(data.session_start_info.hparams.items())}
        return [Config(values, wall_time)]


def read_history(
    run: Path, wanted: Callable[[str], bool] | None = None, files: Sequence[Path] | None = None
) -> Iterator[list[Record]]:
    """Yield the records of a run that stand: those that a restart supersedes are left out, as TensorBoard does.

    `files`, where given, are all that is read. Blocks while it reads; 1,000,000 scalars take some ten seconds.
    """
    files = event_files(run) if files is None else files
    restart_steps = _restart_steps(files)
    restarts = 0
    for records in EventReader(run, wanted, files).records():
        current: list[Record] = []
        for record in records:
            if isinstance(record, Restart):
                restarts += 1
            elif (
                restarts >= len(restart_steps)
                or isinstance(record, Config | Checkpoint)
                or record.step < restart_steps[restarts]
            ):
                current.append(record)
        if current:
            yield current


def read_scalars(run: Path, wanted: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each of the scalars `wanted`, as (step, value), those that stand."""
    points: dict[str, list[tuple[int, float]]] = {tag: [] for tag in wanted}
    for records in read_history(run, points.__contains__):
        for record in records:
            if isinstance(record, Scalar) and record.tag in points:
                points[record.tag].append((record.step, record.value))
    return points


def _restart_steps(files: Sequence[Path]) -> list[int]:
    """Return, by the number of restarts before a record, the step from which on it is superseded."""
    from tensorboard.compat.proto.event_pb2 import Event

    steps = []
    for path in files:
        for data in FrameReader(path).frames():
            if b"\x3a" in data:  # the field's key; most events have none
                event = Event.FromString(data)
                if event.HasField("session_log") and event.session_log.status == 1:
                    steps.append(event.step)
    for index in range(len(steps) - 2, -1, -1):
        steps[index] = min(steps[index], steps[index + 1])
    return steps


def _decode_record(value: Any, kind: str | None, plugin: str | None, step: int, wall_time: float) -> Record | None:
    """Make the record of a value that is no plain scalar; None for what there is no record for."""
    tag = value.tag
    if kind == "image":
        return Images(tag, _decode_images([value.image.encoded_image_string]), step, wall_time)
    if kind == "histo":
        return _decode_v1_histogram(value, step, wall_time)
    if kind != "tensor":
        return None
    array = _decode_tensor(value.tensor)
    if plugin == "scalars" and array.size == 1:
        return Scalar(tag, float(array.reshape(())), step, wall_time)
    if plugin == "images":
        return Images(tag, _decode_images(array.ravel()[2:]), step, wall_time)
    if plugin == "text":
        text = "\n".join(part.decode("utf-8", "replace") for part in array.ravel())
        return Text(tag.removesuffix(TEXT_SUFFIX), text, step, wall_time)
    if plugin == "histograms":
        return _decode_histogram(tag, array, step, wall_time)
    return None


def _decode_tensor(tensor: Any) -> NDArray[Any]:
    """Return a tensor's values, by TensorBoard's own function; it knows the many ways in which they are stored."""
    from tensorboard.util.tensor_util import make_ndarray

    array: NDArray[Any] = make_ndarray(tensor)
    return array


def _decode_images(encoded: Sequence[bytes] | NDArray[Any]) -> NDArray[np.uint8]:
    """Decode pictures, all of one size: N×3×H×W, or N×1×H×W where there are no colours. Others are left out."""
    import numpy as np
    from PIL import Image

    pictures = []
    for data in encoded:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise ValueError(f"a picture of {image.width}×{image.height} pixels is too large")
            is_gray = image.mode in ("1", "L", "LA")
            array = np.asarray(image.convert("L" if is_gray else "RGB"))
        pictures.append(array[None] if is_gray else np.moveaxis(array, 2, 0))
    same_size = [picture for picture in pictures if picture.shape == pictures[0].shape]
    return np.stack(same_size)


def _decode_v1_histogram(value: Any, step: int, wall_time: float) -> Histogram | None:
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
    return Histogram(value.tag, np.zeros(0), step, wall_time, (counts, edges))


def _decode_histogram(tag: str, array: NDArray[Any], step: int, wall_time: float) -> Histogram | None:
    """Read a histogram of k×3: left and right edge, and count, of each bucket."""
    import numpy as np

    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        return None
    edges = np.concatenate([array[:, 0], array[-1:, 1]]).astype(float)
    return Histogram(tag, np.zeros(0), step, wall_time, (array[:, 2].astype(float), edges))


def _to_python(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind not in ("number_value", "string_value", "bool_value"):
        return None
    result = getattr(value, kind)
    return int(result) if kind == "number_value" and result == int(result) and abs(result) < 2**53 else result
