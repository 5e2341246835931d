"""The `monitor` command. A subcommand is imported when it is used."""

from __future__ import annotations

import click

from monitor import __version__
from monitor.commands.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy_commands={
        "assets": ("monitor.commands.checking.assets:assets", "Get and check the files for Visdom's page."),
        "compare": (
            "monitor.commands.comparing.compare:compare",
            "Compare runs in the terminal, in Visdom, or as HTML.",
        ),
        "doctor": ("monitor.commands.checking.doctor:doctor", "Check whether a training can run here."),
        "export": ("monitor.commands.comparing.export:export", "Write the scalars of runs as Parquet, CSV, or JSON."),
        "index": (
            "monitor.commands.comparing.index:index",
            "Make an index of large runs, so that their curves are there at once.",
        ),
        "mv": ("monitor.commands.edit:mv", "Give a run another name."),
        "note": ("monitor.commands.edit:note", "Add a note to a run."),
        "replay": ("monitor.commands.replaying.replay:replay", "Show TensorBoard logs and W&B runs in any sink."),
        "report": ("monitor.commands.comparing.report:report", "Write a report of runs as one HTML page."),
        "rm": ("monitor.commands.edit:rm", "Move runs to the trash, or restore them."),
        "run": ("monitor.commands.run:run", "Run a script as it is, and watch what it logs."),
        "runs": ("monitor.commands.listing.runs:runs", "List runs, with their status and metrics."),
        "serve": ("monitor.commands.serving.serve:serve", "Serve a dashboard: visdom or tensorboard."),
        "sweep": ("monitor.commands.sweep:sweep", "Search for the best options of a runner or a script."),
        "tag": ("monitor.commands.edit:tag", "Tag a run, to filter by."),
        "train": ("monitor.commands.train:train", "Train a model and watch it live."),
        "upload": ("monitor.commands.upload:upload", "Upload runs to a store such as S3."),
    },
)
@click.version_option(__version__, prog_name="monitor")
def main() -> None:
    """Train PyTorch models and watch them live in TensorBoard, in Visdom, or on the console."""
