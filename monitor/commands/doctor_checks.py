"""Can a training run here? Each check is a line: ok, a warning, or a failure, with what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, NamedTuple

from monitor.network import is_tensorboard, is_visdom, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

OK, WARNING, FAILURE = "ok", "warning", "failure"
DISTRIBUTION = "training-monitor"
MIN_FREE_BYTES = 200 * 2**20  # bytes of disk below which a run may not fit
LOW_FREE_BYTES = 2 * 2**30  # bytes of disk below which many will not
DEFAULT_PORTS = {"Visdom": 8097, "TensorBoard": 6006}


class Finding(NamedTuple):
    """One line: `remedy` says what to do where it is not ok."""

    level: str
    subject: str
    message: str
    remedy: str = ""


def examine(logdir: Path, data_dir: Path, ports: Mapping[str, int] = DEFAULT_PORTS) -> Iterator[Finding]:
    """Yield what is found, as it is found; `ports` are Visdom's and TensorBoard's. Takes seconds."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _torch,
        lambda: _disk(logdir),
        _assets,
        lambda: _ports(ports),
        lambda: _data(data_dir),
    )
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # a check that breaks must not hide the others
            yield Finding(WARNING, "doctor", f"a check ended with {type(error).__name__}: {error}", "report it")


def _python() -> Iterator[Finding]:
    yield Finding(OK, "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Finding]:
    """Compare what is installed with what the package asks for."""
    from packaging.requirements import Requirement

    try:
        yield Finding(OK, DISTRIBUTION, version(DISTRIBUTION))
        requirements = [Requirement(text) for text in requires(DISTRIBUTION) or []]
    except PackageNotFoundError:
        yield Finding(FAILURE, DISTRIBUTION, "is not installed", "pip install . in its checkout")
        return
    problems = 0
    for requirement in requirements:
        extra = "" if requirement.marker is None or requirement.marker.evaluate({"extra": ""}) else _extra(requirement)
        if extra not in ("", "visdom"):
            continue
        remedy = (
            f"pip install '{DISTRIBUTION}[visdom]'"
            if extra
            else f"pip install '{requirement.name}{requirement.specifier}'"
        )
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            problems += 1
            yield Finding(WARNING if extra else FAILURE, requirement.name, "is not installed", remedy)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            problems += 1
            message = f"{installed} is not {requirement.specifier}"
            yield Finding(WARNING if extra else FAILURE, requirement.name, message, remedy)
    if not problems:
        yield Finding(OK, "packages", "all there, the extra visdom included")


def _extra(requirement: object) -> str:
    marker = getattr(requirement, "marker", None)
    return next((extra for extra in ("visdom", "test") if marker.evaluate({"extra": extra})), "none") if marker else ""


def _torch() -> Iterator[Finding]:
    """Load torch and torchvision, which must be of one build, and look for a GPU."""
    try:
        import torch
        import torchvision
    except Exception as error:  # a wrong pair fails in many ways
        reason = " ".join(str(error).split())[:160]
        yield Finding(FAILURE, "torch", f"cannot be loaded: {reason}", "install matching torch and torchvision")
        return
    yield Finding(OK, "torch", f"{torch.__version__}, torchvision {torchvision.__version__}")
    cores = os.cpu_count() or 1
    if torch.cuda.is_available():
        try:
            torch.zeros(1, device="cuda").item()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            yield Finding(FAILURE, "GPU", f"cannot be used: {reason}", "train with --device cpu, or mend the driver")
            return
        yield Finding(OK, "GPU", ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())))
    else:
        yield Finding(OK, "GPU", f"none that torch can use; {cores} cores, {torch.get_num_threads()} threads")


def _disk(logdir: Path) -> Iterator[Finding]:
    """Try to write where runs go."""
    existing = next(path for path in (logdir, *logdir.absolute().parents) if path.exists())
    subject = f"runs in {logdir}"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        yield Finding(FAILURE, subject, f"cannot be written: {error.strerror or error}", "name another with --logdir")
        return
    free = shutil.disk_usage(existing).free
    message = f"{free / 2**30:.1f} GiB free"
    if free < MIN_FREE_BYTES:
        yield Finding(FAILURE, subject, message, "make room, or name another place with --logdir")
    elif free < LOW_FREE_BYTES:
        yield Finding(WARNING, subject, message, "make room: checkpoints and pictures add up")
    else:
        yield Finding(OK, subject, message)


def _assets() -> Iterator[Finding]:
    """Look for the files of Visdom's page."""
    if importlib.util.find_spec("visdom") is None:
        return
    from monitor.dashboards.assets import cache_dir, verify

    state = verify(cache_dir())
    bad = [*state.bad, *state.missing]
    if bad:
        remedy = "monitor assets fetch; runs do so by themselves, with npm"
        if shutil.which("npm") is None:
            remedy = "there is no npm: monitor assets fetch --from FILE.zip, of another machine's monitor assets export"
        yield Finding(WARNING, "Visdom's page", f"{len(bad)} of its files are missing or damaged", remedy)
    else:
        yield Finding(OK, "Visdom's page", f"{len(state.good)} files in {cache_dir()}")


def _ports(ports: Mapping[str, int]) -> Iterator[Finding]:
    """See what listens where the dashboards would."""
    is_ours = {"Visdom": is_visdom, "TensorBoard": is_tensorboard}
    for name, port in ports.items():
        subject = f"{name}'s port {port}"
        url = f"http://127.0.0.1:{port}"
        if not listens("127.0.0.1", port):
            yield Finding(OK, subject, "free; runs start a server")
        elif is_ours[name](url):
            yield Finding(OK, subject, f"a {name} answers at {url}")
        else:
            yield Finding(WARNING, subject, "taken by something else", "none needed: runs take another port")


def _data(data_dir: Path) -> Iterator[Finding]:
    """See whether MNIST is there, or the digits that stand in for it."""
    raw = data_dir / "MNIST" / "raw"
    parts = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    missing = [part for part in parts if not any((raw / (part + end)).is_file() for end in ("", ".gz"))]
    if not missing:
        yield Finding(OK, "MNIST", f"in {data_dir}")
        return
    stand_in = importlib.util.find_spec("sklearn") is not None
    message = f"not in {data_dir}; the first run downloads it" + (", or trains on scikit-learn's digits" * stand_in)
    yield Finding(WARNING if stand_in else FAILURE, "MNIST", message, "--data-dir FOLDER, or --mnist-mirror URL")
