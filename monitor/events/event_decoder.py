"""Decode the events of one run, in their order, as records."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from monitor.events.decoding import (
    TEXT_SUFFIX,
    decode_settings,
    decode_tensor,
    decode_value,
    record_types,
)
from monitor.events.media.decoding import MeshParts
from monitor.metrics import is_best_value
from monitor.records import RECORD_TYPES, Checkpoint, Mesh, Record, Restart, Scalar, Summary, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tensorboard.compat.proto.event_pb2 import Event

log = logging.getLogger("monitor")

MAX_TAG_CHARS = 2**14
MAX_KIND_CHARS = 60
MAX_PLUGIN_CHARS = 2**24  # of all tags whose plugin is remembered
MAX_TIME_S = 2**37  # since the epoch; later times are no dates
SESSION_LOG_KEY = b"\x3a"  # of the field of an event; most events do not contain this byte
SESSION_START, SESSION_CHECKPOINT = 1, 3  # of `SessionLog.SessionStatus`
GRAPH_TAG = "graph"  # TensorBoard shows one graph of a run


class EventDecoder:
    """Decode events. It remembers what earlier events of the run say about later ones.

    Attributes:
        skipped: the number of values for which there is no record, by plugin or kind.
        has_settings: whether there was a record of settings so far.
        others: the number of values and marks so far that are no scalars, wanted or not.
    """

    def __init__(
        self,
        kinds: frozenset[type] = RECORD_TYPES,
        is_wanted: Callable[[str], bool] | None = None,
        *,
        keeps_copies: bool = False,
    ) -> None:
        """Decode the records of these types and of the tags for which `is_wanted` is true; by default, all.

        With `keeps_copies`, what our writer adds to a run as a copy of other records, such as best values, counts too.
        """
        self.skipped: Counter[str] = Counter()
        self.others = 0
        self._kinds, self._is_wanted = kinds, is_wanted
        self._wants_scalars, self._keeps_copies = Scalar in kinds, keeps_copies
        self.has_settings = False  # then the run also has the copies of records that our writer adds
        self._plugins: dict[str, str] = {}  # by tag; writers name the plugin in the first value of a tag only
        self._plugin_chars = 0

    def decode(self, event: Event, records: list[Record]) -> None:
        """Append the records of one event."""
        kind = event.WhichOneof("what")
        wall_time = event.wall_time if 0 <= event.wall_time < MAX_TIME_S else 0.0  # NaN is neither
        if kind == "summary":
            self._decode_summary(event, wall_time, records)
        elif kind == "session_log":
            self.others += 1
            records += [record for record in _session_records(event, wall_time) if type(record) in self._kinds]
        elif kind == "graph_def":
            self.others += 1
            if Summary in self._kinds and (self._is_wanted is None or self._is_wanted(GRAPH_TAG)):
                records.append(Summary(GRAPH_TAG, event.SerializeToString(), event.step, wall_time))
        elif kind not in ("file_version", None):
            self.skipped[kind.replace("_", " ")] += 1

    def may_hold_record(self, data: bytes) -> bool:
        """Tell whether an encoded event may hold a record that is wanted, without parsing it."""
        return self._kinds != {Restart} or SESSION_LOG_KEY in data

    def wanted_scalars(self, tags: Sequence[str], plugins: Sequence[str | None]) -> list[int]:
        """Return which values are wanted of an event that holds nothing but scalars, as `decode` would find them.

        Args:
            tags: their tags.
            plugins: None for a plain number, and the plugin that a tensor names, or "".
        """
        if not self._wants_scalars:
            return []
        return [
            position
            for position, (tag, plugin) in enumerate(zip(tags, plugins))
            if not (plugin is None and self.has_settings and is_best_value(tag))
            and (self._is_wanted is None or self._is_wanted(tag))
        ]

    def tensor_tags(self) -> list[str]:
        """Return the tags of the tensors that are scalars, so far."""
        return [tag for tag, plugin in self._plugins.items() if plugin == "scalars"]

    def know_tensors(self, tags: Iterable[str]) -> None:
        """Take tensors of these tags for scalars, as if earlier events had said so."""
        self._plugins |= dict.fromkeys(tags, "scalars")

    def are_scalars(self, tags: Sequence[str], plugins: Sequence[str | None]) -> bool:
        """Tell whether the values of such an event are scalars, which for tensors earlier events may say."""
        return not any(
            len(tag) > MAX_TAG_CHARS
            or (plugin is not None and (tag.endswith(TEXT_SUFFIX) or self._plugin(tag, plugin) != "scalars"))
            for tag, plugin in zip(tags, plugins)
        )

    def _decode_summary(self, event: Event, wall_time: float, records: list[Record]) -> None:
        """Append the records of the values of an event."""
        step = event.step
        meshes: MeshParts | None = None
        for value in event.summary.value:
            tag = value.tag
            if len(tag) > MAX_TAG_CHARS:
                self.skipped[f"tag of more than {MAX_TAG_CHARS:,} characters"] += 1
            elif value.WhichOneof("value") == "simple_value":
                if self.has_settings and is_best_value(tag):
                    continue  # the best value so far, which follows from the others
                if self._wants_scalars and (self._is_wanted is None or self._is_wanted(tag)):
                    records.append(Scalar(tag, value.simple_value, step, wall_time))
            else:
                meshes = meshes or MeshParts()
                self._decode_value(value, step, wall_time, records, meshes)
        if meshes is not None:
            records += meshes.meshes(step, wall_time)

    def _decode_value(self, value: Any, step: int, wall_time: float, records: list[Record], meshes: MeshParts) -> None:
        """Append the records of a value that is not a plain scalar."""
        tag = value.tag
        plugin = self._plugin(tag, value.metadata.plugin_data.plugin_name)
        types = record_types(value, plugin)
        self.others += Scalar not in types
        if types and not types & self._kinds:
            return
        if plugin != "hparams" and self._is_wanted is not None and not self._is_wanted(tag.removesuffix(TEXT_SUFFIX)):
            return
        found: list[Record] = []
        try:
            if plugin == "hparams":
                settings = decode_settings(value.metadata.plugin_data.content, wall_time)
                if settings is not None:
                    self.has_settings = not self._keeps_copies
                    records.append(settings)
                return
            if Mesh in types and meshes.add(tag, value.tensor, decode_tensor):
                return
            found = decode_value(value, plugin, step, wall_time, self._kinds)
        except Exception as error:  # a damaged value must not hide the others
            log.debug("%s at step %s: %s", tag[:200], step, error)
        if found and isinstance(found[0], Text) and found[0].tag == "config" and self.has_settings:
            return  # the settings again, as text
        if not found:
            self.skipped[(plugin or str(value.WhichOneof("value") or "empty value"))[:MAX_KIND_CHARS]] += 1
        records += [record for record in found if type(record) in self._kinds]

    def _plugin(self, tag: str, named: str) -> str | None:
        """Return the plugin of a tag: the one named in its first value that names one."""
        plugin = self._plugins.get(tag)
        if plugin is None and named:
            plugin = named
            if self._plugin_chars < MAX_PLUGIN_CHARS:
                self._plugins[tag] = named
                self._plugin_chars += len(tag) + len(named)
        return plugin


def _session_records(event: Event, wall_time: float) -> list[Record]:
    """Return the record of an event that marks a restart or a checkpoint."""
    if event.session_log.status == SESSION_START:
        return [Restart(event.step, wall_time)]
    if event.session_log.status == SESSION_CHECKPOINT:
        return [Checkpoint(event.session_log.checkpoint_path, event.step, wall_time)]
    return []
