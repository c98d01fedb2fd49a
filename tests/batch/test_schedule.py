from __future__ import annotations

import json
import sqlite3

import pytest

from rs2sam.batch.manifest import open_manifest
from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import MAX_PAUSE_S, RetryPolicy, Schedule, result_path
from rs2sam.batch.stages import Failure
from rs2sam.errors import BusyError, DataNotFoundError, InvalidImageError, InvalidInputError, UnreadableImageError

REPORT = {
    "source": {
        **{"path": "a.tif", "height": 3, "width": 4, "crs": None, "crs_wkt": None, "num_gcps": 0},
        "transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    },
    "model": {"name": "red"},
    "tiles": {"read": 1, "run": 1, "skipped_empty": 0, "skipped_first_pass": 0},
    "options": {"first_pass": None},
    "lost": [],
    "sentences": [],
}
KINDS = {"mask": "mask.tif", "polygons": "polygons.gpkg", "preview": "preview.png", "result": "result.json"}


def outputs_of(scene):
    """What the report of a scene says of its files."""
    named = {kind: f"{scene.stem}_{end}" for kind, end in KINDS.items()}
    lists = {"mask_png": [f"{scene.stem}_mask.png"], "probabilities": [], "sidecars": []}
    return {"folder": "out", "classes": None, **named, **lists}


class Clock:
    """A clock that is turned by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def scenes(tmp_path):
    made = []
    for name in "abc":
        (tmp_path / f"{name}.tif").write_bytes(b"pixels")
        made.append(SceneInput(f"sub/{name}.tif", str(tmp_path / f"{name}.tif")))
    return made


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def schedule(scenes, out, clock):
    """Makes a schedule on the same folder each time, as the next process would."""
    opened = []

    def make(**options):
        if opened:
            opened.pop().__exit__(None, None, None)
        opened.append(open_manifest(out / "manifest.jsonl", {}))
        return Schedule(scenes, opened[0].__enter__(), out, clock=clock, **options)

    yield make
    opened.pop().__exit__(None, None, None)


def write_result(out, scene, **changed):
    path = result_path(out, scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    outputs = outputs_of(scene)
    for name in (outputs["mask"], outputs["polygons"], outputs["preview"], *outputs["mask_png"]):
        (path.parent / name).touch()
    path.write_text(json.dumps({**REPORT, "outputs": outputs, **changed}))


def finish(plan, scene, out):
    write_result(out, scene)
    return plan.finish(scene, REPORT)


def test_each_scene_is_handed_out_once(schedule, scenes, out):
    plan = schedule()
    for scene in scenes:
        assert plan.begin() == scene
        finish(plan, scene, out)
    assert plan.begin() is None
    assert plan.num_left == 0
    assert schedule().num_left == 0


def test_pauses_double_up_to_a_limit():
    policy = RetryPolicy(attempts=20, backoff_s=5)
    assert [policy.pause_s(n) for n in (1, 2, 3)] == [5, 10, 20]
    assert policy.pause_s(19) == MAX_PAUSE_S


@pytest.mark.parametrize("policy", [{"attempts": 0}, {"backoff_s": -1}, {"backoff_s": float("nan")}])
def test_an_impossible_policy_is_refused(policy):
    with pytest.raises(InvalidInputError, match="--backoff"):
        RetryPolicy(**policy)


def test_an_error_that_may_pass_is_tried_again_after_a_growing_pause(schedule, scenes, clock):
    plan = schedule(policy=RetryPolicy(attempts=3, backoff_s=4))
    assert not plan.fail(plan.begin(), OSError("network")).is_final
    assert plan.begin() == scenes[1]  # others first
    assert plan.begin() == scenes[2]
    assert plan.begin() is None
    assert plan.pause_s() == 4
    clock.now += 4
    assert plan.begin() == scenes[0]
    assert not plan.fail(scenes[0], OSError("network")).is_final
    assert plan.pause_s() == 8
    clock.now += 8
    assert plan.begin() == scenes[0]
    outcome = plan.fail(scenes[0], OSError("network"))
    assert outcome.is_final
    assert outcome.error == "OSError: network"
    assert plan.num_left == 2


@pytest.mark.parametrize("error", [InvalidImageError("no image"), DataNotFoundError("gone")])
def test_a_broken_local_file_is_not_tried_twice(schedule, error):
    plan = schedule()
    assert plan.fail(plan.begin(), error).is_final


def test_a_scene_that_another_process_is_at_work_on_is_tried_again(schedule):
    plan = schedule()
    assert not plan.fail(plan.begin(), BusyError("another run is at work")).is_final


@pytest.mark.parametrize(
    ("source", "error", "is_final"),
    [
        ("https://data.example/s.tif", UnreadableImageError("timed out"), False),
        ("/vsizip//vsicurl/https://data.example/s.zip/a.tif", UnreadableImageError("timed out"), False),
        ("netcdf:/vsis3/data/s.nc:Band1", DataNotFoundError("gone"), False),
        ("https://data.example/s.tif", InvalidImageError("complex pixels"), True),
        ("GTIFF_DIR:9:/data/s.tif", UnreadableImageError("no such directory"), True),
        ("/vsizip//data/s.zip/a.tif", UnreadableImageError("not there"), True),
    ],
)
def test_only_what_comes_over_a_network_is_tried_again(schedule, scenes, source, error, is_final):
    scenes[0] = SceneInput("x/s.tif", source)
    plan = schedule()
    assert plan.fail(plan.begin(), error).is_final == is_final


def test_failed_scenes_stay_failed_until_they_are_asked_for(schedule, scenes, out):
    plan = schedule()
    plan.fail(plan.begin(), InvalidImageError("no image"))
    for _ in scenes[1:]:
        finish(plan, plan.begin(), out)
    assert schedule().num_left == 0
    plan = schedule(retry_failed=True)
    assert plan.num_left == 1
    assert plan.begin() == scenes[0]
    assert plan.manifest[scenes[0].key].attempts == 1


def test_an_interrupted_scene_is_run_again_and_counts_no_attempt(schedule, scenes):
    plan = schedule()
    plan.begin()
    plan.interrupt()
    plan = schedule()
    assert plan.begin() == scenes[0]
    assert plan.manifest[scenes[0].key].attempts == 1


def test_a_scene_at_which_the_process_was_killed_is_run_again(schedule, scenes):
    schedule().begin()
    plan = schedule()
    assert plan.num_left == 3
    assert plan.begin() == scenes[0]
    assert plan.manifest[scenes[0].key].attempts == 2


def test_a_scene_that_kills_the_process_again_and_again_is_given_up(schedule, scenes):
    policy = RetryPolicy(attempts=2)
    schedule(policy=policy).begin()
    schedule(policy=policy).begin()
    plan = schedule(policy=policy)
    assert plan.begin() == scenes[1]
    assert "2 times" in plan.manifest[scenes[0].key].error
    assert schedule(policy=policy, retry_failed=True).num_left == 3


def test_a_kill_after_the_results_were_written_does_not_run_the_scene_twice(schedule, scenes, out):
    schedule().begin()
    write_result(out, scenes[0], lost=[[0, 0, 5, 5]])
    plan = schedule()
    assert plan.begin() == scenes[1]
    assert plan.manifest[scenes[0].key].state == "done"
    assert plan.manifest[scenes[0].key].num_lost == 1


def test_the_result_of_an_earlier_attempt_is_not_taken_for_that_of_a_killed_one(schedule, scenes, out, tmp_path):
    plan = schedule()
    finish(plan, plan.begin(), out)
    (tmp_path / "a.tif").write_bytes(b"other pixels")
    schedule().begin()  # and the process ends here
    assert schedule().begin() == scenes[0]


def test_a_changed_source_is_run_again_and_one_that_is_gone_is_not(schedule, scenes, out, tmp_path):
    plan = schedule()
    for _ in scenes:
        finish(plan, plan.begin(), out)
    (tmp_path / "a.tif").write_bytes(b"other pixels")
    (tmp_path / "b.tif").unlink()
    plan = schedule()
    assert plan.num_left == 1
    assert plan.begin() == scenes[0]


def test_a_scene_whose_results_are_gone_is_run_again(schedule, scenes, out):
    plan = schedule()
    for _ in scenes:
        finish(plan, plan.begin(), out)
    result_path(out, scenes[1]).unlink()
    assert schedule().begin() == scenes[1]


@pytest.mark.parametrize("kind", ["mask", "polygons", "mask_png"])
def test_a_scene_of_whose_files_one_is_gone_is_run_again(schedule, scenes, out, kind):
    plan = schedule()
    for _ in scenes:
        finish(plan, plan.begin(), out)
    assert schedule().num_left == 0
    gone = outputs_of(scenes[1])[kind]
    (out / "sub" / (gone[0] if kind == "mask_png" else gone)).unlink()
    assert schedule().begin() == scenes[1]


DAMAGED = [
    b'{"outputs"',
    b'{"outputs": "\xff"}',
    b"[]",
    b"null",
    b"[" * 100_000,
    {"outputs": []},
    {"outputs": {**dict.fromkeys(KINDS), "mask_png": 5}},
    {"sentences": 5},
    {"sentences": [{"sentence": "the roofs"}]},
    {"source": {**REPORT["source"], "transform": [1, 0, 0]}},
    {"source": {**REPORT["source"], "height": 10**400}},
    {"model": None},
    {"model": {"name": "\ud800"}},
    {"lost": 7},
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_scene_whose_report_is_damaged_is_run_again(schedule, scenes, out, damage):
    plan = schedule()
    for _ in scenes:
        finish(plan, plan.begin(), out)
    if isinstance(damage, bytes):
        result_path(out, scenes[1]).write_bytes(damage)
    else:
        write_result(out, scenes[1], **damage)
    plan = schedule()
    assert plan.begin() == scenes[1]
    assert plan.num_left == 1


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_report_that_a_killed_process_left_counts_as_no_result(schedule, scenes, out, damage):
    schedule().begin()  # and the process ends here
    write_result(out, scenes[0], **({} if isinstance(damage, bytes) else damage))
    if isinstance(damage, bytes):
        result_path(out, scenes[0]).write_bytes(damage)
    plan = schedule()
    assert plan.begin() == scenes[0]
    assert plan.manifest[scenes[0].key].attempts == 2


@pytest.mark.parametrize("name", ["../../a_result.json", "/etc/passwd", "sub/b_result.json", "", "a\0b"])
def test_a_scene_whose_manifest_names_a_result_that_is_not_its_own_is_run_again(schedule, scenes, out, name):
    plan = schedule()
    for _ in scenes:
        finish(plan, plan.begin(), out)
    plan.manifest.done(scenes[0].key, name, 1.0)
    assert schedule().begin() == scenes[0]


def full_disk(cause):
    """What a run raises where its results cannot be written."""
    error = InvalidInputError("The results could not be written.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk is full")])
def test_a_scene_whose_results_cannot_be_written_is_tried_again(schedule, cause):
    plan = schedule()
    assert not plan.fail(plan.begin(), full_disk(cause)).is_final
    assert not Failure.of(full_disk(cause)).is_input


def test_new_scenes_and_those_that_were_tried_before_have_rounds_of_their_own(schedule, scenes):
    schedule().begin()  # and the process ends here
    plan = schedule()
    assert plan.next_round() == scenes[:1]
    plan.begin()
    assert plan.next_round() == scenes[1:]


def test_results_that_no_batch_wrote_are_not_replaced(schedule, scenes, out):
    write_result(out, scenes[2])
    with pytest.raises(InvalidInputError, match=r"1 scenes.*c_result.json.*--overwrite"):
        schedule()


def test_results_written_meanwhile_are_listed_as_lost_blocks(schedule, scenes, out):
    plan = schedule()
    write_result(out, scenes[0])
    outcome = plan.finish(plan.begin(), {"sentences": [], "lost": [[0, 0], [0, 1]]})
    assert outcome.report is not None
    assert plan.manifest[scenes[0].key].num_lost == 2
