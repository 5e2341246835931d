"""Runs side by side in TensorBoard: HPARAMS, and charts of train and test."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tensorboardX import SummaryWriter

from monitor.testing import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.browser import Page
    from tests.support.processes import Start
    from tests.support.servers import Served
from tests.support.compared_runs import make

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def viewport() -> dict[str, int]:
    return {"width": 1500, "height": 1000}


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


GONE = """
import os, sys
from monitor import Logger
log = Logger(sys.argv[1], ["tensorboard"], {"lr": 9.0, "lost": "yes"})
log.scalars({"test/loss": 1.0, "test/accuracy": 0.5, "train/loss": 1.0}, 0)
log.flush()
os._exit(1)
"""


@pytest.mark.slow
def test_ten_runs_in_hparams_and_on_charts_of_train_and_test(
    tmp_path: Path, start: Start, page: Page, serve: Callable[..., Served]
) -> None:
    statuses = ["finished"] * 6 + ["failed", "killed", "interrupted"]
    for number, status in enumerate(statuses):
        config: dict[str, Any] = {"lr": 0.1 * (number + 1), "optimizer": ["sgd", "adam"][number % 2]}
        config |= {"dropout": number / 10} if number % 3 == 0 else {}
        config |= {"nesterov": True} if number % 4 == 0 else {}
        make(tmp_path, f"run{number}", config, number / 50, status)
    start("-c", GONE, str(tmp_path / "run9")).wait(60)
    board = serve("tensorboard", "--logdir", str(tmp_path), "--port", "0")
    try:
        body = {
            "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"hparam": "lr"}], "startIndex": 0, "sliceSize": 100,
        }  # fmt: skip

        def groups() -> list[dict[str, Any]]:
            found = ask(f"{board.url}/data/plugin/hparams/session_groups", body)
            return sorted(found.get("sessionGroups", []), key=lambda group: group["sessions"][0]["name"])

        def ended() -> bool:
            return [g["sessions"][0]["status"] for g in groups()].count("STATUS_FAILURE") == 4

        wait_until(ended, 60, "ten rows, four of them failed")
        found = groups()
        assert [group["sessions"][0]["name"] for group in found] == [f"run{number}" for number in range(10)]
        assert [group["sessions"][0]["status"] for group in found][:6] == ["STATUS_SUCCESS"] * 6
        assert ask(f"{board.url}/data/runs") == [f"run{number}" for number in range(10)], "no extra runs"
        page.goto(f"{board.url}/#hparams")
        page.wait_for_selector("text=test/accuracy/best", timeout=60_000)
        for text in ("nesterov", "dropout", "optimizer", "lost", "test/accuracy", "test/loss/best"):
            assert page.locator(f"text={text}").count() > 0, text
        row = next(group for group in found if group["sessions"][0]["name"] == "run3")
        values = {value["name"].get("tag"): value["value"] for value in row["metricValues"]}
        assert values["test/accuracy/best"] == pytest.approx(0.94)
        assert values["test/accuracy"] == pytest.approx(0.84)
        assert values["test/loss/best"] == pytest.approx(0.16)
        layout = ask(f"{board.url}/data/plugin/custom_scalars/layout")
        (category,) = layout["category"]
        assert [chart["title"] for chart in category["chart"]] == ["loss"]
        page.goto(f"{board.url}/#custom_scalars")
        page.wait_for_selector("text=train and test", timeout=60_000)
        page.wait_for_selector("text=Matches (20)", timeout=60_000)
        assert page.problems == []
    finally:
        board.stop(signal.SIGTERM)


@pytest.mark.slow
def test_a_foreign_add_hparams_takes_no_column_away(tmp_path: Path, serve: Callable[..., Served]) -> None:
    make(tmp_path, "ours", {"lr": 0.1, "optimizer": "sgd"}, 0.0)
    writer = SummaryWriter(str(tmp_path / "theirs"))
    writer.add_hparams({"depth": 3}, {"hparam/score": 1.0}, name="trial")
    writer.close()
    board = serve("tensorboard", "--logdir", str(tmp_path), "--port", "0")

    def columns() -> set[str]:
        found = ask(f"{board.url}/data/plugin/hparams/experiment", {"experimentName": ""})
        return {info["name"] for info in found.get("hparamInfos", [])}

    try:
        wait_until(lambda: columns() >= {"lr", "optimizer", "depth"}, 60, "the columns of both")
    finally:
        board.stop(signal.SIGTERM)


def test_a_declaration_counts_where_all_runs_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.plugins.hparams import api_pb2, backend_context, metadata, plugin_data_pb2

    from monitor.dashboards.tensorboard.tensorboard_server import show_settings_of_all_runs

    name = "_find_experiment_tag"
    monkeypatch.setattr(backend_context.Context, name, getattr(backend_context.Context, name))  # put back at the end
    show_settings_of_all_runs()
    find = getattr(backend_context.Context, name)
    experiment = api_pb2.Experiment(hparam_infos=[api_pb2.HParamInfo(name="depth")])
    data = plugin_data_pb2.HParamsPluginData(version=0, experiment=experiment).SerializeToString()
    theirs = {metadata.EXPERIMENT_TAG: data, metadata.SESSION_START_INFO_TAG: b""}
    assert find(None, {"theirs": theirs}, True) == experiment
    assert find(None, {"theirs": theirs, "ours": {metadata.SESSION_START_INFO_TAG: b""}}, True) is None
