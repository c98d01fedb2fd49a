from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pytest

from rs2sam.errors import InvalidInputError
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
def test_two_runs_of_the_same_are_refused(tmp_path, resume):
    with Job(tmp_path, "a", ONE, resume=resume):
        with pytest.raises(InvalidInputError, match="Another run is at work"), Job(tmp_path, "a", ONE, resume=resume):
            pass
        with Job(tmp_path, "a", OTHER, resume=resume):
            assert len(os.listdir(tmp_path)) == 2


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
