"""More names of what is taught, for training alone: what is measured is said with the names of `nouns`.

People have many words for a thing. A model that met a few of them leans on those; a third of the weight of a first name
for each of these makes it meet the others without drowning the first ones.
"""

from __future__ import annotations

from rs2sam.datasets.english.nouns import NOUNS, Noun

WEIGHT = 0.35
"""Of every name here; the first names of a category have 1 to 9."""

_MORE: dict[str, tuple[tuple[str, str], ...]] = {
    "airplane": (
        ("jetliner", "jetliners"),
        ("passenger plane", "passenger planes"),
        ("cargo plane", "cargo planes"),
        ("airplane on the apron", "airplanes on the apron"),
        ("parked plane", "parked planes"),
        ("fixed-wing aircraft", "fixed-wing aircraft"),
    ),
    "ship": (
        ("ferry", "ferries"),
        ("barge", "barges"),
        ("yacht", "yachts"),
        ("cargo ship", "cargo ships"),
        ("motorboat", "motorboats"),
        ("sailing boat", "sailing boats"),
        ("moored boat", "moored boats"),
        ("fishing boat", "fishing boats"),
    ),
    "storage_tank": (
        ("gas tank", "gas tanks"),
        ("round tank", "round tanks"),
        ("oil reservoir tank", "oil reservoir tanks"),
        ("industrial tank", "industrial tanks"),
        ("white tank", "white tanks"),
        ("liquid storage tank", "liquid storage tanks"),
    ),
    "baseball_diamond": (
        ("ball diamond", "ball diamonds"),
        ("baseball infield", "baseball infields"),
        ("baseball park", "baseball parks"),
        ("baseball court", "baseball courts"),
    ),
    "tennis_court": (
        ("tennis playing court", "tennis playing courts"),
        ("court for tennis", "courts for tennis"),
        ("hard tennis court", "hard tennis courts"),
    ),
    "basketball_court": (
        ("basketball playing court", "basketball playing courts"),
        ("outdoor basketball court", "outdoor basketball courts"),
    ),
    "ground_track_field": (
        ("athletics stadium", "athletics stadiums"),
        ("athletics field", "athletics fields"),
        ("running circuit", "running circuits"),
        ("sports stadium", "sports stadiums"),
        ("track", "tracks"),
    ),
    "harbor": (
        ("quay", "quays"),
        ("landing stage", "landing stages"),
        ("boat pier", "boat piers"),
        ("berth", "berths"),
        ("port", "ports"),
        ("boat landing", "boat landings"),
    ),
    "bridge": (
        ("viaduct", "viaducts"),
        ("flyover", "flyovers"),
        ("highway bridge", "highway bridges"),
        ("bridge over the water", "bridges over the water"),
    ),
    "vehicle": (
        ("motor car", "motor cars"),
        ("van", "vans"),
        ("parked car", "parked cars"),
        ("passenger car", "passenger cars"),
        ("car on the road", "cars on the road"),
    ),
    "large_vehicle": (
        ("heavy vehicle", "heavy vehicles"),
        ("coach", "coaches"),
        ("semi-trailer", "semi-trailers"),
        ("freight truck", "freight trucks"),
        ("big truck", "big trucks"),
    ),
    "building": (
        ("villa", "villas"),
        ("warehouse", "warehouses"),
        ("residence", "residences"),
        ("residential building", "residential buildings"),
        ("house roof", "house roofs"),
        ("hall", "halls"),
        ("shed", "sheds"),
        ("apartment block", "apartment blocks"),
        ("built-up structure", "built-up structures"),
        ("dwelling", "dwellings"),
    ),
    "swimming_pool": (
        ("blue pool", "blue pools"),
        ("garden pool", "garden pools"),
        ("pool of water", "pools of water"),
        ("swim pool", "swim pools"),
    ),
    "road": (
        ("avenue", "avenues"),
        ("motorway", "motorways"),
        ("freeway", "freeways"),
        ("lane", "lanes"),
        ("boulevard", "boulevards"),
        ("tarmac road", "tarmac roads"),
        ("paved street", "paved streets"),
        ("main road", "main roads"),
        ("route", "routes"),
    ),
    "water": (
        ("river", "rivers"),
        ("lake", "lakes"),
        ("pond", "ponds"),
        ("sea", "sea"),
        ("canal", "canals"),
        ("river water", "river water"),
        ("lagoon", "lagoons"),
        ("reservoir", "reservoirs"),
        ("stream", "streams"),
        ("flooded area", "flooded areas"),
    ),
    "vegetation": (
        ("trees", "trees"),
        ("bushes", "bushes"),
        ("green space", "green spaces"),
        ("plants", "plants"),
        ("woods", "woods"),
        ("shrubs", "shrubs"),
        ("lawn and trees", "lawns and trees"),
        ("grass and trees", "grass and trees"),
        ("forest", "forests"),
        ("green plants", "green plants"),
    ),
    "land": (
        ("soil", "soil"),
        ("sand", "sand"),
        ("sandy ground", "sandy ground"),
        ("empty land", "empty land"),
        ("earth", "earth"),
        ("vacant land", "vacant land"),
        ("bare earth", "bare earth"),
        ("exposed soil", "exposed soil"),
        ("open land", "open land"),
        ("desert ground", "desert ground"),
    ),
    "tree": (
        ("tree crown", "tree crowns"),
        ("treetop", "treetops"),
    ),
    "golf_field": (
        ("golf links", "golf links"),
        ("fairway", "fairways"),
        ("golfing ground", "golfing grounds"),
    ),
    "park": (
        ("green park", "green parks"),
        ("public garden", "public gardens"),
        ("municipal park", "municipal parks"),
    ),
    "soccer_field": (("soccer pitch", "soccer pitches"),),
    "roundabout": (
        ("rotary", "rotaries"),
        ("circular intersection", "circular intersections"),
    ),
    "helicopter": (("copter", "copters"),),
}
"""Category -> singular and plural of further names."""

MORE_NOUNS: dict[str, tuple[Noun, ...]] = {
    category: nouns + tuple(Noun(singular, plural, WEIGHT) for singular, plural in _MORE.get(category, ()))
    for category, nouns in NOUNS.items()
}
"""Names of each category as `nouns.NOUNS` has them, with these."""
