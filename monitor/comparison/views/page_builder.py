"""Write a comparison or a report as one HTML file that loads nothing from elsewhere: it works offline and by mail."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from monitor.comparison.compare import best_runs, differing_settings
from monitor.comparison.views.pictures import Pictures, read_pictures
from monitor.comparison.views.run_details import run_details
from monitor.metrics import SYSTEM_PREFIX
from monitor.render.charts.style import color
from monitor.render.text.escaping import escape_control_chars
from monitor.runs.listing import load
from monitor.runs.run_file import parse_number, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from monitor.comparison.side_by_side import SideBySide
    from monitor.render.reduction.downsampling import DownsampledSeries

MAX_TEXT_CHARS = 2000  # of a name or a setting
MAX_SETTINGS = 200
SIGNIFICANT_DIGITS = 7  # event files hold float32
JSON_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}  # so that no script element ends


def build_page(comparison: SideBySide, title: str, step: int | None = None, *, is_report: bool = False) -> str:
    """Return the page. Blocks while it reads the event files; raises `OSError` if one cannot be read.

    Args:
        comparison: what is shown.
        title: its heading.
        step: show the latest pictures of each run up to this step; by default, the newest, with a slider.
        is_report: whether notes, config, system metrics, alerts, and changes of the code are included.
    """
    from markupsafe import Markup

    rows, entries = comparison.rows, comparison.row_of_run()
    figures = comparison.figures(with_system=is_report)
    parallel = comparison.parallel()
    pictures = read_pictures([run.path for run in comparison.runs], step, comparison.on_error)
    shown_pictures = _pictures(comparison, pictures, entries)
    content = {
        "runs": _clocks(comparison),
        "charts": [_rounded(figure) for figure in figures.values()],
        "parallel": parallel,
        "pictures": [{"steps": one["all_steps"], "images": one["by_step"]} for one in shown_pictures],
    }
    script, plotly = _page_file("preview.js") + _page_file("page.js"), _plotly()
    settings = differing_settings(rows)
    page = _template().render(
        title=title,
        subtitle=comparison.subtitle(),
        note=comparison.note(),
        rows_name="groups" if comparison.groups else "runs",
        rows=[_row(comparison, index, settings[:MAX_SETTINGS]) for index in range(len(rows))],
        metric=comparison.metrics[0] if comparison.metrics else "",
        settings=settings[:MAX_SETTINGS],
        more_settings=max(0, len(settings) - MAX_SETTINGS),
        value_name=next((name for name, *_ in _columns(comparison)), ""),
        columns=[name for name, *_ in _columns(comparison)],
        charts=[
            {"number": number, "title": tag, "is_system": tag.startswith(SYSTEM_PREFIX)}
            for number, tag in enumerate(figures)
        ],
        has_system=any(tag.startswith(SYSTEM_PREFIX) for tag in figures),
        has_parallel=parallel is not None,
        pictures=shown_pictures,
        pictures_left_out=f"{pictures.left_out:,}" if pictures.left_out else "",
        details=[
            {"row": entries[index], "color": color(entries[index]), **run_details(run, comparison.on_error)}
            for index, run in enumerate(comparison.runs)
        ]
        if is_report
        else [],
        policy=_content_policy(script, plotly[1]),
        style=Markup(_page_file("page.css")),
        script=Markup(script),
        plotly=Markup(plotly[0]),
        data=Markup(_json(content)),
    )
    return page + "\n"


def _content_policy(script: str, plotly_digest: str) -> str:
    """Return the policy by which a browser runs the page's script and Plotly's, no others, and loads nothing."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    scripts = f"'sha256-{digest}' 'sha256-{plotly_digest}'"
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {scripts}"


@lru_cache(1)
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = _shown
    return environment.from_string(_page_file("page.html.j2"))


@lru_cache(1)
def _plotly() -> tuple[str, str]:
    """Return Plotly's script, compressed, in base64, and the SHA-256 of the script."""
    from plotly.offline import get_plotlyjs

    script = _in_parentheses(get_plotlyjs()).encode()
    packed = gzip.compress(script, 9, mtime=0)
    return b64encode(packed).decode(), b64encode(hashlib.sha256(script).digest()).decode()


def _in_parentheses(script: str) -> str:
    """Put the function that holds all of Plotly into parentheses: browsers then compile it at once, and not twice."""
    head, separator, body = script.partition("this, () => {")
    if not separator or not body.endswith("}));"):  # another release
        return script
    return head + "this, (() => {" + body.removesuffix("}));") + "})));"


def _page_file(name: str) -> str:
    return (files("monitor.comparison") / "page" / name).read_text(encoding="utf-8")


def _shown(value: Any) -> str:
    """Return a value as text with its control characters spelled out; the template escapes it."""
    return escape_control_chars(str(value), MAX_TEXT_CHARS)


def _json(content: Any) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).translate(JSON_ESCAPES)


def _rounded(figure: dict[str, Any]) -> dict[str, Any]:
    """Return a figure whose values have as many digits as event files."""
    return {
        **figure,
        "data": [{**trace, "y": [_round(value) for value in trace["y"]]} for trace in figure["data"]],
    }


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _clocks(comparison: SideBySide) -> list[dict[str, Any]]:
    """Return for each row what maps steps to times and epochs; for a group, that of its first run."""
    clocks = []
    for run, read in comparison.clocks():
        info = load(run.path)
        points = _line(read.clock)
        start = parse_time(info.fields.get("start")) or (points[1][0] if points else None)
        progress = info.progress
        steps, epochs = progress.get("steps"), progress.get("epochs")
        clocks.append(
            {
                "clock": points and [points[0], [round(time - (start or 0.0), 3) for time in points[1]]],
                "started": start,
                "epochs": _line(read.epochs),
                "stepsPerEpoch": steps / epochs if steps and epochs else None,
            }
        )
    return clocks


def _line(series: DownsampledSeries) -> list[list[Any]] | None:
    """Return the steps and values of a series for interpolation; None if they say nothing."""
    steps, values = series.points()
    points = sorted({step: value for step, value in zip(steps, values) if value is not None}.items())
    return [[step for step, _ in points], [value for _, value in points]] if any(value for _, value in points) else None


def _columns(comparison: SideBySide) -> list[tuple[str, str, str]]:
    """Return the columns of the table: title, tag, and `"best"` or `"last"`."""
    columns = []
    for tag in comparison.metrics:
        if any("best" in run.metrics.get(tag, {}) for run in comparison.rows):
            columns.append((f"best {tag}", tag, "best"))
        columns.append((f"last {tag}", tag, "last"))
    return columns


def _row(comparison: SideBySide, index: int, settings: Sequence[str]) -> dict[str, Any]:
    """Return a run or group for the list and the table."""
    rows = comparison.rows
    run = rows[index]
    cells = []
    for _, tag, which in _columns(comparison):
        entry = run.metrics.get(tag, {})
        value, spread = parse_number(entry.get(which)), entry.get(f"{which}_std")
        step = entry.get("best_step" if which == "best" else "step")
        has_value = isinstance(value, int | float)
        details = [f"± {spread:.2g}"] if isinstance(spread, float) else []
        details += [f"at {step}"] if step is not None and has_value else []
        cells.append(
            {
                "text": f"{value:.5g}" if has_value else "",
                "value": value if has_value else "",
                "detail": " ".join(details),
                "is_best": run.name in best_runs(rows, tag, which),
            }
        )
    return {
        "name": run.name,
        "color": color(index),
        "status": run.status,
        "value": next((cell["text"] for cell in cells), ""),
        "settings": ["" if run.config.get(name) is None else run.config[name] for name in settings],
        "cells": cells,
    }


def _pictures(comparison: SideBySide, pictures: Pictures, entries: Sequence[int]) -> list[dict[str, Any]]:
    """Return the pictures of each tag, of all runs side by side, with those of earlier steps."""
    sections = []
    for tag, by_run in pictures.by_tag.items():
        all_steps = sorted({step for by_step in by_run.values() for step in by_step})
        images: list[dict[str, Any]] = []
        sources: list[dict[str, Any]] = []
        for index, by_step in sorted(by_run.items()):
            encoded = [f"data:image/webp;base64,{b64encode(data).decode()}" for data in by_step.values()]
            run = comparison.runs[index]
            images.append(
                {
                    "row": entries[index], "color": color(entries[index]), "name": run.name, "source": len(images),
                    "step": list(by_step)[-1], "data": encoded[-1],
                }
            )  # fmt: skip
            sources.append({"steps": list(by_step), "data": encoded[:-1]})  # the last one is in the page already
        sections.append(
            {
                "tag": tag, "images": images, "steps": len(all_steps), "last_step": all_steps[-1],
                "all_steps": all_steps, "by_step": sources,
            }
        )  # fmt: skip
    return sections
