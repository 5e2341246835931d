"""The methods of a `SummaryWriter` for curves, layouts, and meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.summaries import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ChartMethods(WriterMethods):
    """Each copies what could change and returns."""

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add a precision–recall curve.

        Args:
            tag: names the curve.
            labels: 0 or 1 for each sample.
            predictions: the probability of 1 for each sample.
            global_step: the step; 0 by default.
            num_thresholds: how many points the curve has; 127 at most.
            weights: of the samples.
            walltime: seconds since the epoch; now by default.
        """
        if weights is not None and not isinstance(weights, int | float):
            arrays = [self._builders.make_np(array) for array in (labels, predictions)]
            self._add_now("pr_curve", tag, global_step, walltime, tag, *arrays, num_thresholds, weights)
            return
        options = {"num_thresholds": num_thresholds, "weights": weights}
        key = (num_thresholds, weights)
        self._add("pr_curve", tag, [labels, predictions], options, key, global_step, walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add a precision–recall curve of which the points are known."""
        counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
        columns = (*counts, precision, recall)
        has_count = type(num_thresholds) is int and num_thresholds >= 0
        if plain.is_text(tag) and has_count and plain.are_columns(*columns):
            arguments = (tag, *map(list.copy, columns), num_thresholds)
            self._add_later("pr_curve_raw", tag, arguments, 48 * len(recall), global_step, walltime)
            return
        self._add_now("pr_curve_raw", tag, global_step, walltime, tag, *columns, num_thresholds, weights)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Add charts of several curves: by category and title, "Multiline" or "Margin" and the tags."""
        self._add_now("custom_scalars", "custom_scalars__config__", None, None, layout)

    def add_custom_scalars_multilinechart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Add a chart of several curves."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Add a chart of a curve with a band around it: the tags of the value, its lower, and its upper bound."""
        if len(tags) != 3:
            raise AssertionError(f"Expected 3 tags, got {len(tags)}.")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: dict[str, Any] | None = None,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add meshes or point clouds: `vertices` is B×N×3, as are `colors`, in [0, 255], and `faces`, indices."""
        import json

        key = json.dumps(config_dict, sort_keys=True)
        options = {"config_dict": None if config_dict is None else json.loads(key)}
        self._add("mesh", tag, [vertices, colors, faces], options, key, global_step, walltime)
