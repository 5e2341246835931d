"""The catalog of a log directory: what `run.json` files hold, in SQLite, so that a list need not read them again.

A catalog is a cache. Each row says what its files were like (`signatures.py`), and who reads it compares that. It is in
the user's cache, one for each machine and log directory, so it needs no permission to write to the log directory, and
no two machines lock the same file. It has no write-ahead log, whose shared memory does not work on network disks, and
does not wait for the disk: each row has a checksum instead. What cannot be opened or read is left out or made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION = 0x52554E02  # of the tables; another one is no catalog of ours
READ_TIMEOUT_S, WRITE_TIMEOUT_S = 1.0, 0.2  # for a lock; then without the catalog
UNUSED_S = 30 * 86400.0  # a catalog that was not used for this long is removed
TOUCHED_S = 86400.0
CHECKSUM_BYTES = 4
PAGE_BYTES = 2**14  # in smaller pages, rows of one to two kilobytes leave gaps
_decode = json.JSONDecoder().raw_decode
TABLES = (
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL, facts BLOB NOT NULL)",
    "CREATE TABLE contents (id INTEGER PRIMARY KEY, part0 BLOB NOT NULL, part1 BLOB NOT NULL, part2 BLOB NOT NULL)",
)


class CatalogRow(NamedTuple):
    """A directory of the log directory.

    Attributes:
        facts: what is known of it, as JSON has it.
        parts: pieces of JSON about its run; none for another directory; None for one that was not asked for.
    """

    facts: Any
    parts: Sequence[bytes | None] = ()


class Catalog:
    """The catalog of one log directory. Nothing raises: without it, everything is read anew."""

    def __init__(self, logdir: str) -> None:
        """Find the place of the catalog; nothing is opened yet."""
        import platformdirs

        key = f"{os.uname().nodename}\0{os.path.realpath(logdir)}"
        name = hashlib.blake2b(os.fsencode(key), digest_size=12).hexdigest()
        self.path = platformdirs.user_cache_path("training-monitor", False) / "catalogs" / f"{name}.sqlite"

    def read(self, parts: int) -> dict[str, CatalogRow]:
        """Return the rows by the paths of their directories below the log directory, with the first `parts` of each.

        Blocks for a second at most while another process writes.
        """
        if not self._is_ours():
            return {}
        columns = "".join(f", part{number}" for number in range(parts))
        query = f"SELECT path, facts{columns} FROM folders" + " LEFT JOIN contents USING (id)" * bool(parts)
        try:
            with closing(self._connect(READ_TIMEOUT_S)) as connection:
                if not _version(connection):
                    return {}
                return dict(_checked(connection.execute(query)))
        except sqlite3.Error as error:
            self._remove_damaged(error)
        except OSError:
            pass
        return {}

    def write(self, rows: Iterable[tuple[str, CatalogRow]], gone: Iterable[str]) -> bool:
        """Replace rows, and remove those of the directories that are gone; tell whether that was done.

        If another process is writing, nothing is done.
        """
        try:
            self._make()
            if not self._is_ours():
                return False
            with closing(self._connect(WRITE_TIMEOUT_S)) as connection:
                connection.execute(f"PRAGMA page_size={PAGE_BYTES}")  # of a new file
                connection.execute("BEGIN IMMEDIATE")
                if not _version(connection):
                    for statement in TABLES:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={VERSION}")
                encoded = sorted((_encoded(path, row) for path, row in rows), key=lambda row: row[0])
                connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (row[:3] for row in encoded))
                contents = ((row[0], *row[3:]) for row in encoded if len(row) > 3)
                connection.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?)", contents)
                removed = [(_id(os.fsencode(path)),) for path in gone]
                for table in ("folders", "contents"):
                    connection.executemany(f"DELETE FROM {table} WHERE id = ?", removed)
                connection.execute("COMMIT")
            return True
        except sqlite3.Error as error:
            self._remove_damaged(error)
        except (OSError, TypeError, ValueError):  # the last two for settings of other programs that JSON cannot hold
            pass
        return False

    def _connect(self, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=timeout, isolation_level=None)
        try:
            for setting in ("trusted_schema=OFF", "cell_size_check=ON", "synchronous=OFF"):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_ours(self) -> bool:
        """Tell whether there is a file that nobody else can have written; note that it is used."""
        try:
            found = self.path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                return False
            if abs(time.time() - found.st_mtime) > TOUCHED_S:
                os.utime(self.path)
        except OSError:
            return False
        return True

    def _make(self) -> None:
        """Make the file for this user alone, because a `run.json` may be; remove catalogs that nobody uses."""
        if os.path.lexists(self.path):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for file in self.path.parent.glob("*.sqlite"):
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > UNUSED_S:
                    _remove(file)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _remove_damaged(self, error: sqlite3.Error) -> None:
        """Remove a file that is no catalog; one that is locked, or on a full disk, is left as it is."""
        is_damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if is_damaged or "no such" in str(error):
            with suppress(OSError):
                _remove(self.path)


def _remove(file: Path) -> None:
    for suffix in ("-journal", "-wal", "-shm", ""):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def _version(connection: sqlite3.Connection) -> int:
    """Return the version of a catalog, 0 for one that is empty. Raises `DatabaseError` if it is another database."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    if (version, tables) not in ((VERSION, [("contents",), ("folders",)]), (0, [])):
        raise sqlite3.DatabaseError("it is not a catalog")
    return int(version)


def _id(path: bytes) -> int:
    """Return the key of a row, which needs no second index; of two paths with the same one, the newer has a row."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest(), "big", signed=True)


def _sealed(text: bytes, *about: bytes) -> bytes:
    """Return a text behind a checksum of it and of what it is about."""
    checksum = 0
    for piece in (*about, text):
        checksum = zlib.crc32(piece, checksum)
    return checksum.to_bytes(CHECKSUM_BYTES, "big") + text


def _encoded(path: str, row: CatalogRow) -> tuple[Any, ...]:
    key = os.fsencode(path)
    facts = _sealed(json.dumps(row.facts, separators=(",", ":")).encode(), key)
    return _id(key), key, facts, *(_sealed(part, facts) for part in row.parts if part is not None)


def _checked(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[str, CatalogRow]]:
    """Yield the rows that are as they were written; without their contents if those are not."""
    crc32 = zlib.crc32
    for path, facts, *parts in rows:
        try:
            if crc32(facts[CHECKSUM_BYTES:], crc32(path)).to_bytes(CHECKSUM_BYTES, "big") != facts[:CHECKSUM_BYTES]:
                continue
            about, found = crc32(facts), []
            for part in parts:
                text = (part or b"")[CHECKSUM_BYTES:]
                is_good = text and crc32(text, about).to_bytes(CHECKSUM_BYTES, "big") == part[:CHECKSUM_BYTES]
                found.append(text if is_good else None)
            yield (
                path.decode("utf-8", "surrogateescape"),
                CatalogRow(_decode(facts[CHECKSUM_BYTES:].decode())[0], found),
            )
        except (AttributeError, TypeError, ValueError):
            continue
