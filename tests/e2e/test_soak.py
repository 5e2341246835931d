"""A short soak, from a fixed seed: the faults that need neither root nor long."""

from __future__ import annotations

import pytest

from tests.benchmarks.soak.__main__ import soak

FAULTS = ("SIGKILL, then resumed", "Visdom killed", "network reset")


@pytest.mark.slow
@pytest.mark.xdist_group("timing")
def test_a_round_of_faults_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table, problems = soak(1.0, 320, FAULTS)
    assert problems == [], capsys.readouterr().out
    assert set(FAULTS) <= set(table)
    assert sum(findings.lost for found in table.values() for findings in found) == 0
    assert min(findings.logged for found in table.values() for findings in found) > 100
