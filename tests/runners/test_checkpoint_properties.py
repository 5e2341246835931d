"""Whatever a checkpoint holds, it resumes or is refused in one line, before anything is written; it never runs code."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.cli import main
from monitor.events import summaries
from monitor.events.framing import frame
from runners.training.checkpointing import checkpoints
from runners.training.checkpointing.checkpoint_file import digest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = int(os.environ.get("MONITOR_FUZZ", "300"))  # `make fuzz` sets it
fuzz = settings(
    max_examples=max(1, EXAMPLES // 15), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
STEP = 2  # of the checkpoint that the examples change


def train(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "logistic", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with checkpoints, made once."""
    folder = tmp_path_factory.mktemp("finished")
    done = train("--data", "lecture-lab", "--epochs", 3, "--optimizer", "adam", "--scheduler", "step", "--sink",
                 "tensorboard", "--checkpoint-every", "epoch", "--logdir", folder, "--name", "a")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "a"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def contents_of(run: Path) -> dict[str, Any]:
    file = next(file for file in checkpoints.list_checkpoints(run / "checkpoints") if f"{STEP:012d}" in file.name)
    contents: dict[str, Any] = torch.load(file, weights_only=True)
    return contents


def saved(contents: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return buffer.getvalue()


def resume_from(finished: Path, scratch: Path, data: bytes) -> Result:
    """Resume a copy of the run whose newest checkpoint is `data`; a refusal must be a line and change nothing."""
    run = scratch / "a"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(finished, run)
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    name = f"step-{STEP:012d}-{digest(data)}.pt"
    (run / "checkpoints" / name).write_bytes(data)
    (file,) = run.glob("*tfevents*")
    with file.open("ab") as opened:
        opened.write(frame(summaries.checkpoint(name, STEP, 1.0).SerializeToString()))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = train("--resume", run, "--trust-options", "--sink", "tensorboard", "--logdir", scratch)
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    if result.exit_code:
        assert result.exit_code == 2, result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    return result


def test_the_checkpoint_itself_resumes(finished: Path, scratch: Path) -> None:
    assert resume_from(finished, scratch, saved(contents_of(finished))).exit_code == 0


@st.composite
def damage(draw: Callable[[Any], Any]) -> list[tuple[float, int, bytes]]:
    """Return places in a file, from 0 to 1, how many bytes go there, and which ones come."""
    change = st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8))
    changes: list[tuple[float, int, bytes]] = draw(st.lists(change, min_size=1, max_size=4))
    return changes


@fuzz
@given(damage())
def test_damaged_bytes(finished: Path, scratch: Path, changes: list[tuple[float, int, bytes]]) -> None:
    data = bytearray(saved(contents_of(finished)))
    for place, length, new in changes:
        start = int(place * len(data))
        data[start : start + length] = new
    resume_from(finished, scratch, bytes(data))


@fuzz
@given(damage())
def test_damaged_pickles_in_a_whole_archive(
    finished: Path, scratch: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    def change(pickled: bytes) -> bytes:
        data = bytearray(pickled)
        for place, length, new in changes:
            start = int(place * len(data))
            data[start : start + length] = new
        return bytes(data)

    resume_from(finished, scratch, with_pickle(saved(contents_of(finished)), change))


def with_pickle(archive: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return a checkpoint's archive with another pickle in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            new.writestr(part.filename, change(data) if part.filename.endswith("data.pkl") else data)
    return out.getvalue()


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats() | st.text(max_size=4)
    | st.builds(torch.zeros, st.lists(st.integers(0, 3), max_size=2)),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3) | st.integers(0, 2), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all parts of a checkpoint, which may contain itself."""
    if len(path) > 5:
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, item in items for place in places(item, (*path, key))]


def parent_of(contents: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        contents = contents[key]
    return contents


# A checkpoint may well ask for more epochs; an example must not take them.
KEPT = {("options", "epochs"), ("config", "epochs"), ("at", "epoch")}


@fuzz
@given(st.data())
def test_other_values_in_the_place_of_its_own(finished: Path, scratch: Path, data: st.DataObject) -> None:
    contents = contents_of(finished)
    for _ in range(data.draw(st.integers(1, 3))):
        known = [place for place in places(contents) if place not in KEPT]
        place = data.draw(st.sampled_from(known))
        parent = parent_of(contents, place)
        action = data.draw(st.sampled_from(["replace", "remove", "swap", "add"]))
        if action == "replace":
            parent[place[-1]] = data.draw(plain)
        elif action == "remove":
            del parent[place[-1]]
        elif action == "add" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=4))] = data.draw(plain)
        else:
            other = data.draw(st.sampled_from(known))
            parent[place[-1]] = parent_of(contents, other)[other[-1]]
    try:
        archive = saved(contents)
    except RecursionError:  # a part was put into itself
        return
    resume_from(finished, scratch, archive)


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


@pytest.mark.parametrize("function", [os.system, exec, eval, Path.touch, os.mkdir, torch.load, shutil.rmtree, open])
def test_no_pickle_calls_a_function(finished: Path, scratch: Path, function: Any) -> None:
    marker = scratch / "marker"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    argument = {os.system: f"touch {marker}", exec: code, eval: code, open: str(marker), os.mkdir: str(marker)}
    arguments = (str(marker), "w") if function is open else (argument.get(function, marker),)
    contents = {**contents_of(finished), "extra": Calls(function, *arguments)}
    buffer = io.BytesIO()
    torch.save(contents, buffer, pickle_module=pickle)
    refused = resume_from(finished, scratch, buffer.getvalue())
    assert refused.exit_code == 2
    assert "Weights only load failed" in refused.stderr
    assert not marker.exists()


def test_a_small_file_that_unpacks_to_much_is_refused(finished: Path, scratch: Path) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({**contents_of(finished), "extra": torch.zeros(10**7)}))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    assert len(out.getvalue()) < 100_000
    assert "a part of it is compressed" in resume_from(finished, scratch, out.getvalue()).stderr
    wide = {**contents_of(finished), "extra": torch.zeros(1).expand(2**40)}
    assert "a tensor has more elements than are stored" in resume_from(finished, scratch, saved(wide)).stderr
    contents = contents_of(finished)
    contents["optimizer"]["state"][0]["exp_avg"] = torch.zeros(7)
    assert "does not fit its own config" in resume_from(finished, scratch, saved(contents)).stderr
