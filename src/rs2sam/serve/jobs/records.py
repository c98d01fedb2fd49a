"""What is known of jobs, in SQLite: every change is one transaction, so a kill leaves a state that makes sense."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

from rs2sam.serve.database import Database, as_json, from_json
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.settings import Limits

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED = ("done", "failed", "cancelled")
_LISTED = 100


@dataclass(frozen=True)
class JobRecord:
    """What is known of a job.

    Args:
        id: of the job.
        image_id: of the image.
        state: how far it has come.
        request: sentences, options, outputs, as they were sent.
        done: views answered.
        total: views in all; None before it is known.
        attempts: times that it was begun without getting on.
        error: the problem that it ended with.
        result: the content of `result.json`.
        created: seconds since 1970.
        started: the same, of the first begin.
        finished: the same.
    """

    id: str
    image_id: str
    state: JobState
    request: dict[str, Any]
    done: int
    total: int | None
    attempts: int
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    created: float
    started: float | None
    finished: float | None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINISHED


class JobRecords:
    """All jobs of a service.

    Args:
        database: where they are.
        limits: of the service.
    """

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits

    def add(self, image_id: str, request: dict[str, Any], repeat_key: str | None) -> tuple[JobRecord, bool]:
        """A new job, or the one that was made with the same key before; and whether it is new.

        Raises:
            ProblemError: as many as are taken on wait, the image is not there, or the key is of another request.
        """
        text = as_json(request)
        with self._database.transaction() as connection:
            if repeat_key is not None:
                row = connection.execute("SELECT * FROM jobs WHERE repeat_key = ?", (repeat_key,)).fetchone()
                if row is not None:
                    if row["request"] != text or row["image"] != image_id:
                        raise ProblemError(
                            "conflict", "This Idempotency-Key was used for another request. Use a new one."
                        )
                    return _record(dict(row)), False
            waiting = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= self._limits.jobs:
                raise ProblemError(
                    "busy", f"{waiting} jobs wait, as many as are taken on. Send it later.", retry_after=30
                )
            if connection.execute("SELECT 1 FROM images WHERE id = ?", (image_id,)).fetchone() is None:
                raise ProblemError(
                    "not-found", f"There is no image {image_id[:80]!r}. It may have expired: send it again."
                )
            number = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM jobs").fetchone()[0]
            job_id = f"j_{secrets.token_urlsafe(12)}"
            connection.execute(
                "INSERT INTO jobs (id, number, image, state, request, repeat_key, created) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?)",
                (job_id, number, image_id, text, repeat_key, time.time()),
            )
        return self.get(job_id), True

    def get(self, job_id: str) -> JobRecord:
        """A job.

        Raises:
            ProblemError: there is no such job.
        """
        row = self._database.row("SELECT * FROM jobs WHERE id = ?", job_id)
        if row is None:
            raise ProblemError("not-found", f"There is no job {job_id[:80]!r}. It may have expired.")
        return _record(row)

    def newest(self) -> list[JobRecord]:
        """The newest jobs, the newest first."""
        return [_record(row) for row in self._database.rows("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", _LISTED)]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return {
            row["state"]: row["n"]
            for row in self._database.rows("SELECT state, count(*) AS n FROM jobs GROUP BY state")
        }

    def position(self, job_id: str) -> int | None:
        """How many jobs go before one that waits; None for one that does not."""
        row = self._database.row(
            "SELECT (SELECT count(*) FROM jobs AS other WHERE other.state IN ('queued', 'running') AND "
            "other.number < jobs.number) AS ahead FROM jobs WHERE id = ? AND state = 'queued'",
            job_id,
        )
        return None if row is None else int(row["ahead"])

    def begin_next(self) -> JobRecord | None:
        """Take the job that has waited longest; None where none waits."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1").fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, resumed_at = done, "
                "started = coalesce(started, ?) "
                "WHERE id = ?",
                (time.time(), row["id"]),
            )
        return self.get(row["id"])

    def requeue(self, job_id: str | None = None) -> None:
        """Have jobs that were running when the process ended run again, each in its old place.

        Args:
            job_id: a job that was interrupted on purpose, whose beginning does not count; None: after a kill, all.
        """
        if job_id is not None:
            statement = "UPDATE jobs SET state = 'queued', attempts = attempts - 1 WHERE id = ? AND state = 'running'"
            with self._database.transaction() as connection:
                connection.execute(statement, (job_id,))
            return
        error = as_json(
            ProblemError(
                "internal",
                f"The service ended {self._limits.attempts} times while it was at work on this job, so it is not tried "
                "again. Use smaller tiles or less memory, or look into the service's log.",
            ).as_dict()
        )
        with self._database.transaction() as connection:
            # What gets on is not to blame.
            connection.execute("UPDATE jobs SET attempts = 0 WHERE state = 'running' AND done > resumed_at")
            connection.execute(
                "UPDATE jobs SET state = 'failed', error = ?, finished = ? WHERE state = 'running' AND attempts >= ?",
                (error, time.time(), self._limits.attempts),
            )
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")

    def progress(self, job_id: str, done: int, total: int) -> None:
        """Note how far a job has come."""
        self._database.update("jobs", job_id, {"done": done, "total": total})

    def finish(self, job_id: str, state: JobState, *, error: Any = None, result: Any = None) -> bool:
        """Note a job's end; False where it has ended already."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = ?, error = ?, result = ?, finished = ? "
                "WHERE id = ? AND state IN ('queued', 'running')",
                (state, as_json(error), as_json(result), time.time(), job_id),
            ).rowcount
        return changed > 0

    def cancel_waiting(self, job_id: str) -> bool:
        """Cancel a job that waits; False where it does not."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'",
                (time.time(), job_id),
            ).rowcount
        return changed > 0

    def remove(self, job_id: str) -> None:
        """Forget a job that is finished."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')", (job_id,))

    def ids(self) -> set[str]:
        """Of all jobs."""
        return {row["id"] for row in self._database.rows("SELECT id FROM jobs")}

    def finished_before(self, moment: float) -> list[str]:
        """Jobs that were finished before a moment, the oldest first."""
        rows = self._database.rows("SELECT id FROM jobs WHERE finished < ? ORDER BY finished", moment)
        return [row["id"] for row in rows]


def _record(row: dict[str, Any]) -> JobRecord:
    """A row as a record."""
    return JobRecord(
        id=row["id"],
        image_id=row["image"],
        state=row["state"],
        request=from_json(row["request"]),
        done=row["done"],
        total=row["total"],
        attempts=row["attempts"],
        error=from_json(row["error"]),
        result=from_json(row["result"]),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
    )
