from __future__ import annotations

import json

import pytest

from rs2sam.batch.inputs import Shard
from rs2sam.batch.manifest import (
    SceneRecord,
    forget,
    manifest_path,
    open_manifest,
    read_manifest,
    refuse_other_settings,
)
from rs2sam.errors import InvalidInputError

SETTINGS = {"sentences": ["the roofs"], "model": "compact", "options.tile": None}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out/manifest.jsonl"


def state(path, key):
    with open_manifest(path, SETTINGS) as manifest:
        return manifest[key].state


def test_states_outlive_the_process(path):
    with open_manifest(path, SETTINGS) as manifest:
        assert manifest["a"] == SceneRecord()
        for key in "abcde":
            manifest.running(key, "1-1")
        manifest.done("a", "a_result.json", 1.5)
        manifest.failed("b", "it broke", is_final=True)
        manifest.failed("c", "it may pass", is_final=False)
        manifest.interrupted("d")
    with open_manifest(path, SETTINGS) as manifest:
        assert [manifest[key].state for key in "abcdef"] == [
            "done",
            "failed",
            "pending",
            "pending",
            "running",
            "pending",
        ]
        assert [manifest[key].attempts for key in "abcdef"] == [1, 1, 1, 0, 1, 0]
        assert manifest["a"].result == "a_result.json"
        assert manifest["b"].error == "it broke"


def test_a_scene_that_is_run_anew_starts_from_nothing(path):
    with open_manifest(path, SETTINGS) as manifest:
        manifest.running("a", None)
        manifest.done("a", "a_result.json", 1.0, num_lost=2)
        assert manifest["a"].num_lost == 2
        manifest.again(["a", "b"])
        assert (manifest["a"].state, manifest["a"].attempts, manifest["a"].result) == ("pending", 0, None)


def test_a_manifest_cut_at_any_byte_is_read_and_continued(path, tmp_path):
    with open_manifest(path, SETTINGS) as manifest:
        for key in ("a", "ä"):
            manifest.running(key, None)
            manifest.done(key, f"{key}_result.json", 1.0)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(len(whole) + 1):
        cut = tmp_path / f"{size}/manifest.jsonl"
        cut.parent.mkdir()
        cut.write_bytes(whole[:size])
        with open_manifest(cut, SETTINGS) as manifest:
            num_whole = sum(size >= sum(map(len, lines[: n + 1])) for n in range(len(lines)))
            expected = [("pending", "pending"), ("pending", "pending"), ("running", "pending"), ("done", "pending")]
            expected += [("done", "running"), ("done", "done")]
            assert (manifest["a"].state, manifest["ä"].state) == expected[num_whole]
            manifest.running("b", None)
        assert read_manifest(cut, SETTINGS)["b"].state == "running"


def test_another_process_cannot_open_it(path):
    with (
        open_manifest(path, SETTINGS),
        pytest.raises(InvalidInputError, match="Another process"),
        open_manifest(path, SETTINGS),
    ):
        pass
    with open_manifest(path, SETTINGS), pytest.raises(InvalidInputError, match="Another process"):
        forget(path.parent, None)


def test_a_batch_with_other_settings_is_refused_and_they_are_named(path):
    with open_manifest(path, SETTINGS):
        pass
    with (
        pytest.raises(InvalidInputError, match=r"model: 'compact' there, 'large' now.*--overwrite"),
        open_manifest(path, SETTINGS | {"model": "large"}),
    ):
        pass


def test_settings_are_compared_as_json_has_them(path):
    with open_manifest(path, {"bands": (1, 2, 3)}):
        pass
    with open_manifest(path, {"bands": (1, 2, 3)}):
        pass


def test_a_damaged_line_is_an_error_that_names_it(path):
    with open_manifest(path, SETTINGS) as manifest:
        manifest.running("a", None)
    with path.open("ab") as file:
        file.write(b"{what}\n")
    with pytest.raises(InvalidInputError, match="Line 3"), open_manifest(path, SETTINGS):
        pass


DONE = {"event": "done", "scene": "a", "result": "a_result.json", "seconds": 1, "num_lost": 0, "time": 10.0}
FAILED = {"event": "failed", "scene": "a", "error": "it broke", "is_final": True, "time": 10.0}


@pytest.mark.parametrize(
    "entry",
    [
        *([], None, "done", 5),
        *({**DONE, "event": odd} for odd in (None, [], {}, "finished", "batch")),
        *({**DONE, "scene": odd} for odd in (None, [], {}, 5)),
        *({**DONE, "result": odd} for odd in (None, [], {}, 5, True)),
        *({**DONE, "num_lost": odd} for odd in (None, [], "many", 1.5)),
        *({**DONE, "time": odd} for odd in (None, [], "noon", 10**400, -1, 1e300, True)),
        *({**FAILED, "error": odd} for odd in (None, [], "\ud800")),
        *({**FAILED, "is_final": odd} for odd in (None, [], 1, "no")),
        {"event": "running", "scene": "a", "signature": ["1-1"], "time": 10.0},
        *({name: said for name, said in DONE.items() if name != left} for left in ("event", "scene", "result", "time")),
    ],
)
def test_a_line_with_values_of_other_types_is_an_error_that_names_it(path, entry):
    with open_manifest(path, SETTINGS) as manifest:
        manifest.running("a", None)
    with path.open("ab") as file:
        file.write(json.dumps(entry).encode() + b"\n")
    before = path.read_bytes()
    with pytest.raises(InvalidInputError, match=r"Line 3 of the manifest .*Remove the line"):
        state(path, "a")
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"[]", b"null", b"\xff", b"{}", b"[" * 100_000, b'{"settings": []}'])
def test_a_first_line_without_settings_is_an_error_that_says_how_to_go_on(path, line):
    path.parent.mkdir()
    path.write_bytes(line + b"\n")
    with pytest.raises(InvalidInputError, match=r"Line 1 of the manifest .*Give --overwrite"):
        state(path, "a")
    with pytest.raises(InvalidInputError, match="unreadable"):
        refuse_other_settings(manifest_path(path.parent, Shard(1, 2)), SETTINGS)


def test_settings_that_nobody_could_read_are_cut_in_the_message(path):
    path.parent.mkdir()
    theirs = {f"{'x' * 3000}{number}": "y" * 3000 for number in range(500)}
    path.write_text(json.dumps({"event": "batch", "version": 1, "settings": theirs}) + "\n")
    with pytest.raises(InvalidInputError, match="--overwrite") as raised:
        state(path, "a")
    assert len(str(raised.value)) < 5000


def test_what_shards_finished_is_done_for_all(path):
    shard = manifest_path(path.parent, Shard(1, 2))
    assert shard.name == "manifest-1-of-2.jsonl"
    with open_manifest(shard, SETTINGS) as manifest:
        manifest.running("a", None)
        manifest.done("a", "a_result.json", 1.0)
        manifest.running("b", None)
        manifest.failed("b", "it broke", is_final=True)
    assert state(path, "a") == "done"
    assert state(path, "b") == "pending"
    assert state(manifest_path(path.parent, Shard(2, 3)), "a") == "done"


def test_what_a_killed_shard_left_unfinished_is_pending_yet_known(path):
    with open_manifest(manifest_path(path.parent, Shard(1, 2)), SETTINGS) as manifest:
        manifest.running("a", None)
    with open_manifest(path, SETTINGS) as manifest:
        assert (manifest["a"].state, manifest["a"].attempts, manifest["a"].result) == ("pending", 0, None)
        assert manifest["a"].time > 0
        assert manifest["b"].time == 0


def test_a_shard_does_not_begin_anew_beside_shards_with_other_settings(path):
    shard, other = (manifest_path(path.parent, Shard(number, 2)) for number in (1, 2))
    for each in (shard, other):
        with open_manifest(each, SETTINGS):
            pass
    refuse_other_settings(shard, SETTINGS)
    with pytest.raises(InvalidInputError, match=r"manifest-2-of-2.*'compact' there.*--overwrite without --shard"):
        refuse_other_settings(shard, SETTINGS | {"model": "large"})
    other.write_text("no manifest")
    with pytest.raises(InvalidInputError, match="unreadable"):
        refuse_other_settings(shard, SETTINGS)


def test_of_two_manifests_the_newer_record_counts(path):
    other = manifest_path(path.parent, Shard(1, 2))
    path.parent.mkdir()
    header = json.dumps({"event": "batch", "version": 1, "settings": SETTINGS})
    done = {"event": "done", "scene": "a", "result": "a_result.json", "seconds": 1, "num_lost": 0}
    path.write_text(f"{header}\n{json.dumps({'event': 'again', 'scene': 'a', 'time': 20.0})}\n")
    other.write_text(f"{header}\n{json.dumps({**done, 'time': 10.0})}\n")
    assert state(path, "a") == "pending"
    other.write_text(f"{header}\n{json.dumps({**done, 'time': 30.0})}\n")
    assert state(path, "a") == "done"


def test_forgetting_removes_the_manifests(path):
    for shard in (None, Shard(1, 2), Shard(2, 2)):
        with open_manifest(manifest_path(path.parent, shard), SETTINGS):
            pass
    forget(path.parent, Shard(1, 2))
    assert sorted(file.name for file in path.parent.iterdir()) == ["manifest-2-of-2.jsonl", "manifest.jsonl"]
    forget(path.parent, None)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="must be writable"), open_manifest(tmp_path / "file/m.jsonl", SETTINGS):
        pass


def broken_off(path, *begun):
    """A run that fails after some scenes have begun."""
    with open_manifest(path, SETTINGS) as manifest:
        for key in begun:
            manifest.running(key, "1-1")
        raise RuntimeError("the model is not there")


def test_an_error_before_the_first_scene_leaves_no_settings_and_no_folder(path):
    with pytest.raises(RuntimeError):
        broken_off(path)
    assert not path.parent.exists()
    path.parent.mkdir()
    with pytest.raises(RuntimeError):
        broken_off(path)
    assert list(path.parent.iterdir()) == []
    with open_manifest(path, {**SETTINGS, "model": "another"}):
        pass


def test_an_error_after_the_first_scene_keeps_what_is_known(path):
    with pytest.raises(RuntimeError):
        broken_off(path, "a")
    assert state(path, "a") == "running"
