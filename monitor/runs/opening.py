"""The run of a logger: one that is passed, one in a directory, or one that is named after the program and the time."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.runs.reuse import take_over
from monitor.runs.run import Run
from monitor.runs.scripts.script_session import default_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGDIR = Path("runs")


def open_run(run: str | os.PathLike[str] | Run | None, config: Mapping[str, Any] | None, *, is_written: bool) -> Run:
    """Return the run to log to; None stands for one that is named by `default_name`, under `runs`.

    Under `monitor run`, it stands for the run that was made for the script; for a second one, beside it. Raises what
    `Run` raises, and `TypeError` for a config that goes with a `Run`.
    """
    if isinstance(run, Run):
        if config is not None:
            raise TypeError("config goes with a directory; a Run has its own")
        return run
    if run is not None:
        return Run(run, config, is_written=is_written)
    directory = default_directory()
    if directory is None:
        return Run(LOGDIR / default_name(program_name()), config, is_written=is_written)
    unwritten = Run(directory, config, is_written=False)  # checks the settings before anything is written
    if not is_written:
        return unwritten
    return take_over(directory, unwritten.config) or Run(directory, config)


def default_name(program: str) -> str:
    """Return the name of a run that starts now, such as `train-20261129-142000`."""
    stem = re.sub(r"[^\w.-]+", "-", program).strip(".-") or "script"
    return f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"


def program_name() -> str:
    """Return the name of the script or module that runs, without its ending; of a notebook, if it can be told."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if "ipykernel" in sys.modules:
        notebook = os.environ.get("JPY_SESSION_NAME") or getattr(main, "__vsc_ipynb_file__", None)
        return Path(notebook).stem if notebook else "notebook"
    if spec is not None and spec.name == "__main__" and file:  # python DIRECTORY, or an archive
        place = Path(file).resolve().parent
        return place.stem if place.is_file() else place.name
    if spec is not None:  # python -m
        return str(spec.name).removesuffix(".__main__")
    return Path(file).stem if file else "python"  # without a file, as in a REPL
