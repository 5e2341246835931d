"""Write a comparison as one HTML file that loads nothing from elsewhere, so it works offline and in an email."""

from __future__ import annotations

import html
import io
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from monitor.comparison.compare import ComparedRun, best_runs, differing_settings
from monitor.events.reader import read_history, read_scalars
from monitor.files import atomic_write
from monitor.records import Images
from monitor.render.downsampling import DownsampledSeries
from monitor.render.escaping import PALETTE, escape_control_chars
from monitor.render.images import image_grid
from monitor.runs.run_file import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 1.5em } th, td { padding: .25em .9em .25em 0; text-align: left }
th { border-bottom: 1px solid #999 } td.number { text-align: right; font-variant-numeric: tabular-nums }
tr.first td { border-top: 1px solid #ddd } .best { font-weight: bold } .step { color: #777; font-size: 85% }
.plots { display: flex; flex-wrap: wrap; gap: 1em } .plots svg { width: 520px; max-width: 100%; height: auto }
.runs label { margin-right: 1.2em; white-space: nowrap } .swatch { display: inline-block; width: 1.4em; height: .3em;
vertical-align: middle; margin-right: .3em } figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top }
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


def write_report(file: Path, runs: Sequence[ComparedRun], tags: Sequence[str], step: int | None = None) -> None:
    """Write the page: plots of `tags`, the settings that differ, the last and best values, and images.

    Blocks while it reads the event files of all runs. An existing file is replaced at once, when the new one is
    complete.

    Args:
        file: the HTML file.
        runs: the runs to compare.
        tags: the metrics to compare.
        step: show the latest images of each run up to this step; by default, the latest of all.

    Raises:
        OSError: if the file cannot be written.
    """
    body = [
        f"<h1>{len(runs)} runs</h1>",
        _run_toggles(runs),
        "<h2>Curves</h2><div class=plots>" + "".join(_plots(runs, tags)) + "</div>",
        "<h2>Settings that differ</h2>" + _settings_table(runs),
        "<h2>Metrics</h2>" + _metrics_table(runs, tags),
        *_image_sections(runs, step),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{len(runs)} runs</title>'
        f"<style>{STYLE}</style><body>{''.join(body)}<script>{SCRIPT}</script></body></html>\n"
    )
    atomic_write(file, page)


def _run_toggles(runs: Sequence[ComparedRun]) -> str:
    """Return the legend, with a checkbox per run that shows and hides it."""
    labels = [
        f'<label><input type=checkbox checked value="run{index}">'
        f'<span class=swatch style="background:{_color(index)}"></span>'
        f"{_escape_html(run.name)} <span class=step>{_escape_html(run.status)}</span></label>"
        for index, run in enumerate(runs)
    ]
    return f"<p class=runs>{''.join(labels)}</p>"


def _plots(runs: Sequence[ComparedRun], tags: Sequence[str]) -> Iterator[str]:
    """Draw each metric as SVG, with one line per run."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    points_by_run = [read_scalars(run.path, tags) for run in runs]
    for plot_index, tag in enumerate(tags):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(title=_escape_dollars(tag), xlabel="step")
        axes.grid(alpha=0.3)
        for index, points in enumerate(points_by_run):
            series = DownsampledSeries()
            for step, value in points[tag]:
                series.add(step, value)
            steps, values = series.points()
            y = [float("nan") if value is None else value for value in values]
            marker = "o" if len(steps) < 3 else None
            (line,) = axes.plot(steps, y, color=_color(index), linewidth=1.3, marker=marker)
            line.set_gid(f"run{index}-{plot_index}")
        buffer = io.StringIO()
        with rc_context({"svg.hashsalt": f"plot{plot_index}", "svg.fonttype": "none"}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        _, tag_start, rest = buffer.getvalue().partition("<svg")
        yield tag_start + rest


def _settings_table(runs: Sequence[ComparedRun]) -> str:
    names = differing_settings(runs)
    if not names:
        return "<p>None.</p>"
    head = "".join(f"<th>{_escape_html(name)}" for name in ("run", *names))
    rows = [
        f'<tr data-run="run{index}"><td>{_escape_html(run.name)}'
        + "".join(f"<td>{_escape_html(run.config[name]) if run.config.get(name) is not None else ''}" for name in names)
        for index, run in enumerate(runs)
    ]
    return f"<table><tr>{head}{''.join(rows)}</table>"


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


def _image_sections(runs: Sequence[ComparedRun], step: int | None) -> Iterator[str]:
    """Show the images of the runs side by side, in one section per tag."""
    images_by_tag: dict[str, dict[int, Images]] = {}
    for index, run in enumerate(runs):
        for records in read_history(run.path):
            for record in records:
                if isinstance(record, Images) and (step is None or record.step <= step):
                    latest = images_by_tag.setdefault(record.tag, {})
                    if index not in latest or record.step >= latest[index].step:
                        latest[index] = record
    for tag, by_run in images_by_tag.items():
        figures = [
            f'<figure data-run="run{index}"><img alt="{_escape_html(tag)} of {_escape_html(runs[index].name)}" '
            f'src="data:image/png;base64,{b64encode(image_grid(record).png).decode()}">'
            f"<figcaption>{_escape_html(runs[index].name)} "
            f"<span class=step>step {record.step}</span></figcaption></figure>"
            for index, record in sorted(by_run.items())
        ]
        yield f"<h2>{_escape_html(tag)}</h2>{''.join(figures)}"


def _color(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _escape_dollars(text: str) -> str:
    """Escape dollar signs, between which Matplotlib expects a formula."""
    return escape_control_chars(text).replace("$", r"\$")


def _escape_html(value: Any) -> str:
    return html.escape(escape_control_chars(str(value)))
