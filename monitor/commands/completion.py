"""What a shell completes with Tab: the runs of a log directory, their metrics, and the installed sinks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from monitor.runs.listing import RunInfo

DEFAULT_LOGDIR = Path("runs")


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    """Return the runs of the log directory whose names start like this, each with its status, and paths."""
    found = [CompletionItem(run.name, help=run.status_text) for run in _runs(ctx, 0) if run.name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def complete_metrics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    """Return the metrics of the runs in the log directory that start like this."""
    tags = dict.fromkeys(tag for run in _runs(ctx) for tag in run.metrics)
    return _starting(tags, incomplete)


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    """Return what runs can be sorted by, and starts like this."""
    names = sorted({name for run in _runs(ctx) for name in run.names() if not name.startswith(("config:", "last:"))})
    return _starting(names, incomplete)


def complete_sinks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    """Return the installed sinks whose names start like this."""
    from monitor.sinks import registry

    return _starting(registry.names(), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _runs(ctx: click.Context, parts: int | None = None) -> list[RunInfo]:
    """Return the runs of ours in the log directory, with the first `parts` of what a catalog has of them."""
    from monitor.runs.listing.found_runs import FoundRuns
    from monitor.runs.listing.stored_fields import LISTED_PARTS

    logdir = Path(ctx.params.get("folder") or ctx.params.get("logdir") or DEFAULT_LOGDIR)
    found = FoundRuns(logdir, with_foreign=False)
    return found(LISTED_PARTS if parts is None else parts) if logdir.is_dir() else []
