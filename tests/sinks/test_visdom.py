"""The Visdom sink against the contract, read back from a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import Run
from monitor import records as r
from monitor.sinks.visdom.sink import VisdomSink
from monitor.testing import check_sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.servers import VisdomServer


def test_visdom_shows_every_kind(run: Run, visdom_server: VisdomServer) -> None:
    env = "contract"

    def read_back(records: Sequence[r.Record]) -> None:
        windows = visdom_server.windows(env)
        assert visdom_server.trace(env, "loss", "train") == [(0, 2.5), (1, 1.5)]
        assert visdom_server.trace(env, "loss", "test") == [(0, 2.25), (1, 1.25)]
        assert visdom_server.trace(env, "accuracy", "test") == [(0, 0.5), (1, 0.75)]
        assert visdom_server.trace(env, "alone", "alone") == [(0, 7.0), (1, 7.0)]
        for title in ("samples", "colored", "predictions"):
            shown = windows[title]["content"]["layout"]
            assert [picture["source"][:22] for picture in shown["images"]] == ["data:image/png;base64,"] * 2
            assert [step["label"] for step in shown["sliders"][0]["steps"]] == ["0", "1"]
        (heat,) = windows["confusion"]["content"]["data"]
        assert heat["x"] == ["a", "b", "2"]
        assert [cell[0] for cell in heat["customdata"][1]] == [1, 7, 1]
        assert "5: f / j  wrong" in windows["predictions (labels)"]["content"]
        assert "&lt;b&gt;plain&lt;/b&gt;" in windows["notes"]["content"]
        assert sum(windows["weights/fc1"]["content"]["data"][0]["y"]) == 1000
        (curve,) = (x for x in records if isinstance(x, r.Curve) and x.step == 1)
        decision = windows["decision"]["content"]
        assert decision["data"][0]["x"] == pytest.approx(curve.x.tolist())
        assert decision["data"][0]["y"] == pytest.approx(curve.y.tolist())
        assert decision["layout"]["xaxis"]["title"]["text"] == "Hours"
        assert decision["data"][1]["mode"] == "markers"
        assert decision["data"][1]["x"] == [2.0, 5.0]
        assert decision["layout"]["shapes"][0]["y0"] == 0.5
        assert "optimizer: sgd" in windows["config"]["content"]
        (mesh,) = (x for x in records if isinstance(x, r.Mesh) and x.step == 1)
        assert windows["tetrahedron"]["content"]["data"][0]["x"] == mesh.vertices[:, 0].tolist()
        assert "<td><em>1</em></td>" in windows["report"]["content"]
        assert len(windows) == 22

    check_sink(lambda: VisdomSink(port=visdom_server.port, env=env), run, read_back)


def test_the_env_is_the_runs_name_and_another_is_left_alone(run: Run, visdom_server: VisdomServer) -> None:
    import requests

    other = {"eid": "other", "win": "mine", "data": [{"type": "text", "content": "mine"}], "opts": {"title": "mine"}}
    requests.post(f"{visdom_server.url}/events", json=other, timeout=60).raise_for_status()
    check_sink(lambda: VisdomSink(port=visdom_server.port), run)
    assert set(visdom_server.envs()) == {"main", "other", "run"}
    assert visdom_server.windows("other")["mine"]["content"] == "mine"
    assert visdom_server.windows("main") == {}
