"""The runs of a log directory: found, read, listed, and sorted."""

from monitor.runs.listing.reading import STARTUP_S, load, scan
from monitor.runs.listing.run_info import COLUMNS, RunInfo, sort_runs

__all__ = ["COLUMNS", "STARTUP_S", "RunInfo", "load", "scan", "sort_runs"]
