"""Build the messages that event files hold, from TensorBoard's own protocol buffers.

They are the same on the wire as tensorboardX's, whose import brings torch along: 500 MB, and seconds on a busy machine,
in which a `close` would take the sink for one that hangs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.histogram_pb2 import HistogramProto
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar.layout_pb2 import (
    Category,
    Chart,
    Layout,
    MarginChartContent,
    MultilineChartContent,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

from monitor.events.media.markdown_cells import MARKDOWN
from monitor.metrics import SPLIT_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

Value = Any  # a Summary.Value; the generated classes have no types
DT_STRING = 7
SESSION_START_TAG = "_hparams_/session_start_info"
SESSION_END_TAG = "_hparams_/session_end_info"
LAYOUT_TAG = "custom_scalars__config__"


def event(values: Iterable[Value], step: int, wall_time: float) -> Event:
    """Return an event of several values; `wall_time` is in seconds since the epoch."""
    return Event(wall_time=wall_time, step=step, summary=Summary(value=values))


def scalar(tag: str, value: float = 0.0) -> Value:
    """Return a scalar, which the file stores as float32."""
    return Summary.Value(tag=tag, simple_value=value)


def image(tag: str, encoded_image: bytes, width: int, height: int, channels: int = 3) -> Value:
    """Return an image of 3 or 4 channels, encoded as PNG or GIF."""
    encoded = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded_image)
    return Summary.Value(tag=tag, image=encoded)


def text(tag: str, text: str, *, is_markdown: bool = False) -> Value:
    """Return a text. TensorBoard renders any as Markdown; that one was meant as such is noted in its description."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    metadata = _metadata("text", TextPluginData(version=0).SerializeToString())
    if is_markdown:
        metadata.summary_description = MARKDOWN
    return Summary.Value(tag=f"{tag}/text_summary", tensor=tensor, metadata=metadata)


def table(tag: str, rows: Sequence[Sequence[str]]) -> Value:
    """Return rows of cells of Markdown, all of the same length, which TensorBoard shows as a table of texts."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in (len(rows), len(rows[0]))])
    cells = [cell.encode() for row in rows for cell in row]
    tensor = TensorProto(dtype=DT_STRING, string_val=cells, tensor_shape=shape)
    content = TextPluginData(version=0).SerializeToString()
    return Summary.Value(tag=f"{tag}/text_summary", tensor=tensor, metadata=_metadata("text", content))


def preformatted(plain_text: str) -> str:
    """Indent plain text so that Markdown keeps its lines apart and applies no markup."""
    return "\n".join(f"    {line}" for line in plain_text.splitlines())


def histogram(
    tag: str,
    counts: NDArray[Any],
    edges: NDArray[np.float64],
    *,
    minimum: float,
    maximum: float,
    total: float,
    total_of_squares: float,
) -> Value:
    """Return a histogram of K counts between K + 1 edges, with the sums over the values themselves."""
    # The format counts the values up to each limit, so the first limit opens the first bucket with a count of 0.
    histo = HistogramProto(
        min=minimum,
        max=maximum,
        num=float(counts.sum()),
        sum=total,
        sum_squares=total_of_squares,
        bucket_limit=edges.tolist(),
        bucket=[0, *counts.tolist()],
    )
    return Summary.Value(tag=tag, histo=histo)


def session_start(config: Mapping[str, Any], start: float) -> Value:
    """Return a run's row in HPARAMS; `start` is in seconds since the epoch.

    There is no experiment summary, on purpose: TensorBoard then collects the columns of all runs itself, even if their
    settings differ. A summary written by one run would hide the columns of the others.
    """
    info = SessionStartInfo(start_time_secs=start)
    for name, value in config.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            info.hparams[name].number_value = float(value)
        elif value is not None:
            info.hparams[name].string_value = str(value)
    return _hparams(SESSION_START_TAG, HParamsPluginData(session_start_info=info))


def session_end(*, succeeded: bool, end: float) -> Value:
    """Return the end of a run for HPARAMS; `end` is in seconds since the epoch."""
    info = SessionEndInfo(status="STATUS_SUCCESS" if succeeded else "STATUS_FAILURE", end_time_secs=end)
    return _hparams(SESSION_END_TAG, HParamsPluginData(session_end_info=info))


def restart(step: int, wall_time: float) -> Event:
    """Return the event at which TensorBoard drops `step` and everything above it."""
    return Event(wall_time=wall_time, step=step, session_log=SessionLog(status=SessionLog.START))


def checkpoint(name: str, step: int, wall_time: float) -> Event:
    """Return the event that marks a checkpoint."""
    log = SessionLog(status=SessionLog.CHECKPOINT, checkpoint_path=name)
    return Event(wall_time=wall_time, step=step, session_log=log)


def chart_layout(splits_by_metric: Mapping[str, Sequence[str]]) -> Value:
    """Return the layout of CUSTOM SCALARS: one chart for each metric that was logged for several splits.

    Each chart names all known splits, so that the charts of all runs are the same.
    """
    splits_pattern = f"({'|'.join(SPLIT_ORDER)})"
    charts = [
        Chart(
            title=metric,
            multiline=MultilineChartContent(
                tag=[f"^{splits_pattern}/{re.escape(metric)}$", f"^{re.escape(metric)}/{splits_pattern}$"]
            ),
        )
        for metric, splits in splits_by_metric.items()
        if len(splits) > 1
    ]
    return _layout(Layout(category=[Category(title="train and test", chart=charts)]))


def margin_layout(tags: Sequence[str], lower: str, upper: str) -> Value:
    """Return the layout of CUSTOM SCALARS with one margin chart for each metric: a line within a band.

    The ends of the band of `TAG` are `TAG/lower` and `TAG/upper`, where these are the last parts of their tags.
    """
    series = MarginChartContent.Series
    charts = [
        Chart(
            title=tag,
            margin=MarginChartContent(series=[series(value=tag, lower=f"{tag}/{lower}", upper=f"{tag}/{upper}")]),
        )
        for tag in tags
    ]
    return _layout(Layout(category=[Category(title="groups", chart=charts)]))


def _layout(layout: Layout) -> Value:
    tensor = TensorProto(dtype=DT_STRING, string_val=[layout.SerializeToString()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag=LAYOUT_TAG, tensor=tensor, metadata=_metadata("custom_scalars"))


def _hparams(tag: str, data: HParamsPluginData) -> Value:
    return Summary.Value(tag=tag, metadata=_metadata("hparams", data.SerializeToString()))


def _metadata(plugin: str, content: bytes = b"") -> SummaryMetadata:
    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content))
