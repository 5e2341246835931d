"""The exceptions of this package. Each message is one line that says what was given and what is accepted."""


class MonitorError(Exception):
    """Base of all exceptions that this package defines."""


class SpecError(MonitorError, ValueError):
    """The spec of a sink names no known sink, or cannot be parsed."""


class MissingExtra(MonitorError, ImportError):
    """The packages of a sink are not installed; the message names the extra that installs them."""


class SinkError(MonitorError, RuntimeError):
    """Sinks did not deliver all records; raised by `flush` and `close` of a `Logger(strict=True)` only."""


class AlertError(MonitorError, ValueError):
    """The text of an alert is not a rule."""


class FilterError(MonitorError, ValueError):
    """The text of a filter over runs cannot be parsed."""


class SpaceError(MonitorError, ValueError):
    """The space or the settings of a sweep cannot be used."""


class JobError(MonitorError, RuntimeError):
    """A training of several processes ended because another process is gone."""


class DataError(MonitorError, ValueError):
    """Input data is missing, unreadable, or damaged."""


class BadRecord(MonitorError, ValueError):
    """A record that a sink can never take; the sink took the others of the same call.

    Attributes:
        count: the number of records that are lost.
    """

    def __init__(self, message: str, count: int = 1) -> None:
        super().__init__(message)
        self.count = count


class SlowDown(MonitorError, OSError):
    """A sink asks to be left alone for a while, as a server does with HTTP 429 or 503; nothing is lost.

    Attributes:
        delay: seconds until the next attempt.
    """

    def __init__(self, message: str, delay: float) -> None:
        super().__init__(message)
        self.delay = delay
