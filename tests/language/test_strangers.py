"""Wordings of people who do not know the reader's, by kind; and what only looks like them."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

import rs2sam.language
from rs2sam.language.order import usual_wording
from rs2sam.language.scope import Candidate, Rank, choose, read_sentence
from rs2sam.language.signs import BLOCKS, has_signs, named, rewritten, table

PLACES = [
    ("the pools strung out down the left-hand side", "the pools", "in left"),
    ("the tanks arrayed across the foot of the picture", "the tanks", "in bottom"),
    ("the cars clustered about the middle of the view", "the cars", "in center"),
    ("the boats lining the right-hand edge", "the boats", "in right"),
    ("the tanks that line the eastern margin", "the tanks", "in right (compass)"),
    ("the ship that appears high on the right", "the ships", "in upper right"),
    ("the ship set low in the frame", "the ships", "in bottom"),
    ("the car wedged into the bottom left corner", "the cars", "in lower left corner"),
    ("the tanks scattered through the north-eastern quarter", "the tanks", "in upper right (compass)"),
    ("the planes crowding the upper left of the canvas", "the planes", "in upper left"),
    ("the plane where the top and left margins meet", "the planes", "in upper left corner"),
    ("the plane in the angle formed by the upper and right-hand borders", "the planes", "in upper right corner"),
    ("any car west of the vertical midline", "any cars", "in left (compass)"),
    ("every truck below the horizontal center line", "every truck", "in bottom"),
    ("the cars to the southeast of the scene's centre", "the cars", "in lower right (compass)"),
    ("the tank up and to the left", "the tanks", "in upper left"),
    ("the ship down in the left-hand corner", "the ships", "in lower left corner"),
    ("the pool amid the image, well away from every border", "the pools", "in center"),
    ("swimming pools NW", "the swimming pools", "in upper left (compass)"),
    ("Could you show where the tank in the upper right-hand part lies?", "the tanks", "in upper right"),
    ("What trucks can be made out along the left flank of the image?", "the trucks", "in left"),
    ("the top half's trucks", "the trucks", "in top"),
    ("Put a rectangle around the airplane down at the bottom right.", "the airplanes", "in lower right"),
]
EXTREMES = [
    ("the plane with the greatest distance from the left edge", "the planes", "toward right"),
    ("the plane farthest from the left edge", "the planes", "toward right"),
    ("the plane furthest to the left in the upper half", "the planes", "in top; toward left"),
    ("out on the far right, the plane", "the planes", "toward right"),
    ("the airplane beneath which all the others lie", "the airplanes", "toward top"),
    ("the pool located as far left as any", "the pools", "toward left"),
    ("the tank lying furthest towards sunset", "the tanks", "toward left (compass)"),
    ("the plane pressed closest to the right edge", "the planes", "toward right"),
    ("Which of the pools reaches furthest west?", "the pools", "toward left (compass)"),
    ("that pool with no other pool to its west", "the pools", "toward left (compass)"),
    ("the plane whose neighbours all lie to its west", "the planes", "toward right (compass)"),
    ("the airplane that has every other airplane beneath it", "the airplanes", "toward top"),
    ("the car east of everything else", "the cars", "toward right (compass)"),
    ("the ship higher in the frame than any other", "the ships", "toward top"),
    ("the pool that all its fellows have on their left-hand side", "the pools", "toward left"),
    ("the tank that no other tank is above", "the tanks", "toward top"),
    ("the first pool in the sequence when read from left to right", "the pools", "toward left"),
    ("the last plane encountered when scanning from left to right", "the planes", "toward right"),
    ("the final car when working one's way from top to bottom", "the cars", "toward bottom"),
    ("the plane one comes upon first when reading the image downwards", "the planes", "toward top"),
    ("Which plane would one reach first on entering from the east?", "the planes", "toward right (compass)"),
    ("the car bringing up the rear at the southern end", "the cars", "toward bottom (compass)"),
    ("the plane that closes the line on the right-hand side", "the planes", "toward right"),
    ("the plane at the eastern end of the scene", "the planes", "toward right (compass)"),
    ("the northernmost member of the group of airplanes", "the airplanes", "toward top (compass)"),
    ("the airplane closest to the heart of the image", "the airplanes", "toward center"),
    ("the dead-centre plane", "the planes", "toward center"),
    ("the most centrally placed plane", "the planes", "toward center"),
    ("the two tanks that lie furthest to the left", "the tanks", "2 toward left"),
    ("the pair of ships at the extreme right of the scene", "the ships", "2 toward right"),
]
RANKS_IN_A_ROW = [
    ("the pool just to the right of the leftmost one", "the pools", "second toward left"),
    ("the runner-up from the top among the swimming pools", "the swimming pools", "second toward top"),
    ("the pool that is one up from the bottom", "the pools", "second toward bottom"),
    ("the second pool in from the left", "the pools", "second toward left"),
    ("the pool second up from the bottom", "the pools", "second toward bottom"),
    ("the third pool along, counting from the west", "the pools", "third toward left (compass)"),
    ("the pool immediately after the northernmost one", "the pools", "second toward top (compass)"),
    ("the plane next to last as the eye travels rightwards", "the planes", "second toward right"),
    ("the second-to-last plane from the left", "the planes", "second toward right"),
    ("the tank with exactly one of its kind above it", "the tanks", "second toward top"),
    ("Which car has only one companion lying further south?", "the cars", "second toward bottom (compass)"),
    ("number three among the cars as one proceeds downward from the top", "the cars", "third toward top"),
    ("the truck in third place from the left-hand edge", "the trucks", "third toward left"),
]
SIZES = [
    ("the plane dwarfed by all the others", "the planes", "smallest"),
    ("the car that takes the prize for size", "the cars", "largest"),
    ("the pool which is larger than only one other", "the pools", "second smallest"),
    ("the car occupying the largest portion of the image", "the cars", "largest"),
    ("of all the cars, the one with the most generous footprint", "the cars", "largest"),
    ("the ship that takes up the fewest pixels", "the ships", "smallest"),
    ("the car that outstrips all its fellows in size", "the cars", "largest"),
    ("the car no other surpasses in extent", "the cars", "largest"),
    ("the plane than which none is smaller", "the planes", "smallest"),
    ("the plane which all the rest exceed in area", "the planes", "smallest"),
    ("the giant among the cars", "the cars", "largest"),
    ("the most diminutive plane", "the planes", "smallest"),
    ("the runner-up in size among the boats", "the boats", "second largest"),
    ("the boat ranked number two by footprint", "the boats", "second largest"),
    ("boat, size rank 2", "the boats", "second largest"),
    ("the next largest boat after the biggest one", "the boats", "second largest"),
    ("Find the boat that comes right behind the largest in extent.", "the boats", "second largest"),
    ("the pool that is smaller than all the rest save one", "the pools", "second smallest"),
    ("the pool one step up in size from the tiniest", "the pools", "second smallest"),
    ("the pool with the next-to-least footprint", "the pools", "second smallest"),
    ("the plane that comes last when they are ordered from large to small", "the planes", "smallest"),
    ("the biggest couple of tennis courts on show", "the tennis courts", "2 largest"),
    ("both of the tennis courts that head the size ranking", "the tennis courts", "2 largest"),
    ("the truck measuring the most from end to end", "the trucks", "longest"),
    ("the plane along the top that outstrips its companions there in area", "the planes", "in top; largest"),
    ("the largest plane among those on the left-hand side", "the planes", "in left; largest"),
    ("of the planes in the western part, the one with the greatest area", "the planes", "in left (compass); largest"),
]
RELATIONS = [
    ("the car whose distance to the house is smallest", "the cars", "nearest [the houses]"),
    ("the tank beyond the bridge to the east", "the tanks", "right of [the bridges] (compass)"),
    ("the tank for which the bridge lies to the east", "the tanks", "left of [the bridges] (compass)"),
    ("storage tank, W of bridge", "the storage tanks", "left of [the bridges] (compass)"),
    ("the tank that lies due east of the bridge", "the tanks", "right of [the bridges] (compass)"),
    ("the tank with the bridge to its west", "the tanks", "right of [the bridges] (compass)"),
    ("the plane that has the pier beneath it", "the planes", "top of [the piers]"),
    ("the tank to which the bridge is the left-hand neighbour", "the tanks", "right of [the bridges]"),
    ("the car lower down the frame than the house", "the cars", "bottom of [the houses]"),
    ("the car separated from the house by the shortest distance", "the cars", "nearest [the houses]"),
    ("the car that is the house's nearest neighbour", "the cars", "nearest [the houses]"),
    ("the house's nearest car", "the cars", "nearest [the houses]"),
    ("the first car one would reach when setting out from the house", "the cars", "nearest [the houses]"),
    ("the car that comes nearer to the house than the rest", "the cars", "nearest [the houses]"),
    ("the court with the widest gap between it and the house", "the courts", "farthest [the houses]"),
    ("the next closest car to the house after the nearest one", "the cars", "second nearest [the houses]"),
    ("the car that only one other car beats in nearness to the house", "the cars", "second nearest [the houses]"),
    (
        "the plane closest to the parking lot that is furthest north",
        "the planes",
        "nearest [the parking lots] | toward top (compass)",
    ),
]
NUMBERS = [
    ("a brace of pools", "the pools", "count 2"),
    ("the threesome formed by the ships", "the ships", "count 3"),
    ("the group of ships that numbers three", "the ships", "count 3"),
    ("the ships, of which there are four", "the ships", "count 4"),
    ("ships, qty 4", "the ships", "count 4"),
    ("2 x pool", "the pools", "count 2"),
    ("Outline the two pools without omitting either.", "the pools", "count 2"),
    ("every one of the three ships", "all ships", "count 3"),
    ("a couple of ships on the left", "the ships", "in left; count 2"),
]
ONE_ORDER_IN_ANOTHER = [
    ("the two largest cars: the one on the right", "the cars", "2 largest; toward right"),
    ("whichever of the two largest courts is further to the left", "the courts", "2 largest; toward left"),
    ("the leftmost of the two largest tanks", "the tanks", "2 largest; toward left"),
    ("of the two largest tennis courts, the left one", "the tennis courts", "2 largest; toward left"),
    ("the bigger of the two leftmost airplanes", "the airplanes", "2 toward left; largest"),
    ("the more sizeable car of the two nearest the upper edge", "the cars", "2 toward top; largest"),
]

# What a thing does, how it is turned, what it is called, and parts of other things.
NOT_FOR_THE_SCENE = [
    "the ships facing left",
    "the road that curves up and to the left",
    "a ship sailing to the right",
    "the buildings at the foot of the hill",
    "the boats clustered about the middle of the lake",
    "the road that runs across the top of the dam",
    "the upper reaches of the river",
    "the central station",
    "the trees lining the left bank",
    "the lake with an island in the middle",
    "the upper left corner of the building",
    "the first ship",
    "the ship you see first",
    "the tank that exceeds the building in size",
    "the car bigger than any truck",
    "the ship with the largest number of containers",
    "all tanks save the largest",
    "the tank no. 3",
    "the number of ships on the left",
    "the car closest to the camera",
    "the house with two cars to its left",
    "the second house in the row",
    "the most damaged of the houses",
    "the truck beside the uppermost bridge",
    "the boats standing on the longest of the bridges",
    "the pool right next to the runway that lies furthest west",
    "all tanks from left to right",
    "the ships in the northern district",
]
CONTENT_KEPT = [
    ("the ships docked in the upper left", "the ships docked", "in upper left"),
    ("the cars burning on the right", "the cars burning", "in right"),
    ("the house with the red roof on the left", "the houses with the red roof", "in left"),
    ("the red cars over toward the left-hand side", "the red cars", "in left"),
    ("the large plane furthest from the house", "the large planes", "farthest [the houses]"),
]


def said(sentence: str) -> tuple[str, str]:
    scoped = read_sentence(sentence)
    return scoped.local, "; ".join(map(str, scoped.claims))


@pytest.mark.parametrize(("sentence", "local", "claims"), PLACES)
def test_any_verb_of_lying_and_any_part_of_the_picture_lead_to_a_place(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), EXTREMES)
def test_an_end_of_an_order_is_told_by_the_side_by_the_others_or_by_counting(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), RANKS_IN_A_ROW)
def test_a_rank_is_counted_from_the_side_that_is_meant(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), SIZES)
def test_size_is_told_in_many_words(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), RELATIONS)
def test_other_objects_are_spoken_of_in_many_words(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), NUMBERS)
def test_numbers_have_many_names(sentence, local, claims):
    assert said(sentence) == (local, claims)


@pytest.mark.parametrize(("sentence", "local", "claims"), ONE_ORDER_IN_ANOTHER)
def test_one_order_within_another_is_read(sentence, local, claims):
    assert said(sentence) == (local, claims)


def test_one_order_within_another_is_decided_step_by_step():
    boxes = [(500, 0, 600, 100), (300, 0, 390, 90), (0, 0, 20, 20)]  # the leftmost one is the smallest
    tanks = [Candidate(box, (box[2] - box[0]) * (box[3] - box[1])) for box in boxes]
    assert choose(tanks, (Rank("largest", number=2), Rank("toward", "left")), (1000, 1000)) == [1]


@pytest.mark.parametrize("sentence", NOT_FOR_THE_SCENE)
def test_what_only_looks_like_a_place_or_a_rank_stays_whole(sentence):
    assert said(sentence) == (sentence, "")


@pytest.mark.parametrize(("sentence", "local", "claims"), CONTENT_KEPT)
def test_what_is_said_of_the_thing_itself_stays_with_it(sentence, local, claims):
    assert said(sentence) == (local, claims)


def test_a_table_is_written_short():
    known = named("SIDE = (left|right)\nEND = $", {})
    rules = table("# a comment\n[tank] \\ lying (=@SIDE)\n    ( hand)?@END => on the \\1", known)
    assert rules == (("tank", r"\ lying ((?:left|right))(?: hand)?$", r"on the \1"),)
    assert rewritten("the tank lying left hand", rules) == "the tank on the left"
    assert rewritten("the ship lying left hand", rules) == "the ship lying left hand"


def test_signs_in_a_sentence_are_only_characters():
    sentence = "the tank \ue000 in the upper \ue0f0 left"
    assert has_signs(sentence)
    assert usual_wording(sentence) == sentence


def test_words_of_the_rules_in_any_order_do_no_harm_and_take_no_time():
    folder = Path(rs2sam.language.__file__).parent
    source = "".join((folder / f"{name}.py").read_text() for name in ("signs", "whereabouts", "comparing", "counting"))
    words = [
        *sorted(set(re.findall(r"[a-z]{2,}", source))),
        *(["the", "of", "tank", "tanks", "left", "largest", "than", "all", "others"] * 20),
    ]
    rng = random.Random(5)
    sentences = [" ".join(rng.choices(words, k=rng.choice((4, 8, 60)))) for _ in range(300)]
    start = time.process_time()
    for sentence in [*sentences, *("lying " * 63, "to the left of the tank that is " * 7, "up down out over " * 15)]:
        read_sentence(sentence)
    assert time.process_time() - start < 20
    assert BLOCKS["VERB"]
