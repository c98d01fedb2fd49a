"""What `rs2sam serve` does under load: latency, throughput, memory, and whether every request is answered.

    python -m benchmarks.serving.load                               # the model that ships, a drawn scene
    python -m benchmarks.serving.load --model DIR --image photo.tif --threads 2
    python -m benchmarks.serving.load --requests 20 --steady 100 --out /tmp/serving.json        # a rehearsal

The service runs as a process of its own, on loopback; the clients are threads of this one, which ask and throw away.
Every part has its share of `--seconds`; one that would take longer is cut short and says so (`is_cut_short`). However
this ends, the service ends with it. Figures:

- `second_sentence`: sentences after the first about one encoded image, one after another, as the client has them.
- `one_by_one`: the same sentences through Python (`EncodedImage.segment`) in a process without the service.
- `clients`: 1, 8 and 32 clients at once, each asking as soon as it was answered; latency, answers a second.
- `overload`: more clients than are taken on; each is answered, or told by 429 when to come again.
- `memory`: the service's resident memory while it answers `--steady` requests about several images.

Prints the results and writes them to benchmarks/results/serving.json.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.files import RESULTS, write_json
from benchmarks.serving.running import SENTENCES, Running, bounded, parser_of, process, service
from benchmarks.speed.segment import source_pixels, write_scene
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.client import Client

CLIENTS = (1, 8, 32)
OVERLOAD = 96
"""Clients at once, where 64 questions are taken on."""
STEADY_CLIENTS = 8
TIMEOUT_S = 90.0
"""The service itself gives a question up after 60 s."""

SECONDS = 230.0
SHARES = {"one_by_one": 0.06, "second_sentence": 0.06, "clients": 0.09, "overload": 0.11, "memory": 0.46}
"""Of all seconds, the most that a part asks for; `clients` at each of their numbers. The rest is for beginning."""


@dataclass
class Heard:
    """What clients were told.

    Args:
        seconds: of every request that was answered with 200.
        statuses: how many answers had which; "none" where there was no answer.
        without_moment: answers 429 that did not say when to come again.
        is_cut_short: whether time was over before all was asked.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    without_moment: int = 0
    is_cut_short: bool = False

    def summary(self, wall_s: float) -> dict[str, Any]:
        """Percentiles, answers a second, and how many had which status."""
        return {
            **percentiles(self.seconds),
            "answers_per_s": round(len(self.seconds) / wall_s, 2),
            "statuses": dict(sorted(self.statuses.items())),
            "unanswered": sum(count for status, count in self.statuses.items() if status not in ("200", "429"))
            + self.without_moment,
            "is_cut_short": self.is_cut_short,
        }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds: the median, the 90th and 99th of a hundred, the longest; nothing of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    at = {f"p{part}_ms": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] for part in (90, 99)}
    named = {"p50_ms": statistics.median(ordered), **at, "max_ms": ordered[-1]}
    return {name: round(1000 * value, 1) for name, value in named.items()}


class Asker:
    """One client with a connection of its own."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)

    def ask(self, image_id: str, sentence: str) -> tuple[int, str | None, bytes]:
        """One question; status, `Retry-After` and the answer."""
        body = json.dumps({"sentences": [sentence]})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/v1/images/{image_id}/segment", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def asked_by(
    num_clients: int, num_requests: int, url: str, images: Sequence[str], seconds: float
) -> tuple[Heard, float]:
    """Let clients ask until so many requests were answered, or time is over; what they heard and the seconds of all.

    A client that is told to come again does so after as long as it was told, and asks the same again.
    """
    heard, lock, numbers = Heard(), threading.Lock(), itertools.count()
    start = time.perf_counter()

    def work() -> None:
        asker = Asker(url)
        while (number := next(numbers)) < num_requests:
            if time.perf_counter() - start > seconds:
                heard.is_cut_short = True
                break
            _ask_until_answered(asker, images[number % len(images)], SENTENCES[number % len(SENTENCES)], heard, lock)
        asker.close()

    # Daemons: they must not keep a process going that was told to end.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(num_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard, time.perf_counter() - start


def _ask_until_answered(asker: Asker, image: str, sentence: str, heard: Heard, lock: threading.Lock) -> None:
    """Ask one thing, again where that is what is answered."""
    status = "429"
    while status == "429":
        start = time.perf_counter()
        try:
            code, moment, _ = asker.ask(image, sentence)
        except (OSError, http.client.HTTPException) as error:
            with lock:
                heard.statuses[f"none: {type(error).__name__}"] += 1
            asker.close()
            return
        took, status = time.perf_counter() - start, str(code)
        with lock:
            heard.statuses[status] += 1
            heard.without_moment += status == "429" and moment is None
            if status == "200":
                heard.seconds.append(took)
        if status == "429":
            time.sleep(float(moment or 1))


def memory(running: Running, num_requests: int, images: Sequence[str], seconds: float) -> dict[str, Any]:
    """Resident memory over many requests, read twenty times; flat where the second half adds nothing."""
    readings, counts, parts, is_cut_short = [], Counter[str](), 20, False
    until = time.perf_counter() + seconds
    for _ in range(parts):
        left = max(0.0, until - time.perf_counter())
        heard, _ = asked_by(STEADY_CLIENTS, num_requests // parts, running.url, images, left)
        counts.update(heard.statuses)
        is_cut_short |= heard.is_cut_short
        readings.append(round(running.memory_mib(), 1))
    later = readings[parts // 2 :]
    return {
        "requests": counts.total(),
        "clients": STEADY_CLIENTS,
        "images": len(images),
        "statuses": dict(sorted(counts.items())),
        "is_cut_short": is_cut_short,
        "resident_mib": readings,
        "growth_in_second_half_mib": round(statistics.mean(later[-3:]) - statistics.mean(later[:3]), 1),
    }


def one_by_one(model: str, scene: Path, threads: int | None, count: int, seconds: float) -> dict[str, Any]:
    """Seconds of sentences through Python; run in a process of its own, see `--one-by-one`."""
    from rs2sam import Segmenter

    encoded = Segmenter.load(model, threads=threads).encode(scene)
    encoded.segment(SENTENCES[0])
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < count and time.perf_counter() < until:
        start = time.perf_counter()
        encoded.segment(SENTENCES[(len(took) + 1) % len(SENTENCES)])
        took.append(time.perf_counter() - start)
    return {"sentences": len(took), **percentiles(took), "answers_per_s": round(len(took) / sum(took), 2)}


def _alone(arguments: argparse.Namespace, scene: Path) -> dict[str, Any]:
    """What `one_by_one` says in a process of its own."""
    again = [sys.executable, "-m", "benchmarks.serving.load", "--one-by-one", str(scene), "--model", arguments.model]
    again += ["--sentences", str(arguments.sentences), "--seconds", str(arguments.seconds)]
    again += [] if arguments.threads is None else ["--threads", str(arguments.threads)]
    with process(again, stdout=subprocess.PIPE) as started:
        said, _ = started.communicate()
    if started.returncode:
        raise SystemExit(f"Python without the service ended with {started.returncode}.")
    found: dict[str, Any] = json.loads(said)
    return found


def second_sentence(url: str, image: str, count: int, seconds: float) -> dict[str, Any]:
    """Sentences after the first, one after another, as a client has them; and the service's own account of them."""
    asker, took, in_model, in_service = Asker(url), [], [], []
    asker.ask(image, SENTENCES[0])
    until = time.perf_counter() + seconds
    while len(took) < count and time.perf_counter() < until:
        start = time.perf_counter()
        status, _, body = asker.ask(image, SENTENCES[(len(took) + 1) % len(SENTENCES)])
        took.append(time.perf_counter() - start)
        if status != 200:
            raise SystemExit(f"The service answered {status} to a sentence.")
        said = json.loads(body)["seconds"]
        in_model.append(said["model"])
        in_service.append(said["total"])
    asker.close()
    parts = {"model": in_model, "service": in_service}
    return {
        "sentences": len(took),
        **percentiles(took),
        **{f"{name}_p50_ms": percentiles(values)["p50_ms"] for name, values in parts.items()},
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures."""
    pixels = source_pixels(arguments.image)
    scene = write_scene(folder / "scene.tif", pixels, arguments.side)
    seconds = {name: share * arguments.seconds for name, share in SHARES.items()}
    found: dict[str, Any] = {"side_px": arguments.side}

    def note(name: str, value: Any) -> None:
        found[name] = value
        print(f"{name}: {json.dumps(value)}", file=sys.stderr, flush=True)

    note("one_by_one", _alone(arguments, scene))
    with service(arguments.model, arguments.threads) as running:
        client = Client(running.url)
        images = [client.send(scene).id]
        note(
            "second_sentence",
            second_sentence(running.url, images[0], arguments.sentences, seconds["second_sentence"]),
        )
        by_clients = {}
        for count in CLIENTS:
            heard, wall_s = asked_by(count, arguments.requests, running.url, images, seconds["clients"])
            by_clients[str(count)] = heard.summary(wall_s)
        note("clients", by_clients)
        num_requests = max(OVERLOAD, arguments.requests)
        heard, wall_s = asked_by(OVERLOAD, num_requests, running.url, images, seconds["overload"])
        note("overload", {"clients": OVERLOAD, **heard.summary(wall_s)})
        for number in range(1, 4):
            part = write_scene(folder / f"part{number}.tif", pixels[number * 16 :], arguments.side)
            images.append(client.send(part).id)
        note("memory", memory(running, arguments.steady, images, seconds["memory"]))
    return found


def main() -> None:
    """Measure, print, write."""
    parser = parser_of(__doc__, SECONDS)
    parser.add_argument("--sentences", type=int, default=50, help="one after another")
    parser.add_argument("--requests", type=int, default=200, help="at each number of clients")
    parser.add_argument("--steady", type=int, default=2000, help="requests while memory is read")
    parser.add_argument("--out", type=Path, default=RESULTS / "serving.json")
    parser.add_argument("--one-by-one", type=Path, metavar="SCENE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_by_one:
        seconds = SHARES["one_by_one"] * arguments.seconds
        found = one_by_one(arguments.model, arguments.one_by_one, arguments.threads, arguments.sentences, seconds)
        print(json.dumps(found))
        return
    # What is in flight when a part's time is over is waited for.
    with bounded(arguments.seconds + TIMEOUT_S), tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    report = {
        "machine": describe_machine(),
        "model": Path(arguments.model).name,
        "threads": arguments.threads,
        **figures,
    }
    print(json.dumps(report, indent=1))
    write_json(report, arguments.out)


if __name__ == "__main__":
    main()
