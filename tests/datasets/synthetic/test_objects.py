from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.base import Instance
from rs2sam.datasets.synthetic import SEASONS, Stage, set_stage
from rs2sam.datasets.synthetic.canvas import Material
from rs2sam.datasets.synthetic.objects.aircraft import AIRFRAMES, airplane
from rs2sam.datasets.synthetic.objects.buildings import ROOFS, block, house
from rs2sam.datasets.synthetic.objects.courts import HARD_COURTS, ground_track_field, tennis_court
from rs2sam.datasets.synthetic.objects.plants import Trees
from rs2sam.datasets.synthetic.objects.ships import boat, freighter
from rs2sam.datasets.synthetic.objects.tanks import tank
from rs2sam.datasets.synthetic.objects.vehicles import car


def stage(gsd_m: float = 0.25, seed: int = 0) -> Stage:
    prepared = set_stage(np.random.default_rng(seed), (200, 200), gsd_m, SEASONS[0], turn=0.0, sun=(0.0, 0.8))
    prepared.canvas.fill(Material((120, 120, 120), 0, 0, 0))
    return prepared


def only(prepared: Stage) -> Instance:
    (found,) = prepared.instances()
    return found


@pytest.mark.parametrize("roof", ["cone", "floating", "dome"])
def test_tank_mask_is_a_disc_and_leaves_its_shadow_out(roof: str) -> None:
    prepared = stage()
    tank(prepared, (0, 0), 10, roof, ((226, 226, 220), "white"))
    mask = only(prepared)

    assert mask.area == pytest.approx(np.pi * 40**2, rel=0.02)
    assert mask.center_xy == pytest.approx((100, 100), abs=1)
    assert prepared.canvas.rgb[52, 100, 0] < 70


def test_car_mask_has_the_size_of_a_car() -> None:
    prepared = stage(0.1)
    car(prepared, (0, 0), 0.0)
    mask = only(prepared)

    assert mask.attributes["length_m"] == pytest.approx(mask.mask.shape[1] * 0.1, abs=0.2)
    assert 1.7 < mask.mask.shape[0] * 0.1 < 2.2
    assert mask.area > 0.85 * mask.mask.size


@pytest.mark.parametrize("kind", AIRFRAMES)
def test_aircraft_points_along_its_heading_and_is_symmetric(kind: str) -> None:
    prepared = stage(0.5)
    airplane(prepared, (0, 0), 0.0, kind, 0.5)
    mask = only(prepared).mask

    assert np.mean(mask == mask[::-1]) > 0.9
    assert mask.shape[1] * 0.5 == pytest.approx(np.mean(AIRFRAMES[kind].length), abs=2.5)
    assert mask[:, : len(mask[0]) // 4].sum() > mask[:, -(len(mask[0]) // 8) :].sum()


@pytest.mark.parametrize("style", ROOFS)
def test_house_has_one_mask_that_holds_both_wings(style: str) -> None:
    for seed in range(4):
        prepared = stage(seed=seed)
        house(prepared, (0, 0), 14, 9, 0.3, style)
        mask = only(prepared)

        assert 0.95 * 14 * 9 < mask.area * 0.25**2 < 2 * 14 * 9
        assert mask.attributes["colour"] in {name for _, name in ROOFS[style]}


def test_leaning_block_includes_its_facade() -> None:
    upright, leaning = stage(), stage()
    upright.lean, leaning.lean = np.zeros(2), np.array([0.3, 0.0])
    for prepared in (upright, leaning):
        block(prepared, (0, 0), (16, 12), 0.0, 20)

    assert only(leaning).mask.shape[1] == pytest.approx(only(upright).mask.shape[1] + 6 / 0.25, abs=2)


def test_track_and_court_have_their_official_sizes() -> None:
    prepared = stage(1.0)
    ground_track_field(prepared, (0, -30), 0.0)
    tennis_court(prepared, (0, 60), 0.0, HARD_COURTS[0], (90, 120, 100))
    field, court = prepared.instances()

    assert field.mask.shape[1] == pytest.approx(84.4 + 2 * (36.5 + 9.76), abs=2)
    assert court.mask.shape == pytest.approx((13, 26), abs=1)


def test_ships_are_long_and_narrow() -> None:
    prepared = stage(1.0)
    freighter(prepared, (0, -40), 0.0, 120, moving=True)
    boat(prepared, (0, 40), 0.0, 20)
    large, small = prepared.instances()

    assert large.mask.shape[1] == pytest.approx(120, abs=3)
    assert 5 < large.mask.shape[1] / large.mask.shape[0] < 8
    assert small.mask.shape[1] == pytest.approx(20, abs=2)


def test_trees_are_vegetation_and_listed_only_when_asked() -> None:
    listed, unlisted = stage(), stage()
    Trees(listed).plant((0, 0), 5)
    Trees(unlisted, listed=False).plant((0, 0), 5)

    assert only(listed).category == "tree"
    assert only(listed).area == pytest.approx(np.pi * 20**2, rel=0.3)
    assert unlisted.instances() == ()
    assert unlisted.unlisted == {"tree"}
    assert listed.regions()["vegetation"].sum() == unlisted.regions()["vegetation"].sum() > 900


def test_objects_out_of_sight_are_not_registered() -> None:
    prepared = stage()
    for draw in (lambda: car(prepared, (900, 0), 0.0), lambda: house(prepared, (0, 900), 12, 9, 0)):
        draw()

    assert prepared.instances() == ()
