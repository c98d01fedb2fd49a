from __future__ import annotations

import pytest

from rs2sam.datasets.staging import check_file_free, staged_file, staged_folder
from rs2sam.errors import DataNotFoundError, InvalidInputError


def left_over(folder):
    """Hidden files that nobody wants to find."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_appears_when_it_is_whole(tmp_path):
    out = tmp_path / "new" / "a.txt"
    with staged_file(out) as partial:
        partial.write_text("whole")
        assert partial.suffix == out.suffix
        assert not out.exists()
    assert out.read_text() == "whole"
    assert left_over(out.parent) == []


def test_an_interrupted_file_leaves_what_was_there(tmp_path):
    out = tmp_path / "a.txt"
    out.write_text("old")

    def write_half():
        with staged_file(out, overwrite=True) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert out.read_text() == "old"
    assert left_over(tmp_path) == []


def test_a_file_is_not_replaced_unasked(tmp_path):
    out = tmp_path / "a.txt"
    out.write_text("old")

    with pytest.raises(InvalidInputError, match="Add --overwrite"), staged_file(out):
        pass
    with staged_file(out, overwrite=True) as partial:
        partial.write_text("new")
    assert out.read_text() == "new"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InvalidInputError, match="is a folder"):
        check_file_free(tmp_path, overwrite=True)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="writable place"), staged_file(tmp_path / "file" / "a.txt"):
        pass
    with pytest.raises(InvalidInputError, match="writable place"), staged_folder(tmp_path / "file" / "a"):
        pass


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    def write():
        with staged_folder(tmp_path / "out") as partial:
            (partial / "a").write_text("")
            raise OSError(28, "No space left on device")

    with pytest.raises(InvalidInputError, match="No space left on device"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_when_it_is_whole(tmp_path):
    out = tmp_path / "new" / "set"
    with staged_folder(out) as partial:
        (partial / "a").write_text("whole")
        assert not out.exists()
    assert (out / "a").read_text() == "whole"
    assert left_over(out.parent) == []


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with staged_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("")
    assert (tmp_path / "out" / "a").exists()


def test_a_folder_is_replaced_only_when_asked_and_only_if_it_is_ours(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "dear").write_text("")

    def write(**options):
        with staged_folder(out, **options) as partial:
            (partial / "new").write_text("")

    with pytest.raises(InvalidInputError, match="not empty"):
        write()
    with pytest.raises(InvalidInputError, match="something else"):
        write(overwrite=True)
    assert (out / "dear").exists()
    write(overwrite=True, may_replace=lambda folder: (folder / "dear").exists())
    assert [path.name for path in out.iterdir()] == ["new"]
    assert left_over(tmp_path) == []


def test_an_error_keeps_the_old_folder_and_its_own_words(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("")

    def fail():
        with staged_folder(out, overwrite=True, may_replace=lambda _: True):
            # It is an OSError too; it must not become "cannot be written".
            raise DataNotFoundError("an image is missing")

    with pytest.raises(DataNotFoundError, match="an image is missing"):
        fail()
    assert (out / "old").exists()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("name", ["x" * 300, "a\udcff"])
def test_a_name_that_no_result_can_have_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match=r"can look up|must be UTF-8"):
        check_file_free(tmp_path / name, overwrite=True)
    with pytest.raises(InvalidInputError, match=r"can look up|must be UTF-8"), staged_folder(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("staged", [staged_file, staged_folder])
def test_folders_made_for_a_result_that_never_comes_are_removed(tmp_path, staged):
    (tmp_path / "mine").mkdir()

    def fail():
        with staged(tmp_path / "mine" / "new" / "newer" / "out"):
            raise OSError(28, "No space left on device")

    with pytest.raises(InvalidInputError, match="No space left on device"):
        fail()
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]
