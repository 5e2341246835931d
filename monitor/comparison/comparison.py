"""`monitor.compare`: a comparison as an object, whose page, file, and display in a notebook are the same."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.comparison.compare import find_runs, load_run
from monitor.comparison.side_by_side import SideBySide
from monitor.comparison.views.page_builder import build_page
from monitor.errors import DataError
from monitor.machine.files import atomic_write
from monitor.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTEBOOK_HEIGHT_PX = 760


class Comparison(SideBySide):
    """Runs side by side, with `figures` and a page of them.

    In a notebook, the value of a cell is shown as the page that `save` writes.
    """

    def to_html(self, title: str = "", step: int | None = None, *, is_report: bool = False) -> str:
        """Return one HTML page that loads nothing from elsewhere.

        Args:
            title: its heading; by default, the name of the run, or how many there are.
            step: show the latest pictures of each run up to this step; by default, the newest, with a slider.
            is_report: whether notes, config, system metrics, alerts, and changes of the code are included.
        """
        default = self.runs[0].name if len(self.runs) == 1 else f"{len(self.runs)} runs"
        return build_page(self, title or default, step, is_report=is_report)

    def save(self, file: str | os.PathLike[str], title: str = "", step: int | None = None) -> None:
        """Write the page of `to_html`; an existing file is replaced when the new one is complete. Raises `OSError`."""
        atomic_write(Path(file), self.to_html(title, step))

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(run.name for run in self.runs[:10])}{' …' if len(self.runs) > 10 else ''}>"

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, for a notebook."""
        page = html.escape(self.to_html(), quote=True)
        style = f"width:100%;height:{NOTEBOOK_HEIGHT_PX}px;border:1px solid #ddd;border-radius:6px"
        return f'<iframe sandbox="allow-scripts allow-downloads" style="{style}" srcdoc="{page}"></iframe>'


def compare(
    *runs: str | os.PathLike[str] | Run | Iterable[str | os.PathLike[str] | Run],
    metrics: Sequence[str] = (),
    group_by: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    spread: str = "std",
    logdir: str | os.PathLike[str] = "runs",
) -> Comparison:
    """Compare runs; a notebook shows the result as a page, and `save` writes it.

    Args:
        runs: `Run` objects, paths, names of runs in `logdir`, or patterns such as `"mlp-*"`, also as lists.
        metrics: the metrics to compare by; by default, those with a goal that most runs share.
        group_by: settings by which runs are grouped, shown as one curve with a band; `"config"` stands for all.
        ignore: settings that do not separate groups, such as `"seed"`.
        spread: the band: `"std"`, `"sem"`, `"minmax"`, or `"quantiles"`.
        logdir: where runs are looked up by name.

    Raises:
        DataError: if a name matches no run, or no run has a metric or setting.
    """
    names: list[str] = []
    for entry in runs:
        several = [entry] if isinstance(entry, str | os.PathLike | Run) else list(entry)
        names += [str(one.path) if isinstance(one, Run) else os.fspath(one) for one in several]
    if not names:
        raise DataError("name at least one run")
    found = [load_run(name, path) for name, path in find_runs(names, Path(logdir)).items()]
    return Comparison(found, _texts(metrics), group_by=_texts(group_by), ignore=_texts(ignore), spread=spread)


def _texts(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
