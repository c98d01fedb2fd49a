"""Which regions of a scene a sentence means: by hand, by properties, and against the training sentences' own rules."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.datasets.base import AnnotatedImage, Instance
from rs2sam.datasets.english.expressions import expressions_for
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.properties import Objects, positions
from rs2sam.errors import InvalidInputError
from rs2sam.language import scope
from rs2sam.language.claims import CELLS
from rs2sam.language.scope import Anchor, Candidate, Count, Direction, Place, Rank, choose, read_sentence, remarks

SIZE = (1000, 1000)


def at(x: float, y: float, side: float = 20, probability: float = 1.0) -> Candidate:
    """A square region around a point."""
    return Candidate((x - side / 2, y - side / 2, x + side / 2, y + side / 2), side * side, probability)


def meant(sentence, candidates, landmarks=(), size_hw=SIZE, to_map=None):
    return choose(candidates, read_sentence(sentence).claims, size_hw, landmarks, to_map)


# Upper left, upper right, middle, lower left, lower right.
FIVE = [at(100, 100), at(900, 110, 30), at(500, 500, 40), at(120, 900, 24), at(880, 890, 60)]


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        ("the ships", [0, 1, 2, 3, 4]),
        ("the ship in the upper left", [0]),
        ("the ships on the left", [0, 3]),
        ("the ships at the bottom", [3, 4]),
        ("the ship in the middle", [2]),
        ("the ship in the upper right corner", [1]),
        ("the largest ship", [4]),
        ("the second largest ship", [2]),
        ("the two largest ships", [2, 4]),
        ("the smallest ship", [0]),
        ("the largest ships", [4]),  # the next is 2.25 times smaller
        ("the smallest ships", [0]),  # the next is 1.44 times larger
        ("the leftmost ship", [0]),
        ("the leftmost ships", [0, 3]),  # 20 px apart, of 1,000
        ("the second ship from the left", [3]),
        ("the third ship from the right", [2]),
        ("the two topmost ships", [0, 1]),
        ("the ship closest to the lower right corner", [4]),
        ("the ship closest to the center", [2]),
        ("the largest ship on the left", [3]),
        ("the northernmost ship", [0]),
        ("the two ships", [2, 4]),
        ("the two ships on the left", [0, 3]),
        ("the smallest and leftmost ship", [0]),
        ("the ship to the upper left of another ship", [0, 2]),
        ("the ship north of the other ships", [0]),
    ],
)
def test_sentences_mean_what_they_say_in_the_scene(sentence, indices):
    assert meant(sentence, FIVE) == indices


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        ("the ship nearest the bridge", [2]),
        ("the second nearest ship to the bridge", [1]),
        ("the ship farthest from the bridge", [3]),
        ("the ship above the bridge", [1]),
        ("the ship left of the bridge", [0, 2, 3]),
        ("the ship to the lower left of the bridge", [2, 3]),
        ("the ship below the bridge", [4]),
        ("the ships left of the bridges", [0, 2, 3]),
    ],
)
def test_relations_are_to_the_landmark(sentence, indices):
    # From its rectangle to that of the middle are 280 px, to that of the upper right 295.
    bridge = Candidate((800, 420, 880, 440), 1600)
    assert meant(sentence, FIVE, [bridge]) == indices


def test_a_landmark_is_itself_singled_out_in_the_scene():
    houses = [at(300, 100, 80), at(700, 900, 30)]
    assert meant("the ship nearest the largest house", FIVE, houses) == [0]
    assert meant("the ship nearest the southernmost house", FIVE, houses) == [4]


def test_of_several_landmarks_one_is_enough_and_all_together_are_one_object():
    tanks = [at(300, 500), at(700, 500)]
    assert meant("the ship left of the tank", [at(100, 500), at(500, 500), at(900, 500)], tanks) == [0, 1]
    assert meant("the ships left of the tanks", [at(100, 500), at(500, 490), at(900, 500)], tanks) == [0]


def test_where_nothing_is_clearly_there_what_is_not_clearly_elsewhere_is_taken():
    # Left of 460 is left, right of 530 is not: 500 is in between.
    assert meant("the ship on the left", [at(500, 500), at(700, 500)]) == [0]
    assert meant("the ship on the left", [at(450, 500), at(500, 500)]) == [0]
    assert meant("the ship on the left", [at(600, 500), at(700, 500)]) == []
    assert meant("the ship in the upper left corner", [at(400, 400), at(900, 900)]) == [0]


def test_the_compass_follows_the_map():
    # Rows go east and columns go south: a quarter turn.
    turned = (0.0, 1.0, -1.0, 0.0)
    assert meant("the northernmost ship", FIVE) == [0]
    assert meant("the ship in the north-east", FIVE) == [1]
    assert meant("the ship in the north-east", FIVE, to_map=turned) == [3]
    assert meant("the easternmost ship", FIVE, to_map=turned) == [3]
    assert meant("the topmost ship", FIVE, to_map=turned) == [0]
    south_up = (1.0, 0.0, 0.0, 1.0)
    assert meant("the ship in the north-east", FIVE, to_map=south_up) == [4]
    metres = (0.5, 0.0, 0.0, -0.5)
    assert meant("the ship in the north-east", FIVE, to_map=metres) == [1]


def test_the_smallest_is_found_among_many_of_one_size():
    sides = (20, 60, 20, 20, 20)  # 400 px each, but for one of 3,600
    candidates = [at(100 + 150 * number, 500, side) for number, side in enumerate(sides)]
    assert meant("the smallest tank", candidates) in ([0], [2], [3], [4])
    assert meant("the largest tank", candidates) == [1]


def test_specks_are_no_smallest_and_count_for_nothing():
    with_speck = [*FIVE, at(50, 950, 2)]
    assert meant("the smallest ship", with_speck) == [0]
    assert meant("the leftmost ship", with_speck) == [0]
    assert meant("the ships on the left", with_speck) == [0, 3, 5]


def test_small_doubtful_regions_are_no_objects_where_they_outnumber_the_others_by_far():
    ships = [at(300, 500, 40), at(700, 500, 44)]
    boats = [at(100 + 50 * i, 100, 16, probability=0.6) for i in range(6)]  # 0.13 of the typical area
    assert meant("the leftmost ship", [*ships, *boats[:5]]) == [2]
    assert meant("the leftmost ship", [*ships, *boats]) == [0]


def test_ranks_go_by_all_objects_however_much_larger_one_is():
    tanks = [at(100 + 100 * i, 100, side) for i, side in enumerate((20, 60, 21, 22, 23))]
    assert meant("the smallest tank", tanks) == [0]
    assert meant("the second smallest tank", tanks) == [2]
    assert meant("the rightmost tank", tanks) == [4]
    assert meant("the three tanks", tanks) == [1, 3, 4]
    giant = at(500, 500, 800)
    assert meant("the smallest tank", [giant, *tanks]) == [1]


@pytest.mark.parametrize("kind", ["tank", "storage tank"])
def test_direction_from_one_of_the_kind_goes_by_the_one_that_is_named(kind):
    """The largest is the lower right one (880, 890), the topmost the upper left one."""
    assert meant(f"the {kind}s left of the largest {kind}", FIVE) == [3]
    assert meant(f"the {kind} below the topmost {kind}", FIVE) == [2, 3, 4]
    assert meant(f"the {kind}s right of the second largest {kind}", FIVE) == [1]
    assert meant(f"the smallest {kind} left of the largest {kind}", FIVE) == [3]
    assert meant(f"the {kind}s left of the leftmost {kind}", FIVE) == []
    assert meant(f"the {kind}s left of the largest {kind}", FIVE[:1]) == []


def test_a_sentence_that_names_one_says_why_several_are_meant():
    scoped = read_sentence("the ship at the lower left")
    assert remarks(scoped, None, 0, num_chosen=13) == [
        "The sentence names one, and 13 regions fit it: all of them are in the result. Say which is meant, as in "
        '"the largest" or "the leftmost".'
    ]
    assert remarks(scoped, None, 0, num_chosen=1) == []
    for sentence in (
        "the ships at the lower left",
        "all ships at the left",
        "every ship at the left",
        "the water at the left",
    ):
        assert remarks(read_sentence(sentence), None, 0, num_chosen=13) == []
    assert remarks(read_sentence("the largest ship at the left"), None, 0, num_chosen=2) == []


def test_a_number_keeps_the_most_certain():
    doubtful = at(300, 300, 40, probability=0.5)
    assert meant("the three ships", [at(100, 100, 30), doubtful, at(500, 500, 31), at(700, 700, 32)]) == [0, 2, 3]
    assert meant("the nine ships", FIVE) == [0, 1, 2, 3, 4]


def test_a_relation_to_nothing_is_left_out_and_said():
    scoped = read_sentence("the northernmost ship left of the bridge")
    assert meant(scoped.sentence, FIVE) == [0]
    assert remarks(scoped, None, 0) == [
        "The scene does not say where north is: up was taken as north.",
        'Nothing was found for "the bridges": what the sentence says of it was left out.',
    ]
    assert remarks(scoped, (1.0, 0.0, 0.0, -1.0), 2) == []


def test_no_candidates_are_an_empty_answer():
    for sentence in ("the largest ship", "the ship left of another ship", "the ships in the north", "the two ships"):
        assert meant(sentence, []) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Place("north"), "A place is one of upper left"),
        (lambda: Rank("toward"), "A place is one of"),
        (lambda: Rank("nearest"), "needs an anchor"),
        (lambda: Rank("largest", first=0), "begins at 1"),
        (lambda: Rank("largest", number=0), "at least one region"),
        (lambda: Direction("upper center", Anchor(None)), "a side or a corner"),
        (lambda: Count(0), "at least 1"),
        (lambda: choose([], (), (0, 5)), "at least one pixel"),
        (lambda: choose([], (), (5, 5), to_map=(0, 0, 0, 0)), "invertible"),
    ],
)
def test_what_makes_no_claim_is_refused(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_the_example_of_the_module_holds():
    assert doctest.testmod(scope) == (0, 4)


COORDINATES = st.integers(10, 990)
CANDIDATES = st.lists(
    st.builds(at, COORDINATES, COORDINATES, st.integers(30, 60), st.sampled_from([0.6, 0.9])),
    max_size=9,
    unique_by=lambda candidate: candidate.bounds,
)
PLACES = st.builds(Place, st.sampled_from(CELLS), st.booleans(), st.booleans())
FIRST_RANKS = st.one_of(
    st.builds(Rank, st.sampled_from(["largest", "smallest", "longest", "shortest"]), number=st.integers(1, 3)),
    st.builds(Rank, st.just("toward"), st.sampled_from(CELLS), number=st.integers(1, 3)),
)
LASTING = st.lists(PLACES, max_size=1).flatmap(
    lambda places: st.lists(st.one_of(FIRST_RANKS, st.builds(Count, st.integers(1, 4))), max_size=1).map(
        lambda others: (*places, *others)
    )
)
SENTENCES = st.sampled_from(
    [
        "the second largest ship",
        "the smallest and leftmost ship",
        "the largest ships in the north",
        "the ship left of another ship",
        "the ship above the other ships",
        "the ship nearest the largest bridge",
        "the ship below the bridge",
        "the two ships on the right",
    ]
)


@given(CANDIDATES, st.lists(st.builds(at, COORDINATES, COORDINATES), max_size=3), SENTENCES, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(candidates, landmarks, sentence, random):
    claims = read_sentence(sentence).claims
    order = list(range(len(candidates)))
    random.shuffle(order)
    chosen = choose(candidates, claims, SIZE, landmarks)
    shuffled = choose([candidates[i] for i in order], claims, SIZE, landmarks[::-1])
    assert {order[i] for i in shuffled} == set(chosen)
    assert chosen == sorted(set(chosen))


@given(CANDIDATES, LASTING)
def test_choosing_again_changes_nothing(candidates, claims):
    chosen = choose(candidates, claims, SIZE)
    again = choose([candidates[i] for i in chosen], claims, SIZE)
    assert again == list(range(len(chosen)))


@given(CANDIDATES, st.integers(1, 3), LASTING)
def test_a_larger_picture_of_the_same_scene_changes_nothing(candidates, scale, claims):
    larger = [
        Candidate(tuple(scale * v for v in c.bounds), scale**2 * c.area_px, c.mean_probability) for c in candidates
    ]
    assert choose(larger, claims, (scale * SIZE[0], scale * SIZE[1])) == choose(candidates, claims, SIZE)


CATEGORIES = ("airplane", "ship", "bridge")


def random_scene(rng: np.random.Generator) -> AnnotatedImage:
    """Rectangles of about one size, none of which overlap."""
    instances = []
    for cell in rng.permutation(25)[: int(rng.integers(3, 9))]:
        height, width = (int(side) for side in rng.integers(25, 60, 2))
        top = int(cell // 5 * 80 + rng.integers(0, 80 - height))
        left = int(cell % 5 * 80 + rng.integers(0, 80 - width))
        category = CATEGORIES[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
        instances.append(Instance(category, np.ones((height, width), dtype=bool), (left, top)))
    return AnnotatedImage(
        image=np.zeros((400, 400, 3), np.uint8),
        size_hw=(400, 400),
        instances=tuple(instances),
        regions={},
        exhaustive_categories=frozenset(CATEGORIES),
        id="random",
        source="random",
    )


def candidates_of(scene: AnnotatedImage, category: str | None) -> list[Candidate]:
    return [Candidate(i.box_xyxy, i.area) for i in scene.instances if i.category == category]


def category_of(sentence: str | None) -> str | None:
    """The class that a landmark's sentence names; None for a misspelled one."""
    plurals = {noun.plural: category for category in CATEGORIES for noun in NOUNS[category]}
    return plurals.get((sentence or "").removeprefix("the "))


@pytest.mark.parametrize("seed", range(25))
def test_sentences_made_for_training_mean_their_targets(seed):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    read = wrong = 0
    for expression in expressions_for(scene, rng, None, ("count", "position", "size", "relation")):
        scoped = read_sentence(expression.sentence)
        anchor = category_of(scoped.landmark)
        beside = any(
            word in expression.sentence
            for word in ("near ", "next to", "beside", "close to", "adjacent", " by ", "under the")
        )
        # A misspelled landmark has no candidates here; what is beside or under something is left to the tiles.
        if not scoped.claims or (scoped.landmark and anchor is None) or beside:
            continue
        read += 1
        chosen = choose(
            candidates_of(scene, expression.category), scoped.claims, scene.size_hw, candidates_of(scene, anchor)
        )
        wrong += tuple(chosen) != tuple(sorted(expression.targets))
    assert read
    assert wrong == 0


@pytest.mark.parametrize("seed", range(25))
def test_places_never_contradict_those_of_the_training_sentences(seed):
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    candidates = candidates_of(scene, "airplane")
    for prop in positions(Objects(scene, "airplane")):
        if prop.superlative:
            claim = Rank("toward", prop.name.removesuffix("most"))
        else:
            claim = Place(prop.name.removesuffix(" corner"), prop.name.endswith("corner"))
        chosen = np.isin(np.arange(len(candidates)), choose(candidates, (claim,), scene.size_hw))
        assert not (chosen & prop.false).any(), prop.name
        if (prop.true | prop.false).all():
            assert (chosen == prop.true).all(), prop.name


def test_what_fits_nothing_that_was_found_is_said():
    scoped = read_sentence("the ship at the lower left")
    assert remarks(scoped, None, 0, num_chosen=0, num_found=13) == [
        '13 regions were found for "the ships", and what the rest of the sentence says fits none of them.'
    ]
    assert remarks(scoped, None, 0, num_chosen=0, num_found=0) == []
