"""What is in a store, to be read here: only what changed is downloaded, and nothing leads out of the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import monitor
from monitor import Logger
from monitor.cli import main
from monitor.remote.mirror import refresh_list, refresh_runs
from monitor.remote.store import Store, StoreError
from monitor.remote.urls import cache_path, spool_path
from tests.support.stores import BUCKET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stores import Proxy, S3Server

LOGDIR = f"s3://{BUCKET}/runs"
RUN_FILE = b'{"status": "finished", "name": "a", "start": "2026-11-01T10:00:00+00:00"}'


def logged(name: str, count: int) -> None:
    with Logger(f"{LOGDIR}/{name}", ["tensorboard"], {"lr": count}, record="none") as log:
        for step in range(count):
            log.scalar("test/loss", step, step)


def test_only_what_changed_is_downloaded(proxy: Proxy) -> None:
    logged("a", 20_000)
    logged("b", 30)
    Store(LOGDIR).put("a/checkpoints/step-1.pt", bytes(3_000_000))
    refresh_list(cache_path(LOGDIR))
    first = proxy.received
    assert sorted(path.name for path in cache_path(LOGDIR).rglob("*[!s].json")) == ["run.json", "run.json"]
    assert not list(cache_path(LOGDIR).rglob("*tfevents*"))
    assert first < 100_000
    (run,) = monitor.read("a", logdir=LOGDIR)
    assert len(run.scalars("test/loss").steps) == 20_000
    whole = proxy.received - first
    assert 500_000 < whole < 2_000_000  # the curves, and no checkpoint
    before = proxy.received
    assert len(monitor.read(f"{LOGDIR}/a")[0].scalars("test/loss").steps) == 20_000
    assert proxy.received - before < whole / 20
    with Logger(f"{LOGDIR}/c", ["tensorboard"], record="none") as log:
        log.scalar("test/loss", 1.0, 0)
    Store(LOGDIR).remove("b/run.json")
    refresh_list(cache_path(LOGDIR))
    assert sorted(path.parent.name for path in cache_path(LOGDIR).rglob("run.json")) == ["a", "c"]


@pytest.mark.usefixtures("s3")
def test_commands_read_addresses(tmp_path: Path) -> None:
    logged("a", 10)
    logged("b", 20)

    def invoke(*arguments: str) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    assert "finished" in invoke("runs", LOGDIR, "--filter", "lr==20")
    for arguments in (("a", "b", "--logdir", LOGDIR), (f"{LOGDIR}/a", f"{LOGDIR}/b"), (f"{LOGDIR}/*",)):
        assert "test/loss" in invoke("compare", *arguments)
    table = tmp_path / "x.csv"
    assert "30 points of 2 runs" in invoke("export", f"{LOGDIR}/*", "--to", str(table)).replace("\n", " ")
    assert "1 run" in invoke("export", f"{LOGDIR}/b", "--to", str(table))
    assert "test/loss" in invoke("report", f"{LOGDIR}/b", "--html", str(tmp_path / "x.html")) + (
        (tmp_path / "x.html").read_text()
    )
    assert "b: " in invoke("replay", f"{LOGDIR}/b", "--sink", "memory")
    missing = CliRunner().invoke(main, ["compare", f"{LOGDIR}/nothing"])
    assert missing.exit_code == 2
    assert f"'{LOGDIR}/nothing' matches no run" in missing.output


def test_hostile_names_stay_in_the_folder(s3: S3Server, tmp_path: Path) -> None:
    """Objects whose names lead elsewhere, are patterns, or look like what is kept beside the copies."""
    import fsspec

    store = fsspec.filesystem("s3", endpoint_url=s3.url, use_listings_cache=False)
    for name in ("a/run.json", "[x]*/run.json", "a//run.json", "a/\x1b[31m/run.json", "a/.stamps.json"):
        store.pipe_file(f"{BUCKET}/runs/{name}", RUN_FILE)
    put = store.s3
    assert put is not None
    for key in ("runs/../../escaped/run.json", "runs/a/../../../../../escaped2/run.json", "runs//etc/run.json"):
        store.call_s3("put_object", Bucket=BUCKET, Key=key, Body=RUN_FILE)
    refresh_list(cache_path(LOGDIR))
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    at = f"cache/s3/{BUCKET}/runs"
    assert {name for name in found if name.endswith("run.json")} == {
        f"{at}/a/run.json", f"{at}/[x]*/run.json", f"{at}/a/\x1b[31m/run.json",
    }  # fmt: skip
    result = CliRunner().invoke(main, ["runs", LOGDIR])
    assert result.exit_code == 0
    assert "\x1b[31m" not in result.output


@pytest.mark.slow
def test_a_store_that_is_away_is_one_line(proxy: Proxy) -> None:
    logged("a", 3)
    proxy.stop()
    for command in (["runs", LOGDIR], ["compare", f"{LOGDIR}/a"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2
        assert result.output.count("\n") == 1
        assert f"Error: {LOGDIR}" in result.output
        assert "cannot be reached" in result.output
    with pytest.raises(StoreError):
        refresh_runs([cache_path(LOGDIR)])
    refresh_runs([spool_path(LOGDIR)])  # not a copy
    proxy.start()
    assert [path.name for path in spool_path(LOGDIR).iterdir()] == ["a"]
