"""Numbers that the course's slides print, to compare a run with.

Those of `lecture-lab` and `diabetes` are the output of Lab 5 of *Deep Learning Zero to All* in PyTorch, with which
every number that is known of the slides agrees. Of `hours`, the first weight and bias are known, not the digits of the
losses.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from runners.text_table import align

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runners.course.results import RunResult

SOURCE = "Deep Learning Zero to All, Lab 5"
LECTURE_LAB_COST = {
    0: 0.693147, 100: 0.134722, 200: 0.080643, 300: 0.057900, 400: 0.045300, 500: 0.037261, 600: 0.031673,
    700: 0.027556, 800: 0.024394, 900: 0.021888, 1000: 0.019852,
}  # fmt: skip
DIABETES_COST = {
    0: 0.704829, 10: 0.572391, 20: 0.539563, 30: 0.520042, 40: 0.507561, 50: 0.499125, 60: 0.493177, 70: 0.488846,
    80: 0.485612, 90: 0.483146, 100: 0.481234,
}  # fmt: skip
DIABETES_ACCURACY = {
    0: 45.72, 10: 67.59, 20: 73.25, 30: 75.89, 40: 76.15, 50: 76.42, 60: 77.21, 70: 76.81, 80: 76.28, 90: 76.55,
    100: 76.81,
}  # fmt: skip
DIABETES_COST_FROM_ZERO = {
    0: 0.693147, 10: 0.572727, 20: 0.539494, 30: 0.519708, 40: 0.507065, 50: 0.498539, 60: 0.492549, 70: 0.488208,
    80: 0.484985, 90: 0.482543, 100: 0.480661,
}  # fmt: skip
DIABETES_FIRST_FIVE = (0.4103, 0.9242, 0.2300, 0.9411, 0.1772)
DIABETES_SHA256 = "89e33de7"  # the first digits
FIRST_LOSSES = 11  # of the hours, with the slide's start


class Comparison(NamedTuple):
    """Tables that put a run beside what was published.

    `differences` counts the numbers that are not the same, `roundings` those that are by one in the last digit: float32
    sums differ so much by the order of their terms, and so do the two loops that were published for the same costs.
    """

    text: str
    numbers: int
    differences: int
    roundings: int = 0

    @property
    def verdict(self) -> str:
        """Say how many of the numbers agree."""
        if self.differences:
            return f"{self.differences} of {self.numbers} published numbers are not those of the run"
        if self.roundings:
            same = self.numbers - self.roundings
            line = f"{same} of {self.numbers} published numbers are those of the run; "
            return f"{line}{self.roundings} differ by 1 in the last digit"
        return f"all {self.numbers} published numbers are those of the run, to the last digit"


def lecture_lab(results: Mapping[str, RunResult], _csv: Path | None) -> Comparison:
    """Compare the cost at every 100th epoch, to six digits."""
    return _merge({"cost": _compare(LECTURE_LAB_COST, results["lecture-lab"].series("train/loss"), 6)})


def diabetes(results: Mapping[str, RunResult], csv: Path | None) -> Comparison:
    """Compare cost and accuracy at every tenth epoch, the cost from zero weights, and the first five probabilities."""
    run, zero = results["diabetes"], results["from-zero"]
    if csv is None or not hashlib.sha256(csv.read_bytes()).hexdigest().startswith(DIABETES_SHA256):
        return Comparison("The published numbers are those of another file than this one.", 0, 0)
    percent = {step: 100 * value for step, value in run.series("train/accuracy").items()}
    first = dict(enumerate(DIABETES_FIRST_FIVE, start=1))
    return _merge(
        {
            "cost": _compare(DIABETES_COST, run.series("train/loss"), 6),
            "accuracy, %": _compare(DIABETES_ACCURACY, percent, 2),
            "cost from zero weights": _compare(DIABETES_COST_FROM_ZERO, zero.series("train/loss"), 6),
            "probability of row, after 101 updates from zero": _compare(first, zero.probabilities(), 4),
        }
    )


def hours(results: Mapping[str, RunResult], _csv: Path | None) -> Comparison:
    """Show the first eleven losses to seven digits: the slide has them, but its digits are not known here."""
    names = list(results)
    losses = [results[name].series("train/loss") for name in names]
    rows = [(step, *(f"{values[step]:.7f}" for values in losses)) for step in range(FIRST_LOSSES)]
    text = align([("step", *names), *rows])
    text += (
        "\n\nThe slide's first eleven losses are those of this start. Its last twelve are from another run: no start "
    )
    return Comparison(text + "reaches them.", 0, 0)


COMPARISONS: dict[str, Callable[[Mapping[str, RunResult], Path | None], Comparison]] = {
    "hours": hours,
    "lecture-lab": lecture_lab,
    "diabetes": diabetes,
}


def _compare(published: Mapping[int, float], run: Mapping[int, float], digits: int) -> Comparison:
    """Compare numbers by step, as they are printed with so many digits after the point."""
    rows, differences, roundings = [], 0, 0
    for step, number in published.items():
        printed = f"{run[step]:.{digits}f}" if step in run else "none"
        note = ""
        if printed != f"{number:.{digits}f}":
            is_rounding = step in run and abs(float(printed) - number) < 1.5 * 10**-digits
            note = "last digit" if is_rounding else "differs"
            roundings, differences = roundings + is_rounding, differences + (not is_rounding)
        rows.append((step, f"{number:.{digits}f}", printed, note))
    return Comparison(align([("", "published", "this run", ""), *rows]), len(rows), differences, roundings)


def _merge(parts: Mapping[str, Comparison]) -> Comparison:
    text = "\n\n".join(f"{name}\n{part.text}" for name, part in parts.items())
    numbers = sum(part.numbers for part in parts.values())
    differences = sum(part.differences for part in parts.values())
    roundings = sum(part.roundings for part in parts.values())
    return Comparison(f"{text}\n(published: {SOURCE})", numbers, differences, roundings)
