"""Fixtures: a real S3 server, and a proxy before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stores import Proxy, S3Server, use_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3Server]:
    """Start one S3 server for all tests of this pytest worker that do not stop it."""
    server = S3Server()
    yield server
    server.kill()


@pytest.fixture
def s3(running_s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """Return an S3 server with an empty bucket, which this process and its children use."""
    running_s3.clear()
    use_store(monkeypatch, running_s3.url, tmp_path)
    return running_s3


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxy]:
    """Return a proxy before the S3 server, which this process and its children use."""
    made = Proxy(s3.port)
    use_store(monkeypatch, made.url, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of the spool, with the cache beside it."""
    use_store(monkeypatch, "", tmp_path)
    return tmp_path / "spool"
