"""`monitor lessons`: every experiment runs, its figures are the material's, and its runs are compared."""

from __future__ import annotations

import json
import re
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from monitor.cli import main
from runners import logistic, mlp
from runners.course.catalogue import LESSONS
from runners.course.experiment_group import claim_folder
from runners.course.worked_examples import WORKED_EXAMPLES
from tests.support import event_reader
from tests.support.requirements import DATA, skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import VisdomServer

TRAINED = [name for name, lesson in LESSONS.items() if lesson.runs]
ASKED = [  # as the course names them
    "bce-by-hand", "hours", "lecture-lab", "diabetes", "heart", "init-matters", "activations", "optimizers", "losses",
    "cross-entropy-vs-mse", "numerical-stability", "softmax", "mlp", "entropy",
]  # fmt: skip


def lessons(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["lessons", *map(str, arguments)])


def test_the_list_names_each_with_its_commands() -> None:
    said = lessons()
    assert said.exit_code == 0
    assert set(ASKED) == set(LESSONS)
    for name, lesson in LESSONS.items():
        assert f"\n{name}\n" in f"\n{said.output}"
        for arguments in lesson.runs.values():
            assert f"    monitor train {arguments}\n" in said.output
            runner, *rest = shlex.split(arguments)
            command = {"mlp": mlp.main, "logistic": logistic.main}[runner]
            command.make_context(runner, rest)  # raises on what it does not take
    assert set(WORKED_EXAMPLES) == {name for name, lesson in LESSONS.items() if not lesson.runs}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("losses", "optimizers") else name for name in TRAINED],
)
def test_every_lesson_runs_and_compares(name: str, tmp_path: Path) -> None:
    lesson = LESSONS[name]
    extra: list[object] = ["--epochs", 1] if lesson.has_images else ["--epochs", 20]
    extra += ["--data", "digits"] if lesson.has_images else []
    if name == "diabetes":
        (tmp_path / "d.csv").write_text("a,b,y\n" + "".join(f"{n},{-n},{n % 2}\n" for n in range(30)))
        extra += ["--csv", tmp_path / "d.csv"]
    said = lessons(name, "--logdir", tmp_path, "--sink", "tensorboard", *extra)
    assert said.exit_code == 0, said.output
    metric = "test/accuracy" if lesson.has_images else "train/accuracy"
    table = said.output[said.output.index("━") :]
    for run in lesson.runs:
        assert json.loads((tmp_path / name / run / "run.json").read_text())["status"] == "finished"
        last = event_reader.series(tmp_path / name / run, metric)[-1][1]
        assert re.search(rf"│ {re.escape(run)} .*{last:.4f}", table), table
    assert f"monitor serve tensorboard --logdir {tmp_path / name}" in said.output


def test_a_lesson_that_was_run_before_gets_a_group_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        assert lessons("lecture-lab", "--logdir", tmp_path, "--sink", "tensorboard", "--epochs", 2).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lecture-lab", "lecture-lab-2"]


def test_a_folder_is_claimed_by_one_only(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def claim(_: int) -> Path:
        barrier.wait()
        return claim_folder(tmp_path / "runs" / "group")

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(claim, range(8)))
    assert {folder.name for folder in folders} == {"group", *(f"group-{number}" for number in range(2, 9))}
    assert all(folder.is_dir() for folder in folders)


def test_a_log_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = lessons("mlp", "--logdir", tmp_path / "file" / "runs", "--sink", "tensorboard")
    assert said.exit_code == 2
    assert re.fullmatch(r"[^E]+Error: [^\n]+'--logdir': [^\n]+ cannot be written: Not a directory\n", said.output)


def test_the_figures_worked_out_by_hand(tmp_path: Path) -> None:
    said = {}
    for name in WORKED_EXAMPLES:
        result = lessons(name, "--logdir", tmp_path, "--sink", "tensorboard")
        assert result.exit_code == 0, result.output
        said[name] = result.output
        assert event_reader.text(tmp_path / name, name)
    for row in ("1  0.2  1.6094", "1  0.8  0.2231", "0  0.3  0.3567", "0  0.7  1.2040", "mean    0.8483"):
        assert row in said["bce-by-hand"]
    assert re.search(r"0\.25, 0\.25, 0\.25, 0\.25 +2\.0000", said["entropy"])
    assert re.search(r"0\.1, 0\.1, 0\.1, 0\.7 +1\.3568", said["entropy"])
    assert re.search(r"\b89 +inf +89 +89\b", said["numerical-stability"])
    assert re.search(r"\b104 +inf +inf +104\b", said["numerical-stability"])
    exact = dict(event_reader.series(tmp_path / "numerical-stability", "loss/cross_entropy"))
    assert exact[1000] == 1000


def test_init_matters(tmp_path: Path) -> None:
    """The material's network: plain normal weights kill its outputs, Kaiming's do not."""
    assert lessons("init-matters", "--data", "digits", "--logdir", tmp_path, "--sink", "tensorboard").exit_code == 0
    (stuck, fine) = (event_reader.series(tmp_path / "init-matters" / run, "test/loss") for run in ("normal", "kaiming"))
    assert stuck[-1][1] > 2
    assert fine[-1][1] < 1.5


def test_the_real_diabetes_file(tmp_path: Path) -> None:
    if not (DATA / "diabetes.csv").is_file():
        skip_or_fail(f"there is no diabetes.csv in {DATA}; set MONITOR_TEST_DATA to a folder that has it")
    said = lessons("diabetes", "--csv", DATA / "diabetes.csv", "--logdir", tmp_path, "--sink", "tensorboard")
    assert said.exit_code == 0, said.output
    steps, accuracies = zip(*event_reader.series(tmp_path / "diabetes" / "diabetes", "train/accuracy"))
    assert steps == tuple(range(0, 101, 10))
    assert accuracies[-1] > 0.76


def test_a_groups_runs_share_a_window_a_metric_in_visdom(tmp_path: Path, visdom_server: VisdomServer) -> None:
    sinks = ["--sink", "tensorboard", "--sink", visdom_server.spec().rstrip("/")]
    said = lessons("init-matters", "--data", "digits", "--epochs", 2, "--logdir", tmp_path, *sinks)
    assert said.exit_code == 0, said.output
    assert {f"init-matters_{env}" for env in ("normal", "kaiming", "comparison")} <= set(visdom_server.envs())
    windows = visdom_server.windows("init-matters_comparison")
    shown = windows["test/accuracy"]["content"]["data"]
    assert [trace["name"] for trace in shown] == ["normal", "kaiming"]
    for trace in shown:
        wanted = event_reader.series(tmp_path / "init-matters" / trace["name"], "test/accuracy")
        assert trace["x"] == [step for step, _ in wanted]
        assert trace["y"] == pytest.approx([value for _, value in wanted])
    kept = {path.stem for path in (tmp_path / "init-matters" / "visdom").glob("*.json")}
    assert kept == {f"init-matters_{env}" for env in ("normal", "kaiming", "comparison")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "'nothing' is not one of 'bce-by-hand', 'entropy', 'hours'"),
        (["diabetes"], "needs --csv FILE"),
        (["hours", "--csv", "x.csv"], "and no other, needs --csv FILE"),
        (["hours", "--data", "mnist"], "the lesson hours uses no images"),
        (["mlp", "--data", "cats"], "'cats' is not one of 'auto', 'mnist'"),
        (["mlp", "--epochs", "0"], "0 is not in the range x>=1"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_bad_input_is_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    said = lessons(*arguments, "--logdir", tmp_path, "--sink", "tensorboard")
    assert said.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", said.stderr)
    assert says in said.stderr
