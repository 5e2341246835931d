"""Who holds a lease on a server, and who does not."""

from __future__ import annotations

import json
import os

import pytest

from monitor.dashboards.ownership.lease_files import lease_path
from monitor.dashboards.ownership.leases import Lease, ServerEndingError
from monitor.testing import wait_until

URL = "http://127.0.0.1:1"


@pytest.fixture
def lease() -> Lease:
    """Return the lease of the run that started a server, which is this process too."""
    made = Lease.create()
    assert made is not None
    made.publish("Board", URL)
    return made


def test_a_server_is_ending_for_nobody_while_somebody_has_a_lease(lease: Lease) -> None:
    other = Lease.join("Board", URL)
    assert other is not None
    assert not lease.claim()
    lease.close()
    assert other.claim()
    with pytest.raises(ServerEndingError):
        Lease.join("Board", URL)
    other.remove()
    assert Lease.join("Board", URL) is None
    other.close()


def test_a_dead_server_s_file_gives_no_lease(lease: Lease) -> None:
    facts = lease.facts()
    facts["process"]["created"] -= 1
    lease_path("Board", URL).write_text(json.dumps(facts))
    assert Lease.join("Board", URL) is None
    lease_path("Board", URL).write_text("{")
    assert Lease.join("Board", URL) is None
    lease.close()


def test_a_forked_worker_holds_no_lease(lease: Lease) -> None:
    """A `DataLoader` worker that outlives its training must not keep the servers up."""
    other = Lease.join("Board", URL)
    assert other is not None
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    lease.close()
    try:
        wait_until(other.claim, 60, "the child, which closes its copy after the fork")
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
        other.close()
