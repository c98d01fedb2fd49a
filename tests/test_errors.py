"""Messages of errors: one line, other people's words inside of it without their own full stop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from fuzz.contract import doubled
from rs2sam.cli import main
from rs2sam.errors import words_of

SOURCE = Path(__file__).parent.parent / "src" / "rs2sam"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("not a supported file format.", "not a supported file format"),
        ("two lines:\n  the second. ", "two lines: the second"),
        ("and more...", "and more..."),
        ("it is 0.5", "it is 0.5"),
        ("", "ValueError"),
        (".", "ValueError"),
    ],
)
def test_words_of_another_error_become_a_part_of_a_sentence(said: str, words: str) -> None:
    assert words_of(ValueError(said)) == words


def test_no_message_puts_a_full_stop_behind_words_that_may_bring_their_own() -> None:
    followed = re.compile(r"\{(?:error\.strerror or )?error\}(?:\)?[.,;:]|\)\"[,)]?$)", re.MULTILINE)
    found = [
        f"{path.relative_to(SOURCE)}: {match[0]}"
        for path in SOURCE.rglob("*.py")
        for match in followed.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "content",
    [b"no image", b"II*\0nothing", b"\x89PNG\r\n\x1a\nx", b"<VRTDataset>", b'{"type": "Feature"}', b"\xff\xd8\xff\xe0"],
)
@pytest.mark.parametrize("words", [("segment",), ("data", "check")])
def test_errors_of_files_have_one_mark_at_a_time(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "odd.tif"
    path.write_bytes(content)
    rest = ["the roofs", "-o", str(tmp_path / "out")] if words == ("segment",) else []
    if words != ("segment",):
        listed = tmp_path / "list.jsonl"
        listed.write_text('{"image": "odd.tif", "sentence": "the roofs", "mask": "odd.tif"}\n', encoding="utf-8")
        path = listed
    ended = CliRunner().invoke(main, [*words, str(path), *rest])
    assert ended.exit_code == 1
    lines = [line for line in ended.output.splitlines() if line.strip()]
    assert lines
    assert [line for line in lines if doubled(line)] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cannot be opened (not a supported file format.). It must be one.", True),
        ("It is wrong.. Give another.", True),
        ("It is wrong:. Give another.", True),
        ("It is one of a, b, .... Give another.", False),
        ("there are (a, b, ...). Give another.", False),
        ("'a..' and `b.).` are no names. Give others.", False),
        ("../a.tif is not there. Check the path.", False),
    ],
)
def test_doubled_marks_are_told_from_ellipses_and_paths(line: str, expected: bool) -> None:
    assert doubled(line) is expected
