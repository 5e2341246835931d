"""`make soak`: a run logs without pause while its Visdom server is killed and started again, for minutes or hours.

At the end every point must be in the event file, in order, and every window whole. MONITOR_SOAK sets the minutes.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from monitor import Logger
from monitor.testing import wait_until
from tests.support import event_reader
from tests.support.servers import VisdomServer


def main() -> int:
    """Kill the server again and again; return 0 if nothing was lost."""
    minutes = float(os.environ.get("MONITOR_SOAK", "10"))
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("MONITOR_ASSETS_DIR", f"{folder}/assets")  # none are needed: no page is opened
        server = VisdomServer(Path(folder) / "envs")
        kills = step = 0
        end = time.monotonic() + 60 * minutes
        with Logger(f"{folder}/run", ["tensorboard", server.spec()], strict=True) as log:
            while time.monotonic() < end:
                until = time.monotonic() + chance.uniform(0.5, 5)
                while time.monotonic() < until:
                    for _ in range(100):
                        log.scalars({"train/loss": 1 / (step + 1), "test/loss": float(step % 7)}, step)
                        step += 1
                    time.sleep(0.01)
                server.stop()
                time.sleep(chance.uniform(0, 3))
                server.start()
                kills += 1
            wait_until(lambda: log.flush(1), 60, "delivery")
            windows = server.windows("run")
            stats = log.stats()
        server.stop()
        points = event_reader.series(Path(folder) / "run", "train/loss")
        assert [number for number, _ in points] == list(range(step)), "points are missing, doubled or out of order"
        assert {"train loss", "test loss", "config"} <= set(windows), sorted(windows)
        assert windows["train loss"]["content"]["data"][0]["x"][-1] == step - 1
        print(f"{kills} kills, {2 * step:,} scalars, nothing lost. {stats}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
