"""`monitor lessons`: every experiment runs, its figures are the material's, and its runs are compared."""

from __future__ import annotations

import json
import math
import re
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from monitor.cli import main
from runners import linear, logistic, mlp
from runners.course import catalogue, published
from runners.course.catalogue import LECTURES, LESSONS
from runners.course.experiment_group import claim_folder
from runners.course.findings import FINDINGS
from runners.course.published import COMPARISONS
from runners.course.results import RunResult
from runners.course.worked_examples import WORKED_EXAMPLES
from tests.support import event_reader
from tests.support.requirements import DATA, skip_or_fail

if TYPE_CHECKING:
    from tests.support.servers import VisdomServer

TRAINED = [name for name, lesson in LESSONS.items() if lesson.runs]
SLOW = ("losses", "torch-losses", "optimizers", "init-matters", "activations", "hours", "hours-optimizers", "mlp")


def lessons(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["lessons", *map(str, arguments)])


def test_the_list_groups_them_by_lecture() -> None:
    said = lessons()
    assert said.exit_code == 0
    parts = re.split(f"^({'|'.join(LECTURES)})$", said.output, flags=re.M)
    assert parts[1::2] == list(LECTURES)
    for lecture, listed in zip(parts[1::2], parts[2::2]):
        rows = re.findall(r"^  (\S+) +(\d+) s  (.+)$", listed, re.M)
        assert rows == [(name, str(it.seconds), it.shows) for name, it in LESSONS.items() if it.lecture == lecture]
    assert all(len(line) <= 110 for line in said.output.splitlines())


def test_every_command_of_a_lesson_is_accepted_and_every_lesson_is_checked() -> None:
    commands = {"mlp": mlp.main, "logistic": logistic.main, "linear": linear.main}
    for lesson in LESSONS.values():
        for arguments in (*lesson.runs.values(), *lesson.slide_runs.values()):
            runner, *rest = shlex.split(arguments)
            commands[runner].make_context(runner, rest)  # raises on what it does not take
    assert set(WORKED_EXAMPLES) == {name for name, lesson in LESSONS.items() if not lesson.runs}
    assert set(FINDINGS) == set(TRAINED)
    assert set(COMPARISONS) == {name for name, lesson in LESSONS.items() if lesson.slide_runs}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in TRAINED],
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
    metric = "test/accuracy" if lesson.has_images else "train/loss" if name == "points" else "train/accuracy"
    table = said.output[said.output.index("━") :]
    for run in lesson.runs:
        assert json.loads((tmp_path / name / run / "run.json").read_text())["status"] == "finished"
        last = event_reader.series(tmp_path / name / run, metric)[-1][1]
        assert re.search(rf"│ {re.escape(run)} .*{last:.4f}", table), table
    assert f"monitor serve tensorboard --logdir {tmp_path / name}" in said.output
    assert len(re.findall(r"^(Seen|Not seen this time): .+\.$", said.output, re.M)) == 1


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
    for row in ("1 +0.2  1.6094", "1 +0.8  0.2231", "0 +0.3  0.3567", "0 +0.7  1.2040", "mean  0.8483"):
        assert re.search(row, said["bce-by-hand"])
    assert re.search(r"0\.25, 0\.25, 0\.25, 0\.25 +2\.0000", said["entropy"])
    assert re.search(r"0\.1, 0\.1, 0\.1, 0\.7 +1\.3568", said["entropy"])
    assert re.search(
        r"0\.001, 0\.001, 0\.001, 0\.999 +0\.0313 +they sum to 1\.002, so this is not an entropy", said["entropy"]
    )
    assert re.search(r"0\.4 +0\.9163\n +0\.98 +0\.0202\n", said["entropy"])
    means = re.findall(r"mean +([\d.]+) +([\d.]+)\n", said["why-not-mse"])
    assert means == [("0.807", "1.378"), ("0.340", "0.639")]
    assert "0.54 for the first classifier is the loss of one row; the mean is 0.807" in said["why-not-mse"]
    assert all(re.search(r"^Seen: .+\.$", text, re.M) for text in said.values())
    assert re.search(r"log\(softmax\) is infinite in [23]\.\d% of the draws", said["numerical-stability"])
    assert re.search(r"\b89 +inf +89 +89\b", said["numerical-stability"])
    assert re.search(r"\b104 +inf +inf +104\b", said["numerical-stability"])
    exact = dict(event_reader.series(tmp_path / "numerical-stability", "loss/cross_entropy"))
    assert exact[1000] == 1000


def test_the_worked_examples_take_values(tmp_path: Path) -> None:
    said = lessons("bce-by-hand", "1:0.2", "0:0.9", "1:0", "--logdir", tmp_path, "--sink", "tensorboard").output
    for row in (r"1 +0\.2 +1\.6094", r"0 +0\.9 +2\.3026", r"1 +0 +inf", "mean +inf"):
        assert re.search(row, said)
    assert "Seen: predicting 0 for label 1 costs the most, inf; 0.2 for label 1 the least, 1.6094." in said
    said = lessons("entropy", "0.5,0.5", "1/3", "--logdir", tmp_path, "--sink", "tensorboard").output
    assert "'1/3' is not a list of probabilities, such as 0.1,0.2,0.7" in said
    said = lessons("entropy", "0.5,0.25,0.25", "--logdir", tmp_path, "--sink", "tensorboard").output
    assert re.search(r"0\.5, 0\.25, 0\.25 +1\.5000\n", said)
    assert "Seen: what sums to 1 has 1.5000 bits, never more than log₂" in said
    said = lessons("bce-by-hand", "1:0.2", "--logdir", tmp_path, "--sink", "tensorboard").output
    assert "Seen: predicting 0.2 for label 1 costs 1.6094." in said


def test_the_slides_numbers_are_beside_the_runs(tmp_path: Path) -> None:
    sink = ["--logdir", tmp_path, "--sink", "tensorboard"]
    said = lessons("lecture-lab", "--as-on-the-slide", *sink)
    assert said.exit_code == 0, said.output
    assert len(re.findall(r"^ *\d+ +(0\.\d{6}) +\1$", said.output, re.M)) == 11
    assert "all 11 published numbers are those of the run, to the last digit" in said.output
    said = lessons("hours", "--as-on-the-slide", *sink)
    assert said.exit_code == 0, said.output
    z = [-0.76751917 * hours - 0.31732264 for hours in (1, 2, 3, 4)]
    first = sum(math.log1p(math.exp(-value if passed else value)) for value, passed in zip(z, (0, 0, 1, 1))) / 4
    printed = re.search(r"^ +0  (\d\.\d{7}) ", said.output, re.M)
    assert printed is not None
    assert float(printed[1]) == pytest.approx(first, rel=1e-6)
    assert "Seen: the first 11 losses are those of the same steps in double precision, to 1e-06" in said.output
    for kind, holds in ((RunResult, True), (Shifted, False)):
        runs = {name: kind({}, tmp_path / "hours" / name) for name in ("hours", "hours3")}
        assert FINDINGS["hours"](runs).holds is holds
    said = lessons("lecture-lab", "--as-on-the-slide", "--epochs", 200, *sink)
    assert said.exit_code == 0
    assert "Not seen this time: the cost is 0.693147 at epoch 0, 0.134722 at epoch 100." in said.output


def test_a_lesson_that_does_not_show_what_it_should_fails() -> None:
    """The findings are assertions: with other runs they do not hold."""
    results = {name: RunResult({"test/accuracy": 0.5, "test/loss": 2.0}, Path("none")) for name in LESSONS["mlp"].runs}
    assert not FINDINGS["mlp"](results).holds
    results = {
        name: RunResult({"test/accuracy": 0.5, "test/loss": 2.0}, Path("none")) for name in LESSONS["init-matters"].runs
    }
    assert not FINDINGS["init-matters"](results).holds
    other = published.lecture_lab({"lecture-lab": Always(0.5)}, None)  # type: ignore[dict-item]
    assert (other.numbers, other.differences) == (11, 11)
    assert "differs" in other.text


class Shifted(RunResult):
    """A run whose losses are not quite right."""

    def series(self, tag: str) -> dict[int, float]:
        return {step: value + 1e-5 * (tag == "train/loss") for step, value in super().series(tag).items()}


class Always:
    """A result with the same value at every step."""

    def __init__(self, value: float) -> None:
        self.value = value

    def series(self, _tag: str) -> dict[int, float]:
        return dict.fromkeys(range(0, 1001, 100), self.value)


def test_all_lessons_run_after_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {name: LESSONS[name] for name in ("bce-by-hand", "lecture-lab", "diabetes")}
    monkeypatch.setattr(catalogue, "LESSONS", chosen)
    monkeypatch.setattr("runners.course.lessons.LESSONS", chosen)
    said = lessons("all", "--logdir", tmp_path, "--sink", "tensorboard", "--data", "digits")
    assert said.exit_code == 0, said.output
    assert "left out: it needs --csv FILE" in said.output
    assert "2 of 2 lessons have shown what they are about" in said.output


@pytest.mark.slow
def test_init_matters(tmp_path: Path) -> None:
    """The material's network: plain normal weights kill its outputs, Kaiming's do not."""
    assert (
        lessons(
            "init-matters", "--data", "digits", "--epochs", 10, "--logdir", tmp_path, "--sink", "tensorboard"
        ).exit_code
        == 0
    )
    (stuck, fine) = (
        event_reader.series(tmp_path / "init-matters" / run, "test/loss") for run in ("normal-0", "kaiming-0")
    )
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
    assert re.search(r"^ *4 +0\.9411 +0\.9411$", said.output, re.M)
    assert re.search(r"^ *60 +77\.21 +77\.21$", said.output, re.M)
    assert re.search(r"(3\d of|all) 38 published numbers are those of the run", said.output)


def test_a_groups_runs_share_a_window_a_metric_in_visdom(tmp_path: Path, visdom_server: VisdomServer) -> None:
    sinks = ["--sink", "tensorboard", "--sink", visdom_server.spec().rstrip("/")]
    said = lessons("cross-entropy-vs-mse", "--data", "digits", "--epochs", 2, "--logdir", tmp_path, *sinks)
    assert said.exit_code == 0, said.output
    assert {f"cross-entropy-vs-mse_{env}" for env in ("log", "mse", "comparison")} <= set(visdom_server.envs())
    windows = visdom_server.windows("cross-entropy-vs-mse_comparison")
    shown = windows["test/accuracy"]["content"]["data"]
    assert [trace["name"] for trace in shown] == ["log", "mse"]
    for trace in shown:
        wanted = event_reader.series(tmp_path / "cross-entropy-vs-mse" / trace["name"], "test/accuracy")
        assert trace["x"] == [step for step, _ in wanted]
        assert trace["y"] == pytest.approx([value for _, value in wanted])
    kept = {path.stem for path in (tmp_path / "cross-entropy-vs-mse" / "visdom").glob("*.json")}
    assert kept == {f"cross-entropy-vs-mse_{env}" for env in ("log", "mse", "comparison")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "'nothing' is not one of 'bce-by-hand', 'points', 'hours'"),
        (["diabetes"], "needs --csv FILE"),
        (["hours", "--csv", "x.csv"], "and no other, needs --csv FILE"),
        (["hours", "--data", "mnist"], "the lesson hours uses no images"),
        (["mlp", "--data", "cats"], "'cats' is not one of 'auto', 'mnist'"),
        (["mlp", "--epochs", "0"], "0 is not in the range x>=1"),
        (["bce-by-hand", "2:0.5"], "'2:0.5' is not a label and a probability, such as 1:0.2"),
        (["bce-by-hand", "1:1.5"], "'1:1.5' is not a label and a probability"),
        (["entropy", "0,0"], "'0,0' is not a list of probabilities"),
        (["heart", "1"], "the lesson heart takes none; these do: bce-by-hand and entropy"),
        (
            ["heart", "--as-on-the-slide"],
            "the lesson heart has no start of a slide; these do: hours, lecture-lab, and diabetes",
        ),
        (["all", "--as-on-the-slide"], "goes with one lesson"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_bad_input_is_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    said = lessons(*arguments, "--logdir", tmp_path, "--sink", "tensorboard")
    assert said.exit_code == 2
    assert re.fullmatch(r"Error: [^\n]+\n", said.stderr)
    assert says in said.stderr
