"""The table of faults in `docs/guarantees.md`: written by tests, complete, and without a loss where none is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.soak.plan import ENDS
from tests.benchmarks.soak.plan import FAULTS as SOAKED
from tests.support import fault_records
from tests.support.fault_records import FAULTS, NOT_PROMISED, SOAK_NAMES, Record

if TYPE_CHECKING:
    from tests.support.fault_records import RecordFault

E2E = Path(__file__).parent / "e2e"


def test_the_table_has_every_fault_that_is_tested() -> None:
    page = fault_records.PAGE.read_text()
    assert list(fault_records.rows(page)) == list(FAULTS)
    assert [how for how in FAULTS.values() if f"| {how} |" not in page] == []


def test_the_table_has_no_losses_where_none_are_allowed() -> None:
    rows = fault_records.rows(fault_records.PAGE.read_text())
    assert [row for name, row in rows.items() if row.lost and name not in NOT_PROMISED] == []
    assert [row for row in rows.values() if not row.times or not row.logged] == []


def test_every_fault_in_the_list_is_done() -> None:
    soaked = {SOAK_NAMES.get(name, name) for name in (*SOAKED, *ENDS)}
    sources = "".join(path.read_text() for path in E2E.glob("test_*.py"))
    assert [name for name in FAULTS if name not in soaked and f'"{name}"' not in sources] == []
    assert set(SOAK_NAMES) <= {*SOAKED, *ENDS}
    assert set(FAULTS) >= NOT_PROMISED


def test_records_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_fault: RecordFault) -> None:
    monkeypatch.setenv(fault_records.VARIABLE, str(tmp_path / "faults.jsonl"))
    record_fault("SIGKILL", logged=1000, found=1000, times=3)
    record_fault("SIGKILL", logged=500, found=490)
    with pytest.raises(KeyError, match="lightning"):
        record_fault("lightning", logged=1, found=1)
    records = [Record(**json.loads(line)) for line in (tmp_path / "faults.jsonl").read_text().splitlines()]
    page = f"{fault_records.BEGIN}\n\n{fault_records.table(records)}\n\n{fault_records.END}"
    assert fault_records.rows(page) == {"SIGKILL": Record("SIGKILL", 4, 1500, 10)}
