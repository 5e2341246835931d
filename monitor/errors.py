"""The exceptions of this package. Each message is one line: what was given, and what is accepted."""


class MonitorError(Exception):
    """Base of every error that this package raises on its own account."""


class SpecError(MonitorError, ValueError):
    """A sink's spec that names no known sink, or that the sink cannot read."""


class MissingExtra(MonitorError, ImportError):
    """A sink whose packages are not installed; the message names the extra that brings them."""


class SinkError(MonitorError, RuntimeError):
    """What the sinks could not deliver; raised by `flush` and `close` of a `Logger(strict=True)` alone."""


class AlertError(MonitorError, ValueError):
    """An alert that is no rule."""


class FilterError(MonitorError, ValueError):
    """A filter over runs that cannot be read."""


class JobError(MonitorError, RuntimeError):
    """The end of a training of several processes, of which another one is gone."""


class DataError(MonitorError, ValueError):
    """Input data that is missing, unreadable or damaged."""
