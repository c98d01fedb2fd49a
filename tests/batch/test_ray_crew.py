"""What the driver does when Ray or a finisher gives up; a stand-in for Ray says when."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from rs2sam.batch import ray_engine
from rs2sam.batch.engine import BrokenEngineError
from rs2sam.batch.ray_engine import RayCrew
from rs2sam.batch.ray_options import RayOptions
from rs2sam.errors import RS2SAMError
from rs2sam.processing import FirstPass
from tests.batch.scenes import plan, write_scenes


class LostError(Exception):
    """In the place of `ray.exceptions.RayError`."""


class FakeRay(ModuleType):
    """As much of Ray as a crew needs; actors have a number and the calls of a finisher.

    `broken` names calls that fail at once, `answers` what `get` returns or raises for the other calls of an actor.
    """

    def __init__(self):
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=LostError)
        self.data = ModuleType("ray.data")
        self.data.from_items = lambda *_arguments, **_options: self.call("from_items")
        self.broken, self.answers, self.killed, self.num_made = set(), {}, [], 0

    def call(self, name):
        if name in self.broken:
            raise LostError(name)
        return self.answers.get(name)

    def remote(self, _actor):
        return SimpleNamespace(options=lambda **_options: SimpleNamespace(remote=self.make))

    def make(self, _facts):
        self.call("make")
        self.num_made += 1
        calls = {
            name: SimpleNamespace(remote=lambda *_, name=name: self.call(name)) for name in ("run", "take", "sees")
        }
        return SimpleNamespace(number=self.num_made, **calls)

    def get(self, values):
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, Exception):
                raise value
        return values

    def wait(self, reports, **_options):
        self.call("wait")
        return reports, []

    def kill(self, actor):
        self.killed.append(actor.number)


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setitem(sys.modules, "ray.data", fake.data)
    return fake


def test_a_finisher_that_could_not_take_answers_is_ended_so_that_its_report_comes(ray):
    ray.answers["take"] = LostError("no answer")
    crew = RayCrew(None, 1)
    crew.begin(0, None)
    crew.send(0, None)
    assert ray.killed == []
    crew.send(0, None)
    assert ray.killed == [1]


def test_a_finisher_out_of_reach_is_ended_before_another_takes_its_place(ray):
    ray.answers["run"] = LostError("unavailable")
    crew = RayCrew(None, 1)
    crew.begin(0, None)
    ((number, outcome),) = crew.ended(wait=True)
    assert number == 0
    with pytest.raises(RS2SAMError, match=r"died \(LostError"):
        outcome()
    assert (ray.killed, ray.num_made, crew.num_free) == ([1], 2, 1)


@pytest.mark.parametrize("breaks", ["make", "run", "take", "wait", "sees", "replacing"])
def test_what_breaks_ray_is_no_fault_of_a_scene(ray, tmp_path, breaks):
    ray.broken = {breaks}
    ray.answers["run"] = LostError("dead")

    def use():
        crew = RayCrew(None, 1)
        crew.check_folder(tmp_path)
        crew.begin(0, None)
        crew.send(0, None)
        ((_, outcome),) = crew.ended(wait=True)
        ray.broken = {"make"}
        outcome()

    ray.answers["sees"] = True
    with pytest.raises(BrokenEngineError, match=r"LostError.*the same command"):
        use()
    assert list(tmp_path.iterdir()) == []


def test_a_first_pass_that_breaks_ray_is_no_fault_of_a_scene(ray, tmp_path):
    ray.broken = {"from_items"}
    write_scenes(tmp_path / "in")
    batch = plan(tmp_path, "out")
    request = batch.settings.request(batch.scenes[0])
    options = replace(request.options, first_pass=FirstPass(tiles=2, threshold=0.5, is_default=True))
    pipeline = ray_engine._Pipeline(None, RayOptions(), SimpleNamespace(image_size=64))
    with pytest.raises(BrokenEngineError, match="from_items"):
        next(pipeline.batches([replace(request, options=options)], one_by_one=False))
