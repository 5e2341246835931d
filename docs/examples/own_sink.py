"""A sink of your own: every scalar as one line of JSON.

python docs/examples/own_sink.py          # log with it
python -m pytest docs/examples/own_sink.py  # run the contract test
"""

import json
from collections.abc import Sequence
from typing import TextIO

from monitor import Logger, Record, Run, Scalar, Sink, testing


class JsonLines(Sink):
    """Append every scalar to `scalars.jsonl` in the run directory."""

    name = "jsonl"
    accepts = frozenset({Scalar})  # other record types are not even queued

    def __init__(self) -> None:  # must not touch network or disk
        self._file: TextIO | None = None

    def open(self, run: Run) -> None:
        """Open the file, or open it again after an `OSError`."""
        self._file = (run.path / "scalars.jsonl").open("a")

    def write(self, records: Sequence[Record]) -> None:
        """Take the records: local and quick."""
        for record in records:
            print(json.dumps(record._asdict()), file=self._file)

    def flush(self) -> None:
        """Make everything that was written visible."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Release the file; never delete data."""
        if self._file is not None:
            self._file.close()
            self._file = None


def main() -> None:
    """Log to TensorBoard and to the sink above."""
    with Logger("runs/own-sink", sinks=["tensorboard", JsonLines()]) as log:
        for step in range(10):
            log.scalar("train/loss", 1 / (step + 1), step)


class TestJsonLines(testing.SinkContract):
    """Check the sink against every rule of the contract, one test for each."""

    def make_sink(self) -> Sink:
        """Return a new sink."""
        return JsonLines()

    def read_back(self, records: Sequence[Record]) -> None:
        """Look for records where the sink wrote them."""
        lines = (self.run.path / "scalars.jsonl").read_text().splitlines()
        assert [json.loads(line)["value"] for line in lines] == [record.value for record in records]


if __name__ == "__main__":
    main()
