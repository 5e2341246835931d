"""Addresses and the folders that stand for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.errors import DataError
from monitor.remote.urls import cache_path, cached_url, display_path, is_url, spool_path, url_of


@pytest.mark.parametrize(
    "url", ["s3://bucket/runs/a", "gs://b", "file:///data/runs", "memory://x/y z/ü[1]", "s3://bucket/a%2Fb/%20"]
)
def test_an_address_and_its_folders_name_each_other(url: str, spool: Path) -> None:
    assert spool_path(url).is_relative_to(spool)
    assert url_of(spool_path(url)) == cached_url(cache_path(url)) == display_path(spool_path(url)) == url
    assert url_of(cache_path(url)) is cached_url(spool_path(url)) is None
    assert url_of(spool_path(url) / "mlp-2") == f"{url}/mlp-2"


def test_what_is_an_address(spool: Path) -> None:
    assert is_url("s3://b/x")
    assert is_url(Path("s3://b/x"))
    assert is_url("S3://b")
    assert not is_url("runs/a")
    assert not is_url("/s3/b")
    assert not is_url("C:/x")
    assert not is_url(None)
    assert url_of(spool_path(Path("s3://b/x//y/"))) == "s3://b/x/y"  # a path has one slash only
    assert url_of(spool) is url_of("runs") is None
    assert display_path("runs/a") == "runs/a"


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3:///", "s3://b/../../x", "s3://b/./x", "s3://_/x", "s3://b/x?versionId=1", "s3://b/x#1",
     "sftp://user:secret@host/x", "s3://b/\x1b[31m", "s3://" + "b" * 2000],
)  # fmt: skip
def test_other_addresses_are_refused(url: str, spool: Path) -> None:
    with pytest.raises(DataError) as raised:
        spool_path(url)
    assert "secret" not in str(raised.value)
    assert "\x1b" not in str(raised.value)
    result = CliRunner().invoke(main, ["train", "mlp", "--logdir", url])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert not spool.exists()


@pytest.mark.usefixtures("spool")
def test_options_that_need_a_local_path_say_so() -> None:
    result = CliRunner().invoke(main, ["export", "a", "--to", "s3://b/x.csv"])
    assert result.exit_code == 2
    assert "'s3://b/x.csv' is an address in a store; a local path is needed here." in result.output
