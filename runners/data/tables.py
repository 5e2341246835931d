"""Small tables of numbers with a label of 0 or 1: the course's own, one bundled with scikit-learn, and any CSV file."""

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

HEART_ROWS = (  # age in years, and 1 for signs of coronary heart disease
    (22, 0), (23, 0), (24, 0), (27, 0), (28, 0), (30, 0), (30, 0), (32, 0), (33, 0), (35, 1), (38, 0), (40, 0),
    (41, 1), (46, 0), (47, 0), (48, 0), (49, 1), (49, 0), (50, 1), (51, 0), (51, 1), (52, 0), (54, 0), (55, 1),
    (58, 1), (60, 1), (60, 0), (62, 1), (65, 1), (67, 1), (71, 1), (77, 1), (81, 1),
)  # fmt: skip


class Table(NamedTuple):
    """A table: `x` N×D float, in the original units; `y` N labels, 0 or 1; `verdicts` names the two labels.

    `title` is the label of the probability's axis in a plot.
    """

    name: str
    x: Tensor
    y: Tensor
    features: tuple[str, ...]
    verdicts: tuple[str, str] = ("0", "1")
    title: str = "Probability of 1"

    def to_dataset(self, standardize: bool, test_every: int | None = None) -> tuple[Dataset, Standardization]:
        """Return a data set, and how its columns were scaled; every `test_every`-th row goes to the test set."""
        rows = torch.arange(len(self.y))
        is_test = torch.zeros_like(rows, dtype=torch.bool) if test_every is None else rows % test_every == 0
        scaling = Standardization.fit(self.x[~is_test]) if standardize else Standardization.identity(self.x.shape[1])
        train, test = (Split(scaling(self.x[rows]), self.y[rows]) for rows in (~is_test, is_test))
        return Dataset(self.name, train, test if test_every else None, self.verdicts), scaling


class Standardization(NamedTuple):
    """Subtract each column's mean and divide by its standard deviation; both are 1×D float."""

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def fit(x: Tensor) -> Standardization:
        """Return the standardization of N×D rows; a constant column is only shifted to 0."""
        deviation = x.std(0, correction=0, keepdim=True)
        return Standardization(
            x.mean(0, keepdim=True), torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        )

    @staticmethod
    def identity(columns: int) -> Standardization:
        """Return the standardization that changes nothing."""
        return Standardization(torch.zeros(1, columns), torch.ones(1, columns))

    def __call__(self, x: Tensor) -> Tensor:
        """Standardize N×D rows."""
        return (x - self.mean) / self.deviation


def hours() -> Table:
    """Return hours of study of four students, two of whom passed."""
    return _exam("hours", [[1], [2], [3], [4]], [0, 0, 1, 1], ("hours",))


def hours3() -> Table:
    """Return hours of study of three students, one of whom passed."""
    return _exam("hours3", [[1], [2], [3]], [0, 0, 1], ("hours",))


def lecture_lab() -> Table:
    """Return hours in lectures and in the lab of six students, three of whom passed."""
    rows = [[1, 2], [2, 3], [3, 1], [4, 3], [5, 3], [6, 2]]
    return _exam("lecture-lab", rows, [0, 0, 0, 1, 1, 1], ("lecture hours", "lab hours"))


def heart() -> Table:
    """Return the ages of 33 people, and who has signs of coronary heart disease."""
    x = torch.tensor([[float(age)] for age, _ in HEART_ROWS])
    y = torch.tensor([sign for _, sign in HEART_ROWS])
    return Table("heart", x, y, ("age",), ("healthy", "disease"), "Probability of disease")


def breast_cancer() -> Table:
    """Return scikit-learn's bundled Wisconsin data set: 569 tumors with 30 measurements each."""
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
    """Read features and, in the last column, a label of 0 or 1; a first line without any number is a header.

    Raises `DataError`, with the line and the column, for a value that is not a finite number, a label that is neither 0
    nor 1, or a line of a different length.
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
        raise DataError(f"--csv {path}: has no rows; features and a label of 0 or 1 in the last column are expected")
    width = len(names) or len(lines[0][1])
    if width < 2:
        raise DataError(f"--csv {path}: has one column; features and a label of 0 or 1 in the last column are expected")
    values = [_row(path, number, cells, width, names) for number, cells in lines]
    table = torch.tensor(values, dtype=torch.float64)
    features = tuple(names[:-1]) or tuple(f"x{column}" for column in range(1, width))
    return Table(path.stem, table[:, :-1].float(), table[:, -1].long(), features)


def _row(path: Path, number: int, cells: list[str], width: int, names: list[str]) -> list[float]:
    """Convert a line's cells to `width` numbers."""
    line = f"--csv {path}: line {number}"
    if len(cells) != width:
        raise DataError(f"{line}: {len(cells)} columns, where the first line has {width}")
    values = []
    for column, cell in enumerate(cells, start=1):
        location = f"{line}, column {column}" + (f" ({names[column - 1]})" if names else "")
        value = _number(cell)
        if value is None or not math.isfinite(torch.tensor(value).item()):
            raise DataError(f"{location}: {'a value is missing' if not cell else f'{cell!r} is not a finite number'}")
        if column == width and value not in (0, 1):
            raise DataError(f"{location}: the label {cell!r} is neither 0 nor 1")
        values.append(value)
    return values


def _number(cell: str) -> float | None:
    """Convert a cell to a number; return None if it is not one."""
    try:
        return float(cell) if "_" not in cell else None  # Python reads 1_0 as ten
    except ValueError:
        return None


def _exam(name: str, rows: list[list[int]], labels: list[int], features: tuple[str, ...]) -> Table:
    """Make a table of students who failed, 0, or passed, 1."""
    x = torch.tensor(rows, dtype=torch.float32)
    return Table(name, x, torch.tensor(labels), features, ("fail", "pass"), "Probability of pass")
