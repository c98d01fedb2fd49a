from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from rs2sam.errors import BusyError, InvalidInputError
from rs2sam.scenes.job import Job, key_of

ONE, OTHER = key_of({"a": 1}), key_of({"a": 2})


def leave(folder, plain, sums):
    """A run that saves its state and is interrupted."""
    with suppress(KeyboardInterrupt), Job(folder, "a", ONE, resume=True) as job:
        assert job.load() is None
        job.save(plain, sums)
        raise KeyboardInterrupt


def test_keys_are_those_of_the_values():
    assert key_of({"a": 1, "b": (2, 3)}) == key_of({"b": [2, 3], "a": 1})
    assert ONE != OTHER


def test_a_state_comes_back(tmp_path):
    sums = np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    leave(tmp_path, {"next": 3, "tallies": [{"presence": 0.123456789}]}, sums)
    with Job(tmp_path, "a", ONE, resume=True) as job:
        assert job.exists
        plain, found = job.load()
        assert plain == {"next": 3, "tallies": [{"presence": 0.123456789}]}
        np.testing.assert_array_equal(found, sums)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("stem", "key", "resume"), [("a", OTHER, True), ("a", ONE, False)])
def test_what_cannot_be_resumed_is_removed(tmp_path, stem, key, resume):
    leave(tmp_path, {}, np.zeros(1, dtype=np.float32))
    with Job(tmp_path, stem, key, resume=resume) as job:
        assert job.load() is None
        assert len(os.listdir(tmp_path)) == 1


def test_jobs_of_other_scenes_are_left_alone(tmp_path):
    with (
        Job(tmp_path, "a", ONE, resume=True),
        Job(tmp_path, "a-b", ONE, resume=False),
        Job(tmp_path, "b", OTHER, resume=False),
    ):
        assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("key", [ONE, OTHER])
def test_two_runs_on_one_scene_and_folder_are_refused_whatever_they_look_for(tmp_path, resume, key):
    with Job(tmp_path, "a", ONE, resume=resume) as job:
        job.save({"mine": 1}, np.zeros(1, dtype=np.float32))
        with pytest.raises(BusyError, match="Another run is at work"), Job(tmp_path, "a", key, resume=resume):
            pass
        assert job.load()[0] == {"mine": 1}
        assert os.listdir(tmp_path) == [job.folder.name]


@pytest.mark.slow
def test_of_many_runs_that_begin_at_once_no_two_are_at_work(tmp_path):
    code = (
        "import sys, time; from rs2sam.scenes.job import Job, key_of; from rs2sam.errors import BusyError\n"
        "from pathlib import Path; root = Path(sys.argv[1])\n"
        "for turn in range(60):\n"
        "    try:\n"
        "        with Job(root / 'out', 'a', key_of({'n': sys.argv[2]}), resume=False):\n"
        "            (root / 'busy').touch(exist_ok=False); time.sleep(0.002); (root / 'busy').unlink()\n"
        "            print('done')\n"
        "    except BusyError:\n"
        "        time.sleep(0.003)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    assert all("done" in run.communicate()[0] for run in runs)
    assert [run.returncode for run in runs] == [0] * 4


def test_a_state_that_something_else_cut_is_refused(tmp_path):
    with Job(tmp_path, "a", ONE, resume=True) as job:
        job.save({}, np.zeros(100, dtype=np.float32))
        path = job.folder / "state.npz"
        path.write_bytes(path.read_bytes()[:50])
        with pytest.raises(InvalidInputError, match="without --resume"):
            job.load()


@pytest.mark.parametrize("nested", ["out", "out/of/sight"])
def test_a_folder_of_results_is_made_and_removed_again_where_nothing_comes_of_it(tmp_path, nested):
    with suppress(KeyboardInterrupt), Job(tmp_path / nested, "a", ONE, resume=False):
        assert (tmp_path / nested).is_dir()
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    with Job(tmp_path / nested, "a", ONE, resume=False):
        (tmp_path / nested / "a_result.json").touch()
    assert os.listdir(tmp_path / nested) == ["a_result.json"]


def test_a_run_that_fails_before_a_state_is_saved_leaves_nothing_to_be_resumed(tmp_path):
    with suppress(KeyboardInterrupt), Job(tmp_path / "out", "a", ONE, resume=True) as job:
        (job.folder / "pixels.blocks").touch()
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
