"""How fast many scenes get done on many machines: the model on paper of docs/cluster.md, as a function.

    rate = min(A / (T S m),  F / (f + T e),  R / (T r),  1 / (d + T p),  C / (all of them))        scenes per second
    time = t_0 + (N - 1) / rate

Every stage works at its own pace and the slowest one counts; on one machine they also share its C cores. The local
engine does everything for one scene after another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Seconds of a core (of a GPU for `answer_s` where the model runs on one) that parts of the work take.

    Args:
        read_s: r, to read and pack a tile.
        answer_s: m, for the model to answer one sentence about a tile.
        finish_scene_s: f, to put a scene together, whatever its size: opening, choosing, writing.
        finish_tile_s: e, in addition for each tile: blending, finding regions, writing.
        driver_scene_s: d, of the driver for a scene: manifest, handing out.
        driver_tile_s: p, of the driver to pass a tile on.
    """

    read_s: float
    answer_s: float
    finish_scene_s: float
    finish_tile_s: float
    driver_scene_s: float = 0.0
    driver_tile_s: float = 0.0

    def model_s(self, tiles: int, sentences: int = 1) -> float:
        """Of the model for a scene."""
        return tiles * sentences * self.answer_s

    def finish_s(self, tiles: int) -> float:
        """Of a finisher for a scene."""
        return self.finish_scene_s + tiles * self.finish_tile_s

    def driver_s(self, tiles: int) -> float:
        """Of the driver for a scene."""
        return self.driver_scene_s + tiles * self.driver_tile_s


@dataclass(frozen=True)
class Cluster:
    """What works at the same time.

    Args:
        actors: A, processes with a model.
        finishers: F, processes that put scenes together.
        readers: R, cores for reading.
        cores: C, of one machine that does it all; None: each part has cores of its own.
    """

    actors: int
    finishers: int
    readers: float
    cores: int | None = None


def scenes_per_second(costs: Costs, cluster: Cluster, tiles: int, sentences: int = 1) -> tuple[float, str]:
    """The steady rate on Ray, and which part is the narrow place.

    Args:
        costs: of the parts.
        cluster: what works at once.
        tiles: T, of a scene.
        sentences: S, asked about each.
    """
    model, finish, driver = costs.model_s(tiles, sentences), costs.finish_s(tiles), costs.driver_s(tiles)
    read = tiles * costs.read_s
    rates = {
        "model": cluster.actors / model,
        "finishers": cluster.finishers / finish,
        "reading": cluster.readers / read,
        "driver": 1 / driver if driver else float("inf"),
    }
    if cluster.cores is not None:
        rates["cores"] = cluster.cores / (model + finish + read + driver)
    narrowest = min(rates, key=lambda name: rates[name])
    return rates[narrowest], narrowest


def local_scenes_per_second(costs: Costs, tiles: int, sentences: int = 1) -> float:
    """The steady rate of the local engine with one thread, where scenes follow each other."""
    return 1 / (tiles * costs.read_s + costs.model_s(tiles, sentences) + costs.finish_s(tiles))


def actors_that_saturate(costs: Costs, tiles: int, sentences: int = 1) -> float:
    """Actors from which on the driver is the narrow place, if there are finishers and readers enough."""
    driver = costs.driver_s(tiles)
    return costs.model_s(tiles, sentences) / driver if driver else float("inf")
