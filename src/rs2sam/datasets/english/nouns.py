"""What each category is called: its nouns, and which objects a narrower noun fits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """One way to name a category.

    Args:
        singular: the word for one; for a mass noun, the only form.
        plural: the word for several; for a mass noun, equal to `singular`.
        weight: how often it is chosen, relative to the others of the category.
    """

    singular: str
    plural: str
    weight: float = 1.0


def _nouns(*entries: tuple[str, str, float]) -> tuple[Noun, ...]:
    return tuple(Noun(singular, plural or f"{singular}s", weight) for singular, plural, weight in entries)


NOUNS: dict[str, tuple[Noun, ...]] = {
    "airplane": _nouns(
        ("airplane", "", 5),
        ("plane", "", 4),
        ("aircraft", "aircraft", 3),
        ("aeroplane", "", 1),
        ("parked airplane", "", 0.3),
        ("jet", "", 0.5),
        ("airliner", "", 0.3),
    ),
    "ship": _nouns(
        ("ship", "", 6), ("boat", "", 3), ("vessel", "", 2), ("watercraft", "watercraft", 0.4), ("craft", "craft", 0.2)
    ),
    "storage_tank": _nouns(
        ("storage tank", "", 6),
        ("oil tank", "", 2),
        ("tank", "", 3),
        ("fuel tank", "", 1),
        ("oil storage tank", "", 1),
        ("round storage tank", "", 0.5),
        ("storagetank", "", 0.4),
        ("circular tank", "", 0.5),
        ("petroleum tank", "", 0.3),
    ),
    "baseball_diamond": _nouns(
        ("baseball diamond", "", 5),
        ("baseball field", "", 4),
        ("ball field", "", 1),
        ("ballfield", "", 0.5),
        ("baseball pitch", "baseball pitches", 0.5),
        ("baseball ground", "", 0.4),
        ("softball field", "", 0.4),
    ),
    "tennis_court": _nouns(("tennis court", "", 8), ("tennis field", "", 0.4), ("tenniscourt", "", 0.3)),
    "basketball_court": _nouns(
        ("basketball court", "", 8), ("basketball field", "", 0.4), ("basketballcourt", "", 0.3)
    ),
    "ground_track_field": _nouns(
        ("ground track field", "", 5),
        ("athletics track", "", 2),
        ("running track", "", 2),
        ("stadium track", "", 1),
        ("track field", "", 1),
        ("sports track", "", 1),
        ("oval track", "", 0.7),
        ("track and field ground", "", 0.5),
        ("athletic track", "", 0.7),
        ("running oval", "", 0.2),
        ("stadium with a running track", "stadiums with a running track", 0.3),
    ),
    "harbor": _nouns(
        ("harbor", "", 5),
        ("harbour", "", 1.5),
        ("pier", "", 2),
        ("dock", "", 2),
        ("boat dock", "", 1),
        ("jetty", "jetties", 0.5),
        ("wharf", "wharves", 0.4),
        ("mooring pier", "", 0.2),
    ),
    "bridge": _nouns(
        ("bridge", "", 9), ("road bridge", "", 0.4), ("river bridge", "", 0.3), ("overpass", "overpasses", 0.5)
    ),
    "vehicle": _nouns(
        ("vehicle", "", 5),
        ("car", "", 5),
        ("small vehicle", "", 1),
        ("automobile", "", 0.5),
        ("motor vehicle", "", 0.2),
        ("parked vehicle", "", 0.2),
    ),
    "building": _nouns(
        ("building", "", 7), ("house", "", 1.5), ("roof", "", 1), ("rooftop", "", 0.7), ("structure", "", 0.5)
    ),
    "swimming_pool": _nouns(
        ("swimming pool", "", 6),
        ("pool", "", 4),
        ("outdoor pool", "", 0.5),
        ("swimmingpool", "", 0.2),
        ("private pool", "", 0.2),
    ),
    "road": _nouns(
        ("road", "", 6),
        ("street", "", 2),
        ("roadway", "", 0.7),
        ("paved road", "", 0.7),
        ("highway", "", 0.4),
        ("asphalt road", "", 0.4),
    ),
    "water": _nouns(
        ("water", "water", 7),
        ("body of water", "bodies of water", 1.5),
        ("water area", "", 1),
        ("water surface", "", 0.5),
        ("open water", "open water", 0.5),
        ("waterbody", "waterbodies", 0.4),
    ),
    "vegetation": _nouns(
        ("vegetation", "vegetation", 6),
        ("greenery", "greenery", 2),
        ("green area", "", 1.5),
        ("vegetated area", "", 1),
        ("plant cover", "plant cover", 0.4),
        ("trees and grass", "trees and grass", 0.8),
        ("green vegetation", "green vegetation", 0.5),
    ),
    "land": _nouns(
        ("land", "land", 3),
        ("bare land", "bare land", 3),
        ("bare ground", "bare ground", 2),
        ("open ground", "open ground", 1),
        ("unpaved ground", "unpaved ground", 0.7),
        ("bare soil", "bare soil", 1),
        ("barren land", "barren land", 0.7),
        ("dirt", "dirt", 0.3),
    ),
    "field": _nouns(
        ("field", "", 4),
        ("farm field", "", 1.5),
        ("crop field", "", 1.5),
        ("agricultural field", "", 1),
        ("farmland", "farmland", 1.5),
        ("field plot", "", 0.3),
    ),
    "tree": _nouns(("tree", "", 9)),
    "large_vehicle": _nouns(
        ("truck", "", 5), ("large vehicle", "", 3), ("bus", "buses", 2), ("lorry", "lorries", 0.5), ("trailer", "", 0.5)
    ),
    "golf_field": _nouns(("golf course", "", 5), ("golf field", "", 1), ("golf green", "", 0.5)),
    "park": _nouns(("park", "", 5), ("public park", "", 1), ("city park", "", 0.7), ("park area", "", 0.5)),
    "soccer_field": _nouns(
        ("soccer field", "", 4), ("football field", "", 2), ("football pitch", "football pitches", 1)
    ),
    "roundabout": _nouns(("roundabout", "", 5), ("traffic circle", "", 1)),
    "helicopter": _nouns(("helicopter", "", 5), ("chopper", "", 0.3)),
}
"""Names of each category. Every one of them names the category alone."""

NOUN_KINDS: dict[str, frozenset[str]] = {
    "car": frozenset({"car"}),
    "automobile": frozenset({"car"}),
    "small vehicle": frozenset({"car", "van"}),
}
"""Noun -> the values of the attribute `kind` that it fits; it is not used where an object is of another kind."""
