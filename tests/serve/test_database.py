"""Records of other versions: brought up to date, or refused in one line."""

from __future__ import annotations

import sqlite3

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.serve.database import VERSION, Database
from tests.serve.live import client, ended, send

FIRST_JOBS = """CREATE TABLE jobs (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, image TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL,
    repeat_key TEXT UNIQUE, done INTEGER NOT NULL DEFAULT 0, total INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT, result TEXT, created REAL NOT NULL, started REAL, finished REAL
)"""


def records(folder, *statements):
    """Run statements on the records of a folder, which no service has open."""
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / "serve.sqlite")
    with connection:
        found = [connection.execute(statement).fetchall() for statement in statements]
    connection.close()
    return found


def columns(folder):
    return [row[1] for row in records(folder, "PRAGMA table_info(jobs)")[0]]


def test_jobs_of_the_first_version_are_known_and_can_be_run(tmp_path, scene):
    state = tmp_path / "state"
    with client(state) as service:
        image = send(service, scene)
        job = ended(service, service.post("/v1/jobs", json={"image": image["id"], "sentences": ["red"]}).json())
    # As that version left it: the same rows without `resumed_at`, and a job that waits.
    kept = ", ".join(name for name in columns(state) if name != "resumed_at")
    records(
        state,
        "ALTER TABLE jobs RENAME TO newer",
        FIRST_JOBS,
        f"INSERT INTO jobs ({kept}) SELECT {kept} FROM newer",
        "DROP TABLE newer",
        "UPDATE jobs SET state = 'queued', done = 0, attempts = 0, result = NULL, started = NULL, finished = NULL",
        "PRAGMA user_version = 1",
    )
    assert "resumed_at" not in columns(state)
    with client(state) as service:
        assert ended(service, job)["state"] == "done"
    assert "resumed_at" in columns(state)
    assert records(state, "PRAGMA user_version") == [[(VERSION,)]]
    with client(state) as service:  # and that is no news the next time
        assert service.get(f"/v1/jobs/{job['id']}").json()["state"] == "done"


def refused(folder):
    """Why records are refused; the folder is free afterwards."""
    lines = []
    for _ in range(2):  # a lock that stayed would be another error
        with pytest.raises(InvalidInputError) as error:
            Database(folder)
        lines.append(str(error.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    assert "Choose another folder with --data" in lines[0] or "choose another" in lines[0]
    return lines[0]


def test_records_of_a_newer_version_are_refused_and_stay_as_they_are(tmp_path):
    Database(tmp_path).close()
    records(tmp_path, "ALTER TABLE jobs ADD COLUMN later TEXT", f"PRAGMA user_version = {VERSION + 1}")
    assert f"newer version of the service (records {VERSION + 1}, known here: up to {VERSION})" in refused(tmp_path)
    assert records(tmp_path, "PRAGMA user_version") == [[(VERSION + 1,)]]
    assert "later" in columns(tmp_path)


def test_tables_of_somebody_else_are_refused_and_stay_as_they_are(tmp_path):
    records(tmp_path, "CREATE TABLE jobs (id TEXT, title TEXT)", "INSERT INTO jobs VALUES ('1', 'baker')")
    assert "lack attempts, created, done" in refused(tmp_path)
    assert records(tmp_path, "SELECT * FROM jobs") == [[("1", "baker")]]
    assert columns(tmp_path) == ["id", "title"]
    assert records(tmp_path, "SELECT name FROM sqlite_master WHERE name = 'images'") == [[]]


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "serve.sqlite").write_bytes(b"no database " * 400)
    assert "cannot be read" in refused(tmp_path)
    assert (tmp_path / "serve.sqlite").read_bytes() == b"no database " * 400
