"""What a fitted logistic regression predicts for its table: a curve, predictions row by row, odds ratios."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor import Logger
    from runners.data.tables import Standardization, Table

CURVE_POINTS = 200
CURVE_RANGES = {"hours": (0.0, 10.0), "hours3": (0.0, 10.0)}  # of the input; for other data that of the rows
QUERIED_INPUTS = {"hours": (1.0, 7.0), "hours3": (1.0, 7.0)}  # predicted in addition to the rows
MAX_ROWS = 40  # printed
MAX_ROWS_OF_WIDE_TABLE = 12  # printed, of a table with more than `WIDE_TABLE_FEATURES`
WIDE_TABLE_FEATURES = 3
MAX_PRINTED_FEATURES = 8  # with more, no feature is printed: a screen has no room for them


class LogisticReport:
    """The model's predictions for the rows of a table, in the table's original units."""

    def __init__(self, table: Table, scaling: Standardization, model: nn.Linear, log: Logger) -> None:
        """Report on `model`, which takes rows of `table` after `scaling`."""
        self._table, self._scaling, self._model, self._log = table, scaling, model, log

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """Return the N probabilities of label 1 for N×D rows."""
        device = self._model.weight.device
        probabilities: Tensor = self._model(self._scaling(x).to(device)).sigmoid().squeeze(1).cpu()
        return probabilities

    def log_curve(self, step: int) -> None:
        """Log the fitted probability as a curve with the rows as points, if there is just one feature."""
        table = self._table
        if len(table.features) != 1:
            return
        inputs = table.x[:, 0]
        start, end = CURVE_RANGES.get(table.name, (float(inputs.min()), float(inputs.max())))
        x = torch.linspace(start, end, CURVE_POINTS)
        y = self.probabilities(x.unsqueeze(1))
        x_title = table.features[0].capitalize()
        self._log.curve("probability", x, y, step, x_title, table.title, level=0.5, points=(inputs, table.y))

    def summary(self) -> str:
        """Return the predictions as a table of text; for the heart data also the odds ratio and the prevalence."""
        table = self._table
        queries = torch.tensor([[x] for x in QUERIED_INPUTS.get(table.name, ())]).reshape(-1, table.x.shape[1])
        row_count = MAX_ROWS if len(table.features) <= WIDE_TABLE_FEATURES else MAX_ROWS_OF_WIDE_TABLE
        true_verdicts = [table.verdicts[int(label)] for label in table.y[:row_count]] + [""] * len(queries)
        x = torch.cat([table.x[:row_count], queries])
        feature_count = len(table.features) if len(table.features) <= MAX_PRINTED_FEATURES else 0
        rows: list[tuple[Any, ...]] = [(*table.features[:feature_count], "true", "probability", "verdict")]
        for features, true_verdict, p in zip(x.tolist(), true_verdicts, self.probabilities(x).tolist()):
            cells = [f"{feature:g}" for feature in features[:feature_count]]
            rows.append((*cells, true_verdict, f"{p:.4f}", table.verdicts[int(p > 0.5)]))
        text = _align(rows)
        if len(table.y) > row_count:
            text += f"\n… and {len(table.y) - row_count:,} more rows"
        return text + (self._odds() if table.name == "heart" else "")

    def _odds(self) -> str:
        """Return the odds ratio per ten years, exp(10 w / s), and the prevalence in each decade of age."""
        weight, deviation = self._model.weight[0, 0].item(), float(self._scaling.deviation[0, 0])
        ages, has_disease = self._table.x[:, 0], self._table.y.float()
        rows: list[tuple[Any, ...]] = [("age", "people", "with disease", "prevalence", "fitted")]
        for decade in sorted({int(age) // 10 * 10 for age in ages}):
            in_decade = (ages >= decade) & (ages < decade + 10)
            fitted = float(self.probabilities(ages[in_decade].unsqueeze(1)).mean())
            people, patients = int(in_decade.sum()), int(has_disease[in_decade].sum())
            rows.append((f"{decade}-{decade + 9}", people, patients, f"{patients / people:.2f}", f"{fitted:.2f}"))
        ratio = math.exp(10 * weight / deviation)
        return f"\n\nodds ratio per ten years: {ratio:.2f}\n\n{_align(rows)}"


def _align(rows: Iterable[tuple[Any, ...]]) -> str:
    """Format rows in right-aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)
