"""What a fitted logistic regression says of its table: a curve, predictions, odds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor import Logger
    from runners.data.tables import Standardization, Table

CURVE_POINTS = 200  # of a curve
MAX_ROWS, MAX_WIDE_ROWS = 40, 12  # rows of a table, at most; of one with more than three columns
QUERIED_INPUTS = {"hours": (1.0, 7.0), "hours3": (1.0, 7.0)}  # what the material asks the model


class LogisticReport:
    """The model's answers on the rows of a table, in the units in which they were given."""

    def __init__(self, table: Table, scale: Standardization, model: nn.Linear, log: Logger) -> None:
        self._table, self._scale, self._model, self._log = table, scale, model, log

    @torch.no_grad()
    def probability(self, x: Tensor) -> Tensor:
        """Return the N probabilities of 1 for N×D rows."""
        device = self._model.weight.device
        found: Tensor = self._model(self._scale(x).to(device)).sigmoid().squeeze(1).cpu()
        return found

    def curve(self, step: int) -> None:
        """Log the fitted probability over the data, where the input is one number."""
        if len(self._table.features) != 1:
            return
        inputs = self._table.x[:, 0]
        ends = (0.0, 10.0) if self._table.name in QUERIED_INPUTS else (float(inputs.min()), float(inputs.max()))
        x = torch.linspace(*ends, CURVE_POINTS)
        title = self._table.features[0].capitalize()
        points = (inputs, self._table.y)
        y = self.probability(x.unsqueeze(1))
        self._log.curve("probability", x, y, step, title, self._table.title, level=0.5, points=points)

    def closing(self) -> str:
        """Return the predictions as a table, and what else there is to say of this data."""
        table = self._table
        asked = torch.tensor([[value] for value in QUERIED_INPUTS.get(table.name, ())]).reshape(-1, table.x.shape[1])
        most = MAX_ROWS if len(table.features) <= 3 else MAX_WIDE_ROWS
        known = [table.verdicts[int(label)] for label in table.y[:most]]
        x = torch.cat([table.x[:most], asked])
        rows = [
            (*(f"{value:g}" for value in row), true, f"{p:.4f}", table.verdicts[int(p > 0.5)])
            for row, true, p in zip(x.tolist(), [*known, *[""] * len(asked)], self.probability(x).tolist())
        ]
        # More columns than a screen has room for say nothing.
        kept = len(table.features) if len(table.features) <= 8 else 0
        head = (*table.features[:kept], "true", "probability", "verdict")
        said = _aligned([head, *((*row[:kept], *row[len(table.features) :]) for row in rows)])
        if len(table.y) > most:
            said += f"\n… and {len(table.y) - most:,} more rows"
        return said + (self._odds() if table.name == "heart" else "")

    def _odds(self) -> str:
        """Tell the odds ratio per ten years, exp(10 w / s), and the share of the ill in each decade of age."""
        weight, deviation = self._model.weight[0, 0].item(), float(self._scale.deviation[0, 0])
        ages, ill = self._table.x[:, 0], self._table.y.float()
        rows: list[tuple[Any, ...]] = [("age", "people", "with disease", "prevalence", "fitted")]
        for decade in sorted({int(age) // 10 * 10 for age in ages}):
            inside = (ages >= decade) & (ages < decade + 10)
            fitted = self.probability(ages[inside].unsqueeze(1)).mean()
            count, sick = int(inside.sum()), int(ill[inside].sum())
            rows.append((f"{decade}-{decade + 9}", count, sick, f"{sick / count:.2f}", f"{float(fitted):.2f}"))
        ratio = math.exp(10 * weight / deviation)
        return f"\n\nodds ratio per ten years: {ratio:.2f}\n\n{_aligned(rows)}"


def _aligned(rows: Iterable[tuple[Any, ...]]) -> str:
    """Lay rows out in columns, right-aligned."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)
