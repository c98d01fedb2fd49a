"""The fuzzer itself: a case is the same whatever ran before it, and every kind of wrong ending is counted."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from fuzz.__main__ import NEEDED, main
from fuzz.mutations import as_json, mutate_bytes, mutate_tree
from fuzz.supervising import Ending, run_area
from tests.fuzz_area import ENDINGS, WORDS

AREA = "tests.fuzz_area"


def expected(seed: str, number: int) -> str:
    """How a case of the area ends."""
    return WORDS[random.Random(f"{seed}/{AREA}/{number}").randrange(10**6) % len(ENDINGS)]


def run(numbers: list[int], keep: Path | None = None) -> list[Ending]:
    seen: list[Ending] = []
    run_area(AREA, numbers, "7", Path("none"), seen.append, keep)
    return seen


def test_every_kind_of_ending_is_told_and_none_stops_the_others() -> None:
    numbers = list(range(60))
    words = [expected("7", number) for number in numbers]
    assert set(words) == set(WORDS)
    # One of each; a crash and a hog of memory in between change nothing for those after them.
    chosen = [words.index(word) for word in (*WORDS, "result")]
    endings = run(chosen)
    assert [ending.number for ending in endings] == chosen
    for ending, word in zip(endings, (*WORDS, "result"), strict=True):
        is_finding = word not in ("result", "refusal")
        assert ending.kind == ("finding" if is_finding else word)
        assert not is_finding or word in ending.said


def test_a_case_can_be_seen_again(tmp_path: Path) -> None:
    run([3, 4, 5], tmp_path)
    (number,) = tmp_path.rglob("number.txt")
    assert number.read_text() == str(random.Random(f"7/{AREA}/5").randrange(10**6))


def test_the_same_seed_mutates_alike() -> None:
    tree = {"a": [1, 2.5, "x"], "b": {"c": None}}
    content = bytes(range(200))
    for mutated in (
        lambda rng: as_json(rng, mutate_tree(rng, tree)),
        lambda rng: mutate_bytes(rng, content),
    ):
        assert mutated(random.Random("a")) == mutated(random.Random("a"))
    assert len({mutate_bytes(random.Random(number), content) for number in range(20)}) == 20
    assert tree == {"a": [1, 2.5, "x"], "b": {"c": None}}


def test_sentences_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--area", "sentences", "--inputs", "15", "--refusals"]) == 0
    assert "sentences         15" in capsys.readouterr().out


def test_requests_to_the_service_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    for library in NEEDED["requests"]:
        pytest.importorskip(library, reason=f"{library} is not installed, which the service or its test client needs")
    assert main(["--area", "requests", "--inputs", "3"]) == 0
    assert "requests           3        3" in capsys.readouterr().out


def test_without_the_service_its_area_is_left_out_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.setattr("fuzz.__main__.SHARES", {"sentences": 60, "requests": 40})
    assert main(["--inputs", "3"]) == 0
    said = capsys.readouterr().out
    assert "left out: requests needs fastapi: pip install 'rs2sam[serve]' httpx2" in said
    assert "\nrequests" not in said
    with pytest.raises(SystemExit):
        main(["--area", "requests"])
    assert "requests needs fastapi" in capsys.readouterr().err
