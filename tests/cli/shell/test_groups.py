from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from rs2sam.cli import main


def suggested(output: str) -> str:
    """What is suggested in a message; click calls several options possible ones, in older releases."""
    return "".join(re.split(r"Did you mean|Possible options", output)[1:])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["segment", "--formt", "gpkg"], "--format"),
        (["batch", "--sentence", "x"], "--sentences"),
        (["--verison"], "--version"),
        (["data", "check", "--modle", "compact"], "--model"),
        (["data", "chek"], "'check'"),
        (["dta", "check"], "'data'"),
    ],
)
def test_what_is_misspelled_names_the_nearest(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(main, typed)
    assert result.exit_code == 2
    assert meant in suggested(result.output)


@pytest.mark.parametrize("typed", [["data", "xyzzy"], ["segment", "--xyzzy"]])
def test_what_is_like_nothing_is_refused_without_advice(typed: list[str]) -> None:
    result = CliRunner().invoke(main, typed)
    assert (result.exit_code, suggested(result.output)) == (2, "")
