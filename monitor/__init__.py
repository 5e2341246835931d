"""A live training monitor for PyTorch: one `Logger`, any number of sinks.

    from monitor import Logger

Importing this package is quick: torch, the dashboards' packages and the rest are imported where they are used.
"""

from monitor.errors import MonitorError, SinkError, SpecError
from monitor.logger import Logger
from monitor.runs.run import Run
from monitor.sinks.base import Sink

__all__ = ["Logger", "MonitorError", "Run", "Sink", "SinkError", "SpecError", "__version__"]
__version__ = "0.1.0"
