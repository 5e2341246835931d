"""What a fitted logistic regression says about its table: parameters, boundary, odds, a curve, predictions."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from runners import heart_report
from runners.text_table import align, plural, singular
from runners.training.evaluation import predict

if TYPE_CHECKING:
    from monitor import Logger
    from runners.data.tables import Standardization, Table

CURVE_POINTS = 200
CURVE_RANGES = {"hours": (0.0, 10.0), "hours3": (0.0, 10.0)}  # of the input; for other data that of the rows
QUERIED_INPUTS = {"hours": (1.0, 7.0), "hours3": (1.0, 7.0)}  # predicted in addition to the rows
MAX_ROWS = 40  # printed
MAX_ROWS_OF_WIDE_TABLE = 12  # printed, of a table with more than `WIDE_TABLE_FEATURES`
WIDE_TABLE_FEATURES = 3
MAX_PRINTED_FEATURES = 8  # with more, no feature is printed: a screen has no room for them
MAX_WRONG_ROWS = 5  # named


class LogisticReport:
    """The model's parameters and predictions for the rows of a table, in the table's original units."""

    def __init__(
        self,
        table: Table,
        scaling: Standardization,
        model: nn.Module,
        log: Logger,
        *,
        has_odds: bool = True,
        is_inclusive: bool = False,
    ) -> None:
        """Report on `model`, which takes rows of `table` after `scaling`.

        It is a linear layer, whose output is the log-odds, or has one. Without `has_odds`, an activation that is not
        the sigmoid is behind it, and the model's output is the probability. `is_inclusive` calls a probability of
        exactly 0.5 class 1.
        """
        self._table, self._scaling, self._model, self._log = table, scaling, model, log
        self._has_odds, self._is_inclusive = has_odds, is_inclusive
        (self._linear,) = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
        self._predict = partial(predict, threshold=0.0 if has_odds else 0.5, is_inclusive=is_inclusive)

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Tensor:
        """Return N×1 log-odds for N×D rows, or the model's outputs if there are no odds."""
        layer = self._linear if self._has_odds else self._model
        outputs: Tensor = layer(self._scaling(x).to(self._linear.weight.device)).cpu()
        return outputs

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the N probabilities of label 1 for N×D rows."""
        outputs = self.outputs(x).squeeze(1)
        return outputs.sigmoid() if self._has_odds else outputs.clamp(0, 1)

    def parameters(self) -> tuple[list[float], float]:
        """Return the D weights and the bias, for rows in the table's units: w / s and b − Σ w m / s."""
        weight, bias = self._linear.weight.detach().cpu()[0].double(), self._linear.bias.item()
        weight = weight / self._scaling.deviation[0].double()
        return weight.tolist(), bias - float(weight @ self._scaling.mean[0].double())

    def boundary(self) -> float | None:
        """Return −b/w, the input with probability 0.5; None with several features, without odds, or where w is 0."""
        weights, bias = self.parameters()
        return -bias / weights[0] if len(weights) == 1 and self._has_odds and weights[0] else None

    def log_test(self, step: int) -> None:
        """Log the parameters and the boundary as curves; with one feature, also the fitted probability."""
        weights, bias = self.parameters()
        if len(weights) <= MAX_PRINTED_FEATURES:
            names = ["w"] if len(weights) == 1 else [f"w{number}" for number in range(1, len(weights) + 1)]
            values = {f"parameters/{name}": weight for name, weight in zip(names, weights)}
            self._log.scalars({**values, "parameters/b": bias}, step)
        boundary = self.boundary()
        if boundary is not None:
            self._log.scalar("boundary", boundary, step)
        if len(weights) == 1:
            self._log_curves(step)

    def _log_curves(self, step: int) -> None:
        table = self._table
        x = self._curve_inputs()
        y = self.probabilities(x.unsqueeze(1))
        titles = table.features[0].capitalize(), table.title
        self._log.curve("probability", x, y, step, *titles, level=0.5, points=(table.x[:, 0], table.y))
        if table.name == "heart":
            points = heart_report.prevalence_points(table)
            self._log.curve("prevalence", x, y, step, *titles, level=0.5, points=points)

    def log_straight_line(self, step: int) -> None:
        """Log the least-squares line through the labels as a curve, if there is one feature: it is no probability."""
        table = self._table
        if len(table.features) == 1:
            x = self._curve_inputs()
            slope, intercept = straight_line(table)
            titles = table.features[0].capitalize(), "Straight line through the labels"
            points = (table.x[:, 0], table.y)
            self._log.curve("straight line", x, intercept + slope * x, step, *titles, level=0.5, points=points)

    def _curve_inputs(self) -> Tensor:
        inputs = self._table.x[:, 0]
        start, end = CURVE_RANGES.get(self._table.name, (float(inputs.min()), float(inputs.max())))
        return torch.linspace(start, end, CURVE_POINTS)

    def summary(self) -> str:
        """Return the predictions, the parameters, and what follows from them, as text."""
        parts = [self._predictions()]
        weights, bias = self.parameters()
        if len(weights) <= MAX_PRINTED_FEATURES:
            parts.append("w " + " ".join(f"{weight:.6g}" for weight in weights) + f"  b {bias:.6g}")
        if len(weights) == 1:
            parts.append(self._boundary_line())
        parts.append(self._accuracy_line())
        if len(weights) == 1:
            if self._has_odds:
                parts.append(self._odds_line(weights[0]))
            parts.append(straight_line_text(self._table))
        if self._table.name == "heart" and self._has_odds:
            decades = heart_report.decades(self._table, self.probabilities)
            parts.append(f"odds ratio per ten years: {math.exp(10 * weights[0]):.2f}\n\n{decades}")
        return parts[0] + "\n\n" + "\n".join(parts[1:])

    def _predictions(self) -> str:
        table = self._table
        queries = torch.tensor([[x] for x in QUERIED_INPUTS.get(table.name, ())]).reshape(-1, table.x.shape[1])
        row_count = MAX_ROWS if len(table.features) <= WIDE_TABLE_FEATURES else MAX_ROWS_OF_WIDE_TABLE
        true_verdicts = [table.verdicts[int(label)] for label in table.y[:row_count]] + [""] * len(queries)
        x = torch.cat([table.x[:row_count], queries])
        feature_count = len(table.features) if len(table.features) <= MAX_PRINTED_FEATURES else 0
        odds_titles = ("log-odds", "odds") if self._has_odds else ()
        rows: list[tuple[Any, ...]] = [
            (*table.features[:feature_count], "true", *odds_titles, "probability", "verdict")
        ]
        outputs, probabilities = self.outputs(x), self.probabilities(x).tolist()
        verdicts = [table.verdicts[label] for label in self._predict(outputs).tolist()]
        for features, true_verdict, z, p, verdict in zip(x.tolist(), true_verdicts, outputs, probabilities, verdicts):
            cells = [f"{feature:g}" for feature in features[:feature_count]]
            odds = (f"{float(z):.4f}", f"{float(z.double().exp()):.4g}") if self._has_odds else ()
            rows.append((*cells, true_verdict, *odds, f"{p:.4f}", verdict))
        text = align(rows)
        if len(table.y) > row_count:
            text += f"\n… and {len(table.y) - row_count:,} more rows"
        return text

    def _boundary_line(self) -> str:
        boundary, unit = self.boundary(), plural(self._table.features[0])
        if boundary is None:
            return "no boundary −b/w: " + ("w is 0" if self._has_odds else "the activation is not the sigmoid")
        return f"boundary −b/w: the probability is 0.5 at {round(boundary, 2) + 0.0:.2f} {unit}"

    def _accuracy_line(self) -> str:
        """Say how many rows are classified correctly, which ones are not, and on which side 0.5 itself is."""
        table = self._table
        outputs = self.outputs(table.x)
        predicted = self._predict(outputs)
        wrong = (predicted != table.y).nonzero().flatten().tolist()
        line = f"{len(table.y) - len(wrong)} of {len(table.y)} rows are classified correctly"
        if wrong and len(table.features) <= WIDE_TABLE_FEATURES:
            named = [
                f"{self._row_text(row)} ({table.verdicts[int(table.y[row])]} called "
                f"{table.verdicts[int(predicted[row])]})"
                for row in wrong[:MAX_WRONG_ROWS]
            ]
            more = f", and {len(wrong) - len(named)} more" if len(wrong) > len(named) else ""
            line += f"; wrong: {', '.join(named)}{more}"
        if bool((outputs == (0.0 if self._has_odds else 0.5)).any()):
            called = f"{table.verdicts[self._is_inclusive]} ({'>=' if self._is_inclusive else '>'})"
            line += f"\na probability of exactly 0.5 is called {called}"
        return line

    def _row_text(self, row: int) -> str:
        """Return a row's values with their units."""
        values = zip(self._table.x[row].tolist(), self._table.features)
        return " and ".join(f"{value:g} {plural(feature, value)}" for value, feature in values)

    def _odds_line(self, weight: float) -> str:
        unit, outcome = singular(self._table.features[0]), self._table.verdicts[1]
        ratio = math.exp(weight) if weight < 700 else math.inf
        return f"odds ratio exp(w): one more {unit} multiplies the odds of {outcome} by {ratio:.4g}"


def straight_line(table: Table) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line through labels 0 and 1 over the only feature."""
    x, y = table.x[:, 0].double(), table.y.double()
    spread = ((x - x.mean()) ** 2).sum()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread) if spread > 0 else 0.0
    return slope, float(y.mean()) - slope * float(x.mean())


def straight_line_text(table: Table) -> str:
    """Say where a straight line through the labels is no probability."""
    slope, intercept = straight_line(table)
    if slope == 0:
        return f"a straight line through the labels is flat, at {intercept:.4g}"
    zero, one = sorted((-intercept / slope, (1 - intercept) / slope))
    below, above = ("below 0", "above 1") if slope > 0 else ("above 1", "below 0")
    line = f"{intercept:.4g} {'+' if slope > 0 else '−'} {abs(slope):.4g} x"
    unit = plural(table.features[0])
    return (
        f"a straight line through the labels, {line}, is {below} before {zero:.4g} {unit} and {above} after {one:.4g}"
    )
