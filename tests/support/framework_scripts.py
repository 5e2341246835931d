"""Run a script of a framework's user in a new interpreter, alone or under torchrun."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Start

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run_script(
    start: Start, folder: Path, code: str, *launcher: str, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run `code` in `folder`; return its exit status and what it wrote to stderr. Blocks for at most 110 seconds."""
    (folder / "script.py").write_text(code)
    process = start(*launcher, "script.py", cwd=folder, fresh=True, env=environment)
    try:
        _, errors = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.terminate()  # so that torchrun ends its processes
        process.communicate(timeout=200)
        raise
    return int(process.returncode or 0), errors
