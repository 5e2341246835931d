"""Write a comparison as one HTML file that loads nothing from elsewhere, so it works offline and in an email."""

from __future__ import annotations

import hashlib
import html
import io
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from monitor.comparison.compare import ComparedRun, best_runs, differing_settings
from monitor.comparison.event_data import latest_pictures, read_series
from monitor.files import atomic_write
from monitor.render.escaping import PALETTE, escape_control_chars
from monitor.render.images import MAX_PLOT_VALUE, image_grid
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.comparison.event_data import OnError

MAX_TEXT_CHARS = 2000  # of a name or a setting
MAX_SETTINGS = 200

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 1.5em } th, td { padding: .25em .9em .25em 0; text-align: left }
th { border-bottom: 1px solid #999 } td.number { text-align: right; font-variant-numeric: tabular-nums }
tr.first td { border-top: 1px solid #ddd } .best { font-weight: bold } .step { color: #777; font-size: 85% }
.plots { display: flex; flex-wrap: wrap; gap: 1em } .plots svg { width: 520px; max-width: 100%; height: auto }
.runs label { margin-right: 1.2em; white-space: nowrap } .swatch { display: inline-block; width: 1.4em; height: .3em;
vertical-align: middle; margin-right: .3em } figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top }
.plots h3 { font-size: 100%; font-weight: normal; margin: 0; max-width: 520px; overflow-wrap: anywhere;
text-align: center }
[hidden] { display: none !important }
figure img { max-width: 500px; image-rendering: pixelated } figcaption { font-size: 90% }
"""
SCRIPT = """
for (const box of document.querySelectorAll('.runs input')) box.addEventListener('change', () => {
  const lines = document.querySelectorAll('[id^="' + box.value + '-"]');
  for (const line of lines) line.style.display = box.checked ? '' : 'none';
  for (const part of document.querySelectorAll('[data-run="' + box.value + '"]')) part.hidden = !box.checked;
});
"""


def write_report(
    file: Path, runs: Sequence[ComparedRun], tags: Sequence[str], step: int | None = None, on_error: OnError = None
) -> None:
    """Write the page: plots of `tags`, the settings that differ, the last and best values, and pictures.

    Blocks while it reads the event files of all runs. An existing file is replaced at once, when the new one is
    complete.

    Args:
        file: the HTML file.
        runs: the runs to compare.
        tags: the metrics to compare.
        step: show the latest pictures of each run up to this step; by default, the latest of all.
        on_error: called for an event file that cannot be read, which is then left out.

    Raises:
        OSError: if the file cannot be written, or without `on_error`, an event file cannot be read.
    """
    body = [
        f"<h1>{len(runs)} runs</h1>",
        _run_toggles(runs),
        "<h2>Curves</h2><div class=plots>" + "".join(_plots(runs, tags, on_error)) + "</div>",
        "<h2>Settings that differ</h2>" + _settings_table(runs),
        "<h2>Metrics</h2>" + _metrics_table(runs, tags),
        *_picture_sections(runs, step, on_error),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{_content_policy()}<title>{len(runs)} runs</title>'
        f"<style>{STYLE}</style><body>{''.join(body)}<script>{SCRIPT}</script></body></html>\n"
    )
    atomic_write(file, page)


def _content_policy() -> str:
    """Return the element with which a browser runs this page's script, and no other, and loads nothing."""
    digest = b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'


def _run_toggles(runs: Sequence[ComparedRun]) -> str:
    """Return the legend, with a checkbox per run that shows and hides it."""
    labels = [
        f'<label><input type=checkbox checked value="run{index}">'
        f'<span class=swatch style="background:{_color(index)}"></span>'
        f"{_escape_html(run.name)} <span class=step>{_escape_html(run.status)}</span></label>"
        for index, run in enumerate(runs)
    ]
    return f"<p class=runs>{''.join(labels)}</p>"


def _plots(runs: Sequence[ComparedRun], tags: Sequence[str], on_error: OnError) -> Iterator[str]:
    """Draw each metric as SVG, with one line per run."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    series_by_run = [read_series(run.path, tags, on_error) for run in runs]
    for plot_index, tag in enumerate(tags):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(xlabel="step")
        axes.grid(alpha=0.3)
        for index, series in enumerate(series_by_run):
            steps, values = series[tag].points()
            y = [
                float("nan") if value is None else min(max(value, -MAX_PLOT_VALUE), MAX_PLOT_VALUE) for value in values
            ]
            marker = "o" if len(steps) < 3 else None
            (line,) = axes.plot(steps, y, color=_color(index), linewidth=1.3, marker=marker)
            line.set_gid(f"run{index}-{plot_index}")
        buffer = io.StringIO()
        with rc_context({"svg.hashsalt": f"plot{plot_index}", "svg.fonttype": "none"}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        _, tag_start, rest = buffer.getvalue().partition("<svg")
        yield f"<div><h3>{_escape_html(tag)}</h3>{tag_start + rest}</div>"


def _settings_table(runs: Sequence[ComparedRun]) -> str:
    names = differing_settings(runs)
    if not names:
        return "<p>None.</p>"
    more = f"<p>{len(names) - MAX_SETTINGS:,} more settings differ.</p>" if len(names) > MAX_SETTINGS else ""
    names = names[:MAX_SETTINGS]
    head = "".join(f"<th>{_escape_html(name)}" for name in ("run", *names))
    rows = [
        f'<tr data-run="run{index}"><td>{_escape_html(run.name)}'
        + "".join(f"<td>{_escape_html(run.config[name]) if run.config.get(name) is not None else ''}" for name in names)
        for index, run in enumerate(runs)
    ]
    return f"<table><tr>{head}{''.join(rows)}</table>{more}"


def _metrics_table(runs: Sequence[ComparedRun], tags: Sequence[str]) -> str:
    rows = []
    for tag in tags:
        for index, run in enumerate(runs):
            entry = run.metrics.get(tag, {})
            cells = []
            for which, step_key in (("last", "step"), ("best", "best_step")):
                value = parse_number(entry.get(which))
                best = " best" if run.name in best_runs(runs, tag, which) else ""
                text = "" if value is None else f"{value:.5g} <span class=step>at {entry.get(step_key)}</span>"
                cells.append(f'<td class="number{best}">{text}')
            first = " class=first" if index == 0 else ""
            label = _escape_html(tag) if index == 0 else ""
            rows.append(f'<tr{first} data-run="run{index}"><td>{label}<td>{_escape_html(run.name)}{"".join(cells)}')
    return f"<table><tr><th>metric<th>run<th>last<th>best{''.join(rows)}</table>"


def _picture_sections(runs: Sequence[ComparedRun], step: int | None, on_error: OnError) -> Iterator[str]:
    """Show the pictures of the runs side by side, in one section per tag."""
    pictures = latest_pictures([run.path for run in runs], step, on_error)
    for tag, by_run in pictures.by_tag.items():
        figures = [
            f'<figure data-run="run{index}"><img alt="{_escape_html(tag)} of {_escape_html(runs[index].name)}" '
            f'src="data:image/png;base64,{b64encode(image_grid(record).png).decode()}">'
            f"<figcaption>{_escape_html(runs[index].name)} "
            f"<span class=step>step {record.step}</span></figcaption></figure>"
            for index, record in sorted(by_run.items())
        ]
        yield f"<h2>{_escape_html(tag)}</h2>{''.join(figures)}"
    if pictures.left_out:
        yield f"<p>{pictures.left_out:,} more pictures are too many for one page.</p>"


def _color(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _escape_html(value: Any) -> str:
    return html.escape(escape_control_chars(str(value), MAX_TEXT_CHARS))
