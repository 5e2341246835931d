"""Which curves share a chart: those of one metric, or those that the user names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from monitor.errors import SpecError
from monitor.metrics import SPLIT_ORDER, goal, is_best_value

CHARTS_VARIABLE = "MONITOR_CHARTS"  # for loggers that nobody tells; entries are separated by semicolons
ACCEPTED = "accepted: NAME=TAG,TAG, such as 'loss=train/loss,test/loss' or 'norms=grad_norm/*'"
SINGLE_METRICS = re.compile(
    r"lr|learning[-_ ]?rate|momentum|weight[-_ ]?decay|epoch|step|grad[-_ ]?norm|temperature", re.I
)
SPLIT_BEFORE = re.compile(rf"({'|'.join(sorted(SPLIT_ORDER, key=len, reverse=True))})[_.-](.+)", re.IGNORECASE)
NUMBERED = re.compile(r"(|\w[\w.-]*?[^\W\d])[_.-]?\d+")  # `gpu0`, `layer_3`, `7`

Charts = Mapping[str, str | Iterable[str]] | Iterable[str] | None  # what a user gives
WORDS = re.compile(r"[\W_]+")
LONG_WORD = 6  # letters, from which on a part of a word makes a metric: `crossentropyloss`, but not `layer2`
ChartRules = Mapping[str, tuple[str, ...]]  # the tags or patterns of each chart that the user names


class ChartPlace(NamedTuple):
    """Where a curve is shown.

    Attributes:
        chart: the name of the chart.
        curve: what the chart calls the curve.
        split: `train`, `test`, and the like; empty if the tag names none.
    """

    chart: str
    curve: str
    split: str = ""


def place_of(tag: str, rules: ChartRules | None = None) -> ChartPlace:
    """Return where the curve of a tag is shown: in the chart that the user names for it, or in that of its metric.

    The metric is the tag without its split: `train/loss`, `loss/test`, and `val_loss` share the chart `loss`. Tags that
    differ only in a last part that is no metric, such as `grad_norm/fc1` and `grad_norm/fc2`, share the chart of what
    is before it, and those whose parents are numbered, such as `gpu0/load` and `gpu1/load`, the chart `gpu/load`.
    """
    place = _default_place(tag)
    for chart, patterns in (rules or {}).items():
        if any(fnmatchcase(tag, pattern) for pattern in patterns):
            return place._replace(chart=chart)
    return place


def _default_place(tag: str) -> ChartPlace:
    metric, best = _without_best(tag)
    split, parts = _without_split([part for part in metric.split("/") if part] or [metric])
    parents, last = parts[:-1], parts[-1]
    chart, names = "/".join(parts), []
    unnumbered = [_without_number(part) for part in parents]
    if unnumbered != parents:
        chart, names = "/".join([*filter(None, unnumbered), last]), ["/".join(parents)]
    elif parents and not _is_metric(last):
        chart, names = "/".join(parents), [last]
    words = [*names, *([split] if split else []), *([best] if best else [])]
    return ChartPlace(chart, " ".join(words) or last, split.lower())


def _without_best(tag: str) -> tuple[str, str]:
    """Return the metric of a tag under which its best value so far is logged."""
    if not is_best_value(tag):
        return tag, ""
    return tag.removeprefix("best/") if tag.startswith("best/") else tag.removesuffix("/best"), "best"


def _without_split(parts: list[str]) -> tuple[str, list[str]]:
    """Return the split that a tag names, and the other parts of the tag."""
    for number, part in enumerate(parts):
        rest = [*parts[:number], *parts[number + 1 :]]
        if part.lower() in SPLIT_ORDER and rest:
            return part, rest
        match = SPLIT_BEFORE.fullmatch(part)
        if match and number == len(parts) - 1:
            return match[1], [*parts[:number], match[2]]
    return "", parts


def _is_metric(name: str) -> bool:
    """Tell whether a name says what is measured, not of what."""
    return SINGLE_METRICS.fullmatch(name) is not None or any(
        goal(word) is not None and (len(word) < LONG_WORD or word.isalpha()) for word in WORDS.split(name)
    )


def _without_number(part: str) -> str:
    """Return `gpu` for `gpu0`, nothing for `0`, and `f1`, which is a metric, as it is."""
    match = None if _is_metric(part) else NUMBERED.fullmatch(part)
    return part if match is None else match[1]


def parse_charts(charts: Charts) -> dict[str, tuple[str, ...]]:
    """Return the charts that the user names, with their tags or patterns; for None, what `MONITOR_CHARTS` says.

    Args:
        charts: tags by the name of their chart, or texts such as `"loss=train/loss,test/loss"`.

    Raises:
        SpecError: for a text that names no chart or no tag.
        TypeError: for another type.
    """
    if charts is None:
        text = os.environ.get(CHARTS_VARIABLE, "")
        charts = [entry for entry in text.split(";") if entry.strip()]
    if isinstance(charts, str):
        charts = [charts]
    entries = list(charts.items()) if isinstance(charts, Mapping) else [_split_entry(entry) for entry in charts]
    rules: dict[str, tuple[str, ...]] = {}
    for name, tags in entries:
        listed = tags.split(",") if isinstance(tags, str) else list(tags) if isinstance(tags, Iterable) else [tags]
        if not isinstance(name, str) or not all(isinstance(tag, str) for tag in listed):
            raise TypeError(f"charts name tags by text, not {name!r}: {tags!r}; {ACCEPTED}")
        patterns = tuple(tag.strip() for tag in listed if tag.strip())
        if not name.strip() or not patterns:
            raise SpecError(f"chart {name!r} with the tags {tags!r}; {ACCEPTED}")
        rules[name.strip()] = (*rules.get(name.strip(), ()), *patterns)
    return rules


def _split_entry(entry: object) -> tuple[str, str]:
    if not isinstance(entry, str):
        raise TypeError(f"charts are a mapping, or texts, not {entry!r}; {ACCEPTED}")
    name, equals, tags = entry.partition("=")
    if not equals:
        raise SpecError(f"chart {entry!r}; {ACCEPTED}")
    return name, tags
