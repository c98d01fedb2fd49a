"""Model folders are whole or not there."""

from __future__ import annotations

import os

import pytest

from rs2sam.models import RS2SamModel
from rs2sam.training.keeping.saving import replaced_folder, restore_folder, save_model
from tests.small_model import small_processor, write_small_model


def write(folder, text):
    with replaced_folder(folder) as temporary:
        (temporary / "file").write_text(text)


def test_folder_is_written_and_replaced(tmp_path):
    for text in ("one", "two"):
        write(tmp_path / "best", text)
        assert (tmp_path / "best" / "file").read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_folder_that_could_not_be_written_leaves_the_old_one(tmp_path):
    write(tmp_path / "best", "one")

    def fail() -> None:
        with replaced_folder(tmp_path / "best") as temporary:
            (temporary / "file").write_text("half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert (tmp_path / "best" / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("renames", [0, 1])
def test_kill_at_any_rename_leaves_a_whole_folder_after_restoring(tmp_path, monkeypatch, renames):
    write(tmp_path / "best", "one")
    done: list[str] = []

    def rename(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt  # stands for the kill, before this rename
        done.append(str(target))
        os.rename(source, target)

    monkeypatch.setattr("rs2sam.training.keeping.saving.os.replace", rename)
    monkeypatch.setattr(
        "rs2sam.training.keeping.saving.shutil.rmtree", lambda *_, **__: None
    )  # nothing is tidied up either
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "best", "two")
    monkeypatch.undo()
    restore_folder(tmp_path / "best")
    assert (tmp_path / "best" / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.skipif(os.name == "nt", reason="has other permissions")
def test_saved_weights_can_be_read_by_whom_other_files_can(tmp_path):
    model = RS2SamModel.from_pretrained(write_small_model(tmp_path / "init"))
    before = os.umask(0o027)
    try:
        save_model(model, small_processor(), "card", tmp_path / "model")
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()} == dict.fromkeys(
        ("README.md", "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.model"), 0o640
    )
