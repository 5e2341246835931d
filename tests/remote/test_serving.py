"""TensorBoard over the address of a store: its own, ours, and ours over the newest runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from monitor import Logger
from monitor.testing import wait_until
from tests.support.processes import start_fresh
from tests.support.servers import free_port
from tests.support.stores import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.servers import Served
    from tests.support.stores import S3Server

RUN = f"s3://{BUCKET}/runs/a"


@pytest.mark.slow
def test_tensorboard_reads_the_address_by_itself(s3: S3Server, serve: Callable[..., Served]) -> None:
    with Logger(RUN, ["tensorboard"], record="none") as log:
        log.scalar("x", 0.0, 0)
        wait_until(lambda: s3.objects("runs/a/events"), 60, "a segment")
        for step in range(1, 500):
            log.scalar("x", step, step)
    port = free_port()
    board = start_fresh(
        "-m", "tensorboard.main", "--logdir", f"s3://{BUCKET}/runs", "--host", "127.0.0.1", "--port", str(port)
    )
    ours = serve("tensorboard", "--logdir", f"s3://{BUCKET}/runs", "--port", "0")
    newest = serve("tensorboard", "--logdir", f"s3://{BUCKET}/runs", "--port", "0", "--last", "1")

    def curve(base: str) -> list[int]:
        try:
            with urlopen(f"{base}/data/plugin/scalars/scalars?run=a&tag=x", timeout=60) as answer:
                return [step for _, step, _ in json.load(answer)]
        except OSError:
            return []

    try:
        for base in (f"http://127.0.0.1:{port}", ours.url, newest.url):
            wait_until(lambda: curve(base) == list(range(500)), 60, f"the curve at {base}")  # noqa: B023
        assert newest.stop() == f"1 of 1 runs in s3://{BUCKET}/runs; runs that come to match will appear.\n"
    finally:
        board.terminate()
        board.communicate(timeout=60)
