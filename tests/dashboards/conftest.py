"""Fixtures of the dashboards' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.network import is_visdom
from monitor.sinks.visdom.sink import DEFAULT_HOST, DEFAULT_PORT
from tests.support.requirements import skip_or_fail
from tests.support.servers import FaultyServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def default_port_taken() -> Iterator[None]:
    """Hold Visdom's default port with something else, so that a run starts a server of its own, on a free port."""
    try:
        other = FaultyServer("error", port=DEFAULT_PORT)
    except OSError:  # somebody holds it already, such as another run of the tests
        if is_visdom(f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"):
            skip_or_fail(f"a Visdom server runs on port {DEFAULT_PORT}, to which runs would attach; stop it")
        yield
        return
    yield
    other.stop()
