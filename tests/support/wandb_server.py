"""What W&B's own reader finds in a log: `wandb sync` reads it and sends the rows to a server of ours."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET = {
    "id": "id",
    "name": "run",
    "displayName": "run",
    "config": "{}",
    "project": {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}},
    "historyLineCount": 0,
}
HISTORY = "wandb-history.jsonl"


@contextmanager
def _server(lines: list[str]) -> Iterator[str]:
    """Serve as much of W&B's API as `wandb sync` needs; `lines` gets the rows of the history."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = json.loads(body)
            answer: dict[str, Any] = {}
            if self.path == "/graphql" and "upsertBucket" in request["query"]:
                answer = {"data": {"upsertBucket": {"bucket": BUCKET, "inserted": True}}}
            elif self.path == "/graphql":
                answer = {"errors": [{"message": "not here"}], "data": None}
            elif HISTORY in (request.get("files") or {}):
                lines.extend(request["files"][HISTORY]["content"])
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def synced_rows(run: Path, scratch: Path) -> list[dict[str, Any]]:
    """Return the rows of the history that `wandb sync` finds in a copy of the folder of a run."""
    copy = scratch / run.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    lines: list[str] = []
    with _server(lines) as url:
        environment = {**os.environ, "WANDB_BASE_URL": url, "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
        command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(copy)]
        subprocess.run(command, env=environment, cwd=scratch, timeout=200, check=True, capture_output=True)
    return [json.loads(line) for line in lines]
