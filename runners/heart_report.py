"""How common heart disease is in each decade of age, beside what logistic regression fits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from runners.text_table import align

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from runners.data.tables import Table


def prevalence_points(table: Table) -> tuple[Tensor, Tensor]:
    """Return the mean age of each decade and the share of people with disease in it."""
    ages, has_disease = table.x[:, 0], table.y.float()
    means = [(ages[rows].mean(), has_disease[rows].mean()) for _, rows in _decades(table)]
    age, share = zip(*means)
    return torch.stack(age), torch.stack(share)


def decades(table: Table, probabilities: Callable[[Tensor], Tensor]) -> str:
    """Return a table of prevalence, odds, and log-odds in each decade, with the mean of the fitted probabilities."""
    ages = table.x[:, 0]
    rows: list[tuple[Any, ...]] = [
        ("age", "people", "with disease", "prevalence", "odds", "logit", "fitted", "odds", "logit")
    ]
    for decade, in_decade in _decades(table):
        people, patients = int(in_decade.sum()), int(table.y[in_decade].sum())
        fitted = float(probabilities(ages[in_decade].unsqueeze(1)).mean())
        cells = [cell for p in (patients / people, fitted) for cell in (f"{p:.2f}", *_odds_and_logit(p))]
        rows.append((f"{decade}-{decade + 9}", people, patients, *cells))
    return align(rows)


def _decades(table: Table) -> Iterator[tuple[int, Tensor]]:
    """Yield each decade of age, as its first year, and which rows are in it."""
    ages = table.x[:, 0]
    for decade in sorted({int(age) // 10 * 10 for age in ages}):
        yield decade, (ages >= decade) & (ages < decade + 10)


def _odds_and_logit(p: float) -> tuple[str, str]:
    """Return p / (1 − p) and its logarithm; of a share of 0 or 1 they are 0 or infinite."""
    odds = math.inf if p == 1 else p / (1 - p)
    return f"{odds:.2f}", f"{math.log(odds) if odds else -math.inf:.2f}"
