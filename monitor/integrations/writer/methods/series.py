"""The scalars of a `SummaryWriter` that go into files in a special way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.exported import ExportedScalars
from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.summaries import capture
from monitor.integrations.writer.summaries.builders import TENSORBOARDX, TORCH, Builders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.integrations.writer.file_writer import FileWriter


class SeriesMethods(WriterMethods):
    """Several scalars in one call, and scalars with metadata."""

    _exported: ExportedScalars
    _keeps_scalars = True  # for `export_scalars_to_json`

    @property
    def scalar_dict(self) -> dict[str, list[list[Any]]]:
        """What `export_scalars_to_json` would write. Waits for a GPU."""
        return self._exported.lists()

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Add a point to each of several curves, which TensorBoard shows in one chart.

        Each curve goes into a file in a directory of its own, as with the stock classes; other sinks get it under
        `main_tag/tag`.

        Args:
            main_tag: names the chart.
            tag_scalar_dict: a value per curve, each as in `add_scalar`.
            global_step: the x value; 0 by default.
            walltime: seconds since the epoch; now by default.
        """
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        values: list[tuple[str, Any]] = []
        known = writer.names.series
        for tag, value in tag_scalar_dict.items():
            name, directory = known.get((main_tag, tag)) or self._new_series(writer, main_tag, tag)
            number = value if type(value) is float else capture.scalar_value(value, self._builders)
            values.append((name, number))
            if self._keeps_scalars:
                self._exported.add(directory, now, None if global_step is None else step, number)
        writer.put(capture.scalars, values, step, now, self._builders)

    def export_scalars_to_json(self, path: Any) -> None:
        """Write the scalars that `add_scalars` got since the last export, by directory, as [time, step, value]."""
        with Path(path).open("w", encoding="utf-8") as file:
            json.dump(self.scalar_dict, file)
        self._exported = ExportedScalars()

    def _new_series(self, writer: FileWriter, main_tag: str, tag: str) -> tuple[str, str]:
        """Return the name and the directory of a curve of `add_scalars`."""
        directory = self._series_directory(writer.get_logdir(), main_tag, tag)
        name = writer.names.name(self._builders.clean_tag(main_tag), directory, f"{main_tag}/{tag}")
        if self.all_writers is not None:
            self.all_writers[directory] = writer
        writer.names.series[main_tag, tag] = name, directory
        return name, directory

    def _series_directory(self, logdir: str, main_tag: str, tag: str) -> str:
        return f"{logdir}/{main_tag.replace('/', '_')}_{tag}"

    def _add_scalar(
        self,
        tag: str,
        value: Any,
        global_step: Any,
        walltime: float | None,
        new_style: bool | str,
        double_precision: bool | str,
        display_name: str,
        summary_description: str,
    ) -> None:
        """Add a scalar in any of the ways that the packages have."""
        if isinstance(new_style, str):
            display_name, new_style = display_name or new_style, False
        if isinstance(double_precision, str):
            summary_description, double_precision = summary_description or double_precision, False
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        if not (new_style or display_name or summary_description):
            writer.put(capture.scalars, [(self._plain_name(writer, tag, value), value)], step, now, self._builders)
            return
        if new_style:
            options: dict[str, Any] = {"new_style": True, "double_precision": double_precision}
            builders = Builders((TORCH,))
        else:
            options = {"display_name": display_name, "summary_description": summary_description}
            builders = Builders((TENSORBOARDX,))
        summary = builders.call("scalar", tag, value, **options)
        name = writer.names.name(tag, None)  # the file has it as a summary
        writer.put(capture.scalars, [(name, value)], step, now, builders)
        writer.put(capture.ready, capture.file_summary("", tag, summary, step, now))

    def _plain_name(self, writer: FileWriter, tag: Any, value: Any) -> str:
        if not isinstance(tag, str):
            self._builders.call("scalar", tag, value)  # raises what the packages raise
            tag = "" if tag is None else str(tag)
        name = writer.names.name(self._builders.clean_tag(tag))
        writer.names.plain[tag] = name
        return name
