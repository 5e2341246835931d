"""The checks of `monitor doctor`. Each finding is ok, a warning, or a failure, with a remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, NamedTuple

from monitor.machine.network import (
    TENSORBOARD_PORT_VARIABLE,
    VISDOM_PORT_VARIABLE,
    is_tensorboard,
    is_visdom,
    listens,
    tensorboard_port,
    visdom_port,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

OK, WARNING, FAILURE = "ok", "warning", "failure"
DISTRIBUTION = "training-monitor"
EXTRA_LEVELS = {"runners": FAILURE, "visdom": WARNING}  # what a missing package of the extra is; others are ignored
PORT_VARIABLES = {"Visdom": VISDOM_PORT_VARIABLE, "TensorBoard": TENSORBOARD_PORT_VARIABLE}
MIN_FREE_BYTES = 200 * 2**20  # below this, a run may not fit
LOW_FREE_BYTES = 2 * 2**30  # below this, many runs may not fit


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        level: `OK`, `WARNING`, or `FAILURE`.
        subject: what was checked.
        message: what was found.
        remedy: what to do about it; empty if nothing needs to be done.
    """

    level: str
    subject: str
    message: str
    remedy: str = ""


def examine(logdir: Path, data_dir: Path, ports: Mapping[str, int] | None = None) -> Iterator[Finding]:
    """Run all checks and yield each finding at once. Blocks for some seconds.

    Args:
        logdir: where runs would be written.
        data_dir: where data sets are.
        ports: the ports of the dashboards, by name; by default those that runs use.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _check_python,
        _check_packages,
        _check_torch,
        lambda: _check_disk(logdir),
        _check_assets,
        lambda: _check_ports(ports or {"Visdom": visdom_port(), "TensorBoard": tensorboard_port()}),
        lambda: _check_data(data_dir),
    )
    reported: set[Finding] = set()  # that torch is missing is found twice
    for check in checks:
        try:
            for finding in check():
                if finding not in reported:
                    reported.add(finding)
                    yield finding
        except Exception as error:  # a check that crashes must not hide the others
            yield Finding(WARNING, "doctor", f"a check ended with {type(error).__name__}: {error}", "report it")


def _check_python() -> Iterator[Finding]:
    yield Finding(OK, "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")


def _check_packages() -> Iterator[Finding]:
    """Compare the installed packages with those that the metadata requires."""
    from packaging.requirements import Requirement

    try:
        yield Finding(OK, DISTRIBUTION, version(DISTRIBUTION))
        requirements = [Requirement(text) for text in requires(DISTRIBUTION) or []]
    except PackageNotFoundError:
        yield Finding(FAILURE, DISTRIBUTION, "is not installed", "pip install . in its checkout")
        return
    problems = 0
    for requirement in requirements:
        extra = _extra(requirement)
        message = "" if extra is None else _package_problem(requirement)
        if message:
            problems += 1
            remedy = _extra_remedy(extra) if extra else f"pip install '{requirement.name}{requirement.specifier}'"
            yield Finding(EXTRA_LEVELS[extra] if extra else FAILURE, requirement.name, message, remedy)
    if not problems:
        yield Finding(OK, "packages", f"all installed, with the extras {' and '.join(EXTRA_LEVELS)}")


def _extra(requirement: Requirement) -> str | None:
    """Return the extra that a requirement belongs to; empty if it is always required, None if it does not matter."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return ""
    return next((extra for extra in EXTRA_LEVELS if marker.evaluate({"extra": extra})), None)


def _extra_remedy(extra: str) -> str:
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def _package_problem(requirement: Requirement) -> str:
    """Tell what is wrong with an installed package; empty if nothing is."""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return "is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{installed} is not {requirement.specifier}"


def _check_torch() -> Iterator[Finding]:
    """Load torch and torchvision, whose builds must match, and look for a GPU."""
    if importlib.util.find_spec("torch") is None:
        yield Finding(FAILURE, "torch", "is not installed", _extra_remedy("runners"))
        return
    try:
        import torch
        import torchvision
    except Exception as error:  # builds that do not match fail in many ways
        reason = " ".join(str(error).split())[:160]
        yield Finding(FAILURE, "torch", f"cannot be loaded: {reason}", "install matching torch and torchvision")
        return
    yield Finding(OK, "torch", f"{torch.__version__}, torchvision {torchvision.__version__}")
    if not torch.cuda.is_available():
        cores = os.cpu_count() or 1
        yield Finding(OK, "GPU", f"none that torch can use; {cores} cores, {torch.get_num_threads()} threads")
        return
    try:
        torch.zeros(1, device="cuda").item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        yield Finding(FAILURE, "GPU", f"cannot be used: {reason}", "train with --device cpu, or repair the driver")
        return
    yield Finding(OK, "GPU", ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())))


def _check_disk(logdir: Path) -> Iterator[Finding]:
    """Try to write where runs are written."""
    folder = next(path for path in (logdir, *logdir.absolute().parents) if path.exists())
    subject = f"runs in {logdir}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        yield Finding(FAILURE, subject, f"cannot be written: {error.strerror or error}", "choose another with --logdir")
        return
    free_bytes = shutil.disk_usage(folder).free
    message = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < MIN_FREE_BYTES:
        yield Finding(FAILURE, subject, message, "free disk space, or choose another folder with --logdir")
    elif free_bytes < LOW_FREE_BYTES:
        yield Finding(WARNING, subject, message, "free disk space: checkpoints and images add up")
    else:
        yield Finding(OK, subject, message)


def _check_assets() -> Iterator[Finding]:
    """Look for the files that Visdom's page needs."""
    if importlib.util.find_spec("visdom") is None:
        return
    from monitor.dashboards.assets.cache import cache_dir, verify

    state = verify(cache_dir())
    bad = [*state.bad, *state.missing]
    if bad:
        remedy = "monitor assets fetch; with npm, runs do this by themselves"
        if shutil.which("npm") is None:
            remedy = (
                "install npm, or monitor assets fetch --from FILE.zip, from monitor assets export on another machine"
            )
        yield Finding(WARNING, "Visdom's page", f"{len(bad)} of its files are missing or damaged", remedy)
    else:
        yield Finding(OK, "Visdom's page", f"{len(state.good)} files in {cache_dir()}")


def _check_ports(ports: Mapping[str, int]) -> Iterator[Finding]:
    """Look at what listens on the ports of the dashboards."""
    is_dashboard = {"Visdom": is_visdom, "TensorBoard": is_tensorboard}
    for name, port in ports.items():
        url = f"http://127.0.0.1:{port}"
        if not listens("127.0.0.1", port):
            yield Finding(OK, name, f"port {port} is free; runs start a server there")
        elif is_dashboard[name](url):
            yield Finding(OK, name, f"port {port} is busy: a {name} server, which will be used")
        else:
            message = f"port {port} is busy: another program, so runs use the next free port"
            yield Finding(WARNING, name, message, f"none needed; {PORT_VARIABLES[name]} sets another port")


def _check_data(data_dir: Path) -> Iterator[Finding]:
    """Look for MNIST, or for the digits that replace it."""
    raw = data_dir / "MNIST" / "raw"
    parts = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    if all(any((raw / (part + end)).is_file() for end in ("", ".gz")) for part in parts):
        yield Finding(OK, "MNIST", f"in {data_dir}")
        return
    has_digits = importlib.util.find_spec("sklearn") is not None
    message = f"not in {data_dir}; the first run downloads it" + (", or trains on scikit-learn's digits" * has_digits)
    yield Finding(WARNING if has_digits else FAILURE, "MNIST", message, "--data-dir FOLDER, or --mnist-mirror URL")
