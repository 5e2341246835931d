"""The methods of a `SummaryWriter` for curves, layouts, and meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.methods.base import WriterMethods
from monitor.integrations.writer.summaries import capture, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAYOUT_TAG = "custom_scalars__config__"


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
        tp, fp, tn, fn = true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts
        are_lists = type(tp) is type(fp) is type(tn) is type(fn) is type(precision) is type(recall) is list
        if are_lists and len(tp) == len(fp) == len(tn) == len(fn) == len(precision) == len(recall):
            is_plain = type(tag) is str and tag.isascii() and type(num_thresholds) is int and num_thresholds >= 0
            numbers = (*tp, *fp, *tn, *fn, *precision, *recall)
            if is_plain and plain.are_numbers(numbers):
                arguments = (num_thresholds, *numbers)
                self._add_later(capture.pr_curve_raw, tag, arguments, 8 * len(numbers), global_step, walltime)
                return
        columns = (tp, fp, tn, fn, precision, recall)
        self._add_now("pr_curve_raw", tag, global_step, walltime, tag, *columns, num_thresholds, weights)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Add charts of several curves: by category and title, "Multiline" or "Margin" and the tags."""
        found = plain.copy_of_layout(layout)
        if found is None:
            self._add_now("custom_scalars", LAYOUT_TAG, None, None, layout)
        else:
            self._add_later(capture.custom_scalars, LAYOUT_TAG, (found[0],), found[1], None, None)

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

        key = None if config_dict is None else json.dumps(config_dict, sort_keys=True)
        options = {"config_dict": None if key is None else json.loads(key)}
        self._add("mesh", tag, [vertices, colors, faces], options, key, global_step, walltime)
