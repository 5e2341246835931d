"""Small tables of numbers with a 0/1 label: the material's own, one bundled with scikit-learn, and any CSV file."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from monitor.errors import DataError
from runners.data.dataset import Dataset, Split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEART = (  # age, and signs of coronary heart disease
    (22, 0), (23, 0), (24, 0), (27, 0), (28, 0), (30, 0), (30, 0), (32, 0), (33, 0), (35, 1), (38, 0), (40, 0),
    (41, 1), (46, 0), (47, 0), (48, 0), (49, 1), (49, 0), (50, 1), (51, 0), (51, 1), (52, 0), (54, 0), (55, 1),
    (58, 1), (60, 1), (60, 0), (62, 1), (65, 1), (67, 1), (71, 1), (77, 1), (81, 1),
)  # fmt: skip


class Table(NamedTuple):
    """Rows of numbers as they were given, N×D float, and N labels, 0 or 1; `verdicts` name the two."""

    name: str
    x: Tensor
    y: Tensor
    features: tuple[str, ...]
    verdicts: tuple[str, str] = ("0", "1")
    title: str = "Probability of 1"

    def data(self, standardize: bool, test_every: int | None = None) -> tuple[Dataset, Standardization]:
        """Return the data set and how it was scaled; every `test_every`-th row is for testing."""
        rows = torch.arange(len(self.y))
        test = torch.zeros_like(rows, dtype=torch.bool) if test_every is None else rows % test_every == 0
        scale = Standardization.fit(self.x[~test]) if standardize else Standardization.identity(self.x.shape[1])
        parts = [Split(scale(self.x[part]), self.y[part]) for part in (~test, test)]
        return Dataset(self.name, parts[0], parts[1] if test_every else None, self.verdicts), scale


class Standardization(NamedTuple):
    """Mean and standard deviation of each column, 1×D."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def fit(x: Tensor) -> Standardization:
        """Standardize by these rows; a column that does not vary is only moved."""
        deviation = x.std(0, correction=0, keepdim=True)
        return Standardization(
            x.mean(0, keepdim=True), torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        )

    @staticmethod
    def identity(columns: int) -> Standardization:
        return Standardization(torch.zeros(1, columns), torch.ones(1, columns))

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


def hours() -> Table:
    return _passed("hours", [[1], [2], [3], [4]], [0, 0, 1, 1], ("hours",))


def hours3() -> Table:
    return _passed("hours3", [[1], [2], [3]], [0, 0, 1], ("hours",))


def lecture_lab() -> Table:
    rows = [[1, 2], [2, 3], [3, 1], [4, 3], [5, 3], [6, 2]]
    return _passed("lecture-lab", rows, [0, 0, 0, 1, 1, 1], ("lecture hours", "lab hours"))


def heart() -> Table:
    x = torch.tensor([[float(age)] for age, _ in HEART])
    y = torch.tensor([sign for _, sign in HEART])
    return Table("heart", x, y, ("age",), ("healthy", "disease"), "Probability of disease")


def breast_cancer() -> Table:
    """Return scikit-learn's bundled Wisconsin set: 569 tumours, 30 measures each."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    verdicts = tuple(map(str, bunch.target_names))
    x, y = torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).long()
    return Table("breast-cancer", x, y, tuple(map(str, bunch.feature_names)), (verdicts[0], verdicts[1]))


TABLES: dict[str, Callable[[], Table]] = {
    "hours": hours,
    "hours3": hours3,
    "lecture-lab": lecture_lab,
    "heart": heart,
    "breast-cancer": breast_cancer,
}


def read_csv(path: Path) -> Table:
    """Read features and, in the last column, a label of 0 or 1; a first line of names alone is a header.

    Raises `DataError`, in one line with the line and the column, for what is no finite number, no label, or a line of
    another length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [
                (reader.line_num, [cell.strip() for cell in row])
                for row in reader
                if "".join(row).strip() or len(row) > 1
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--csv {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    names: list[str] = []
    if lines and all(_number(cell) is None for cell in lines[0][1] if cell):
        names = lines.pop(0)[1]
    if not lines:
        raise DataError(f"--csv {path}: has no rows; features and a label of 0 or 1 in the last column are wanted")
    width = len(names) or len(lines[0][1])
    if width < 2:
        raise DataError(f"--csv {path}: has one column; features and a label of 0 or 1 in the last column are wanted")
    values = [_row(path, number, cells, width, names) for number, cells in lines]
    table = torch.tensor(values, dtype=torch.float64)
    features = tuple(names[:-1]) or tuple(f"x{column}" for column in range(1, width))
    return Table(path.stem, table[:, :-1].float(), table[:, -1].long(), features)


def _row(path: Path, number: int, cells: list[str], width: int, names: list[str]) -> list[float]:
    where = f"--csv {path}: line {number}"
    if len(cells) != width:
        raise DataError(f"{where}: {len(cells)} columns, where the first line has {width}")
    values = []
    for column, cell in enumerate(cells, start=1):
        place = f"{where}, column {column}" + (f" ({names[column - 1]})" if names else "")
        value = _number(cell)
        if value is None or not math.isfinite(torch.tensor(value).item()):
            raise DataError(f"{place}: {'a value is missing' if not cell else f'{cell!r} is no finite number'}")
        if column == width and value not in (0, 1):
            raise DataError(f"{place}: the label {cell!r} is neither 0 nor 1")
        values.append(value)
    return values


def _number(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None  # Python reads 1_0 as ten
    except ValueError:
        return None


def _passed(name: str, rows: list[list[int]], labels: list[int], features: tuple[str, ...]) -> Table:
    x = torch.tensor(rows, dtype=torch.float32)
    return Table(name, x, torch.tensor(labels), features, ("fail", "pass"), "Probability of pass")
