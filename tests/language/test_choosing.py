"""Where the choice among regions has its limits, each looked at from both sides, by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.language import choosing
from rs2sam.language.choosing import choose
from rs2sam.language.claims import Anchor, Candidate, Direction, Place, Rank
from rs2sam.language.scope import read_sentence, remarks
from tests.language.test_scope import FIVE, SIZE, at, meant


def of_area(area: float, x: float, probability: float = 1.0) -> Candidate:
    """A region of so many pixels in the upper part of a scene."""
    return Candidate((x, 100, x + 10, 110), area, probability)


def smallest(*candidates: Candidate) -> list[int]:
    return choose(candidates, (Rank("smallest"),), SIZE)


def test_a_speck_has_fewer_than_25_pixels_and_less_than_three_hundredths_of_the_typical_region():
    ships = [of_area(1000, 100), of_area(1000, 200)]
    assert smallest(*ships, of_area(24, 300)) == [0]
    assert smallest(*ships, of_area(25, 300)) == [2]
    boats = [of_area(500, 100), of_area(500, 200)]
    assert smallest(*boats, of_area(14, 300)) == [0]
    assert smallest(*boats, of_area(15, 300)) == [2]


def test_the_typical_region_is_that_in_which_the_middle_pixel_lies():
    # Half of 1,860 px lie in the largest region alone, half of 2,660 px only with the second one.
    assert smallest(of_area(1000, 100), of_area(840, 200), of_area(20, 300)) == [1]
    few = [of_area(600, 100 + 20 * number) for number in range(4)]
    assert smallest(of_area(1000, 20), *few, of_area(20, 300)) == [5]


def litter(area: float, probability: float, number: int = 6) -> list[Candidate]:
    """Two large certain regions at the right, and others at the left."""
    large = [of_area(1000, 700), of_area(1000, 800)]
    return [*large, *(of_area(area, 100 + 20 * index, probability) for index in range(number))]


def leftmost(candidates: list[Candidate]) -> list[int]:
    return choose(candidates, (Rank("toward", "left"),), SIZE)


def test_litter_is_small_doubtful_and_three_times_as_much_as_the_rest():
    assert leftmost(litter(199, 0.6)) == [0]
    assert leftmost(litter(200, 0.6)) == [2]
    assert leftmost(litter(199, 0.6, number=5)) == [2]
    # The mean over all pixels is 0.914 and 0.922, of which 85 hundredths are 0.777 and 0.783.
    assert leftmost(litter(199, 0.77)) == [0]
    assert leftmost(litter(199, 0.79)) == [2]


def test_doubtful_regions_that_are_few_are_left_out_below_three_hundredths():
    large = [of_area(2000, 700), of_area(2000, 800)]
    assert leftmost([*large, of_area(59, 100, 0.6)]) == [0]
    assert leftmost([*large, of_area(60, 100, 0.6)]) == [2]
    assert leftmost([*large, of_area(59, 100)]) == [2]


def test_where_all_are_specks_they_are_what_there_is():
    specks = [of_area(10_000, 700), of_area(3, 100), of_area(4, 120)]
    left = (Place("left"), Rank("smallest"))
    assert choose(specks, left, SIZE) == [1]


@pytest.mark.parametrize(("y", "indices"), [(150, [0, 1]), (151, [0])])
def test_together_with_the_first_are_those_within_a_twentieth_of_the_longer_side(y, indices):
    topmost = (Rank("toward", "top", number=None),)
    assert choose([at(100, 100), at(300, y)], topmost, (1000, 400)) == indices
    assert choose([at(100, 100), at(300, y)], topmost, (400, 1000)) == indices


@pytest.mark.parametrize(
    ("measure", "areas", "indices"),
    [
        ("largest", (140, 100), [0, 1]),
        ("largest", (141, 100), [0]),
        ("smallest", (140, 100), [0, 1]),
        ("smallest", (141, 100), [1]),
    ],
)
def test_together_with_the_first_in_size_are_those_within_two_fifths(measure, areas, indices):
    candidates = [of_area(area, 100 * number) for number, area in enumerate(areas)]
    assert choose(candidates, (Rank(measure, number=None),), SIZE) == indices


@pytest.mark.parametrize(("measure", "wanted"), [("longest", 1), ("shortest", 2)])
def test_length_is_the_diagonal_of_the_rectangle(measure, wanted):
    candidates = [
        Candidate((0, 0, 30, 40), 900),
        Candidate((100, 100, 151, 101), 51),
        Candidate((200, 200, 233, 236), 1000),
    ]
    assert choose(candidates, (Rank(measure),), SIZE) == [wanted]


@pytest.mark.parametrize(
    ("cell", "in_corner", "place", "is_there"),
    [
        ("left", False, (459, 500), True),
        ("left", False, (531, 500), False),
        ("right", False, (541, 500), True),
        ("right", False, (469, 500), False),
        ("upper left", False, (459, 459), True),
        ("upper left", False, (300, 531), False),
        ("center", False, (699, 301), True),
        ("center", False, (761, 500), False),
        ("center", False, (500, 239), False),
        ("upper center", False, (699, 100), True),
        ("upper center", False, (761, 100), False),
        ("center left", False, (100, 699), True),
        ("center left", False, (100, 761), False),
    ],
)
def test_a_place_ends_where_it_does(cell, in_corner, place, is_there):
    assert (choose([at(*place)], (Place(cell, in_corner),), SIZE) == [0]) == is_there


def test_a_corner_is_the_quarter_and_a_bit_of_each_side_where_something_is_there():
    corner = (Place("lower right", in_corner=True),)
    assert choose([at(730, 730), at(600, 600)], corner, SIZE) == [0]
    assert choose([at(730, 710), at(600, 600)], corner, SIZE) == [0, 1]


def test_north_follows_a_map_that_lies_askew():
    """A step to the right goes north-east, one down south-east: 45 degrees."""
    askew = (1.0, 1.0, 1.0, -1.0)
    by_side = {"north": 1, "east": 4, "south": 3, "west": 0}
    for side, index in by_side.items():
        assert meant(f"the {side}ernmost ship", FIVE, to_map=askew) == [index], side
        assert meant(f"the ships in the {side}", FIVE, to_map=askew) == [index], side


def test_distances_are_pixels_whatever_a_pixel_measures():
    # 60 px apart are more than a twentieth of 1,000, be a pixel half a metre or ten.
    ships = [at(100, 100), at(300, 160)]
    for metres in (0.5, 10.0):
        assert meant("the northernmost ships", ships, to_map=(metres, 0.0, 0.0, -metres)) == [0]


@pytest.mark.parametrize("to_map", [(2.0, 4.0, 1.0, 2.0), (0.0, 0.0, 1.0, 2.0)])
def test_a_map_that_is_a_line_is_refused(to_map):
    with pytest.raises(InvalidInputError, match="invertible"):
        choose(FIVE, (), SIZE, to_map=to_map)


def test_a_scene_of_one_pixel_is_one():
    assert choose([Candidate((0, 0, 1, 1), 1)], (Place("center"),), (1, 1)) == [0]


@pytest.mark.parametrize(
    ("side", "near", "far"),
    [
        ("left", (400, 500), (460, 400)),
        ("right", (600, 500), (540, 400)),
        ("top", (500, 400), (400, 460)),
        ("bottom", (500, 600), (400, 540)),
    ],
)
def test_a_side_is_rather_there_than_to_the_neighbouring_one(side, near, far):
    claim = (Direction(side, Anchor("the bridges")),)
    bridge = [at(500, 500)]
    assert choose([at(*near), at(*far)], claim, SIZE, bridge) == [0]
    assert choose([at(*far)], claim, SIZE, bridge) == [0]
    step = near[0] - 500 or near[1] - 500
    diagonal = at(500 + step, 500 + step)  # as much there as to the neighbouring side
    assert choose([diagonal, at(*far)], claim, SIZE, bridge) == [0]


@pytest.mark.parametrize("pairs", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "sentence", ["the ship left of another ship", "the ships above the other ships", "the ship right of the bridge"]
)
def test_directions_looked_at_in_parts_are_those_looked_at_together(monkeypatch, pairs, sentence):
    bridges = [at(300, 300), at(600, 700)]
    together = meant(sentence, FIVE, bridges)
    assert together
    monkeypatch.setattr(choosing, "_PAIRS_AT_ONCE", pairs)
    assert meant(sentence, FIVE, bridges) == together


@pytest.mark.parametrize(
    ("cell", "index"),
    [("upper left", 0), ("upper right", 1), ("center", 2), ("lower left", 3), ("lower right", 4)],
)
def test_toward_a_corner_is_the_least_way_to_it(cell, index):
    assert choose(FIVE, (Rank("toward", cell),), SIZE) == [index]


@pytest.mark.parametrize(("cell", "index"), [("upper center", 1), ("center left", 0), ("center right", 1)])
def test_toward_the_middle_of_a_side_is_the_least_way_to_it(cell, index):
    candidates = [at(100, 480), at(620, 130), at(400, 900)]
    assert choose(candidates, (Rank("toward", cell),), SIZE) == [index]


def test_nearest_is_between_the_rectangles_and_nothing_where_they_touch():
    bridge = [Candidate((400, 400, 600, 420), 4000)]
    touching, beside, diagonal = at(610, 410), at(640, 410), at(633, 453)
    assert meant("the ship nearest the bridge", [beside, touching, diagonal], bridge) == [1]
    # 30 px to the right, and 23 px each way.
    assert meant("the ship nearest the bridge", [beside, diagonal], bridge) == [0]
    assert meant("the ship farthest from the bridge", [beside, touching, diagonal], bridge) == [2]


def test_ties_go_to_the_upper_then_to_the_left_region():
    alike = [at(500, 700), at(700, 300), at(300, 300)]
    assert choose(alike, (Rank("largest"),), SIZE) == [2]
    assert choose(alike[:2], (Rank("largest"),), SIZE) == [1]


def test_of_several_orders_the_first_decides_a_tie_of_ranks():
    # The smallest is second from the left, the leftmost is the second smallest.
    ships = [at(100, 500, 30), at(300, 500, 20), at(700, 500, 40)]
    left, small = Rank("toward", "left"), Rank("smallest")
    assert choose(ships, (small, left), SIZE) == [1]
    assert choose(ships, (left, small), SIZE) == [0]


def test_one_region_that_does_not_fit_is_said_in_the_singular():
    scoped = read_sentence("the ship at the lower left")
    (said,) = remarks(scoped, None, 0, num_chosen=0, num_found=1)
    assert said.startswith('1 region was found for "the ships"')
    assert remarks(scoped, None, 0, num_chosen=None, num_found=5) == []
    (two,) = remarks(scoped, None, 0, num_chosen=2, num_found=5)
    assert two.startswith("The sentence names one, and 2 regions fit it")


def test_masses_weigh_pixels_by_their_probability():
    candidates = [of_area(1000, 100, 0.5), of_area(600, 200, 0.9), of_area(450, 300, 1.0)]
    assert meant("the two ships", candidates) == [0, 1]
    assert np.all(np.diff(meant("the three ships", candidates)) > 0)


def in_a_row(*probabilities: float) -> list[Candidate]:
    """Regions of one size from left to right, 100 px apart."""
    return [of_area(900, 50 + 100 * number, probability) for number, probability in enumerate(probabilities)]


def of_row(ranks: tuple[Rank, ...], *probabilities: float) -> list[int]:
    """What has the ranks where a region of mean probability p is right in a share p of cases."""
    return choose(in_a_row(*probabilities), ranks, SIZE, confidence=lambda probability: probability)


LEFTMOST = (Rank("toward", "left"),)


def test_the_first_is_what_most_likely_is_the_first_object():
    # (0.6 / 0.9) ** 2.5 = 0.363 against 0.637 that it is none; (0.7 / 0.9) ** 2.5 = 0.533 against 0.467.
    assert of_row(LEFTMOST, 0.6, 0.9) == [1]
    assert of_row(LEFTMOST, 0.7, 0.9) == [0]
    # 0.230, 0.770 * 0.230 = 0.177, 0.770 ** 2 = 0.593
    assert of_row(LEFTMOST, 0.5, 0.5, 0.9) == [2]


@pytest.mark.parametrize("probability", [0.3, 0.78, 1.0])
def test_of_equally_sure_regions_the_order_decides(probability: float):
    for first in (1, 2, 3):
        assert of_row((Rank("toward", "left", first=first),), *[probability] * 8) == [first - 1]
    assert of_row((Rank("toward", "left", number=3),), *[probability] * 3) == [0, 1, 2]


def test_without_a_measured_confidence_the_first_is_the_first():
    assert leftmost(in_a_row(0.6, 0.9)) == [0]


def test_the_second_is_what_most_likely_has_one_object_before_it():
    second = (Rank("toward", "left", first=2),)
    # Behind the first: (0.3 / 0.9) ** 2.5 = 0.064 against 0.936.
    assert of_row(second, 0.9, 0.3, 0.9) == [2]
    assert of_row(second, 0.9, 0.9, 0.9) == [1]


def test_two_at_ranks_are_two_in_their_order():
    two = (Rank("toward", "left", number=2),)
    assert of_row(two, 0.3, 0.9, 0.9, 0.9) == [1, 2]
    assert of_row(two, 0.7, 0.92, 0.66, 0.68) == [0, 1]
    assert of_row(two, 0.3, 0.9) == [0, 1]  # two are said to be there
    assert of_row(two, 0.3, 0.3) == [0, 1]
    assert of_row(two, 0.3) == [0]


def test_who_is_passed_over_is_not_among_those_close_to_the_first():
    candidates = [Candidate((x, 100, x + 10, 110), 900, p) for x, p in ((50, 0.4), (60, 0.95), (75, 0.95), (800, 0.9))]
    many = (Rank("toward", "left", number=None),)
    assert choose(candidates, many, SIZE, confidence=float) == [1, 2]
    assert choose(candidates, many, SIZE) == [0, 1, 2]


def test_an_object_that_a_relation_refers_to_is_what_most_likely_has_its_rank():
    piers = in_a_row(0.4, 0.95)
    ships = [of_area(900, 60), of_area(900, 160)]
    scoped = read_sentence("the ship closest to the leftmost pier")
    assert choose(ships, scoped.claims, SIZE, piers, confidence=lambda p: p) == [1]
    assert choose(ships, scoped.claims, SIZE, piers) == [0]


@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 12))
def test_where_all_are_certain_ranks_go_by_order(first: int, number: int, count: int):
    ranks = (Rank("toward", "left", first=first, number=number),)
    expected = list(range(first - 1, min(first - 1 + number, count)))
    assert of_row(ranks, *[1.0] * count) == expected


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_first_is_the_likeliest_of_all_ways_in_which_objects_may_exist(probabilities):
    shares = (np.array(probabilities) / (max(probabilities) or 1.0)) ** 2.5
    chances = np.zeros(len(shares))
    for ways in product((0, 1), repeat=len(shares)):
        there = np.array(ways)
        if there.any():
            chances[np.flatnonzero(there)[0]] += np.prod(np.where(there, shares, 1 - shares))
    (found,) = of_row(LEFTMOST, *probabilities)
    assert chances[found] == pytest.approx(chances.max(), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.integers(1, 4))
def test_as_many_are_chosen_as_are_asked_for_and_their_ranks_agree(probabilities, number):
    many = of_row((Rank("toward", "left", number=number),), *probabilities)
    assert len(many) == len(set(many)) == min(number, len(probabilities))
    if number < len(probabilities):
        assert many == sorted(many)


def test_a_probability_that_is_none_stands_in_nobodys_way():
    assert of_row(LEFTMOST, float("nan"), 0.9) == [1]
