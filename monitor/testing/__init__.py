"""Helpers to test sinks: records of every kind, the contract test, and a wait with a deadline.

For example:

    def test_my_sink(tmp_path):
        check_sink(MySink, Run(tmp_path / "run"))
"""

from monitor.testing.contract import check_sink
from monitor.testing.samples import sample_records
from monitor.testing.waiting import wait_until

__all__ = ["check_sink", "sample_records", "wait_until"]
