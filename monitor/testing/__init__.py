"""Helpers to test sinks: the contract test, records of every kind, and a wait with a deadline.

For example, for pytest:

    class TestMySink(SinkContract):
        def make_sink(self):
            return MySink()
"""

from monitor.testing.checks import check_sink
from monitor.testing.contract import SinkContract
from monitor.testing.samples import hostile_records, sample_records
from monitor.testing.waiting import wait_until

__all__ = ["SinkContract", "check_sink", "hostile_records", "sample_records", "wait_until"]
