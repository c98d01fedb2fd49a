"""Workers for each area, one after another: numbers handed out, endings counted, the dead replaced."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

WALL_SECONDS = 60
"""A case that has taken no processor time for so long waits for something: that is a finding."""
_ENDLESS = f"waits for something: no processor time within {WALL_SECONDS} s"
CASES_A_WORKER = 1000
"""A worker is replaced after so many, so that what libraries keep does not add up."""
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ending:
    """How a case ended.

    Args:
        number: of the case.
        kind: `result`, `refusal`, `finding`, or `broken` where the case itself could not be made.
        said: the error, or a traceback.
    """

    number: int
    kind: str
    said: str

    @property
    def likeness(self) -> str:
        """What is the same in findings of one cause: the last place in rs2sam, and the kind of error."""
        places = re.findall(r'File "[^"]*?src/(rs2sam/[^"]+)", line (\d+)', self.said)
        if self.said.startswith(_ENDLESS):
            return _ENDLESS
        last = re.sub(r"\d+|'[^']*'|/\S+", "#", self.said.strip().rpartition("\n")[2])[:120]
        return f"{':'.join(places[-1]) if places else '-'} {last}"


@dataclass
class Tally:
    """Counts of an area."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    findings: list[Ending] = field(default_factory=list)

    def add(self, ending: Ending) -> None:
        """Count an ending."""
        self.counts[ending.kind] += 1
        if ending.kind == "refusal":
            self.refusals[re.sub(r"\d+|'[^']*'|`[^`]*`|/\S+", "#", ending.said)[:90]] += 1
        elif ending.kind != "result":
            self.findings.append(ending)


def run_area(
    area: str,
    numbers: Iterable[int],
    seed: str,
    models: Path,
    told: Callable[[Ending], None],
    keep: Path | None = None,
) -> Tally:
    """Try cases of an area.

    Args:
        area: its name, a module of `fuzz.areas`; with a dot, any module.
        numbers: of the cases.
        seed: of all cases.
        models: see `standin.make_models`.
        told: receives every ending.
        keep: a folder in which what the last case made up stays; None: nothing stays.
    """
    tally, waiting = Tally(), list(numbers)[::-1]
    with suppress(KeyboardInterrupt):  # what was counted is told
        while waiting:
            with _root(keep) as root, _Worker(area, seed, root, models) as worker:
                for _ in range(CASES_A_WORKER):
                    if not waiting:
                        break
                    ending = worker.ending_of(waiting.pop())
                    tally.add(ending)
                    told(ending)
                    if worker.is_over:
                        break
    return tally


class _Worker:
    """A process of `fuzz.worker`."""

    def __init__(self, area: str, seed: str, root: Path, models: Path) -> None:
        self._stderr = (root / "stderr.txt").open("w+b")
        box = root / "box"
        environment = {
            **os.environ,
            "TMPDIR": str(box / "tmp"),
            "HOME": str(box / "home"),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")]),
        }
        for name in ("tmp", "home"):
            (box / name).mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.worker", area, seed, str(box), str(models)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,
        )
        self._answers = _lines(self._process)
        self.is_over = False

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def ending_of(self, number: int) -> Ending:
        """Have a case tried."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._died(number)
        for line in self._answers:
            answer = json.loads(line)
            if answer.get("ended") == number:
                return Ending(number, answer["kind"], answer["said"])
        return self._died(number)

    def _died(self, number: int) -> Ending:
        """What is said of a case that ended its process, or never ends."""
        self.is_over = True
        if self._process.poll() is None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGUSR1)  # it writes down where it is
                time.sleep(1)
                os.killpg(self._process.pid, signal.SIGKILL)
                return Ending(number, "finding", f"{_ENDLESS}; {self._last_words()}")
        code = self._process.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        cause = "more than its processor time" if name == "SIGPROF" else "the process ended"
        return Ending(number, "finding", f"{self._last_words()}\n{cause}: {name}")

    def _last_words(self) -> str:
        """The end of the process's stderr."""
        self._stderr.seek(0)
        return self._stderr.read()[-4000:].decode("utf-8", "replace")


@contextmanager
def _root(keep: Path | None) -> Iterator[Path]:
    """The folder of a worker."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="rs2sam-fuzz-") as root:
        yield Path(root)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Lines of a process's stdout, until it ends, or neither says nor does anything for too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        pending, used = b"", -1
        while True:
            if not selector.select(WALL_SECONDS):
                before, used = used, _processor_time(process.pid)
                if used == before:
                    return
                continue
            read = os.read(process.stdout.fileno(), 1 << 16)
            if not read:
                return
            *whole, pending = (pending + read).split(b"\n")
            yield from whole


def _processor_time(pid: int) -> int:
    """Processor time of a process, in ticks of the system's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def models_folder(*, with_torch: bool) -> Iterator[Path]:
    """The stand-in models, for as long as they are needed."""
    from fuzz.standin import make_models

    with tempfile.TemporaryDirectory(prefix="rs2sam-fuzz-models-") as folder:
        make_models(Path(folder), with_torch=with_torch)
        yield Path(folder)
