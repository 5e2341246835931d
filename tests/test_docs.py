"""The snippets of the README and of the docs run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tests.support import event_reader
from tests.support.servers import free_port
from tests.support.snippets import section

if TYPE_CHECKING:
    from tests.support.servers import VisdomServer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_FRAMEWORKS = {"integrations.md"}  # their snippets run in tests/frameworks
WITH_SNIPPETS = {"alerts.md", "quickstart.md", "sinks.md"}  # at least


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)


def run(code: str, page: Path, names: dict[str, Any]) -> None:
    exec(compile(code, str(page), "exec"), names)


def test_the_readmes_fifteen_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visdom_server: VisdomServer, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = snippets(ROOT / "README.md")
    assert len(code.splitlines()) <= 15
    x = torch.rand(8, 1, 28, 28)
    names: dict[str, Any] = {
        "loader": [(x, torch.arange(8))] * 3,
        "model": torch.nn.Linear(784, 10),
        "train_step": lambda model, x, y: torch.nn.functional.cross_entropy(model(x.flatten(1)), y),
        "accuracy": 0.5,
        "predicted": torch.arange(8),
        "target": torch.arange(8),
        "weight": torch.rand(10, 784),
        "hours": torch.linspace(0, 10, 50),
        "probability": torch.linspace(0, 1, 50),
    }
    run(code.replace('"visdom"', f'"{visdom_server.spec()}"'), ROOT / "README.md", names)
    assert [step for step, _ in event_reader.series(tmp_path / "runs" / "mlp", "train/loss")] == [0, 1, 2]
    titles = set(visdom_server.windows("mlp"))
    assert {
        "loss",
        "accuracy",
        "samples",
        "predictions",
        "notes",
        "weights/fc1",
        "decision",
    } <= titles
    assert "delivered" in capsys.readouterr().out


def test_the_pages_that_teach_have_snippets() -> None:
    assert {page.name for page in PAGES[1:] if snippets(page)} >= WITH_SNIPPETS


@pytest.mark.parametrize(
    "page", [page for page in PAGES[1:] if snippets(page) and page.name not in WITH_FRAMEWORKS], ids=name_of
)
def test_the_docs_snippets(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONITOR_VISDOM_PORT", str(free_port()))  # where nothing answers
    names: dict[str, Any] = {"__name__": "docs"}
    for code in snippets(page):
        run(code, page, names)
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value(tmp_path)


def test_the_summary_writers_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(section("integrations.md", "SummaryWriter"), "integrations.md", "exec"), {"__name__": "docs"})
    assert len(event_reader.series(tmp_path / "runs" / "exp1", "train/loss")) == 100


def test_each_frameworks_snippet_runs_in_a_test() -> None:
    text = (ROOT / "docs" / "integrations.md").read_text()
    titles = re.findall(r"^## (.+)\n(?:(?!^## )[^\n]*\n)*?```python\n", text, re.M)
    assert len(titles) >= 10
    tests = "".join(path.read_text() for path in (*(ROOT / "tests" / "frameworks").glob("*.py"), Path(__file__)))
    assert [title for title in titles if f'section("integrations.md", "{title}")' not in tests] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
