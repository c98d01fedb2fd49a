"""How much of a Ray cluster a batch uses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rs2sam.errors import InvalidInputError

# Cores beside those of the models and the finishers, on a machine of one's own.
_READERS = 1


@dataclass(frozen=True)
class RayOptions:
    """How much of a cluster is used.

    Args:
        address: of the cluster; None starts Ray on this machine.
        actors: processes with a model.
        cpus_per_actor: cores that each may use.
        gpus_per_actor: GPUs, or parts of one, that each may use.
        object_store_gib: shared memory for tiles under way, on this machine or in all of the cluster.
        finishers: processes that put scenes together, with a core each; None: one for two actors, at least one.
    """

    address: str | None = None
    actors: int = 1
    cpus_per_actor: float = 1.0
    gpus_per_actor: float = 0.0
    object_store_gib: float = 1.0
    finishers: int | None = None

    def __post_init__(self) -> None:
        if min(self.actors, self.num_finishers) < 1:
            raise InvalidInputError(
                f"Ray needs at least one actor and one finisher, but `--actors` is {self.actors} and `--finishers` "
                f"{self.num_finishers}."
            )
        shares = (self.cpus_per_actor, self.gpus_per_actor)
        if not all(0 <= share < math.inf for share in shares) or not 0.1 <= self.object_store_gib < math.inf:
            raise InvalidInputError(
                "An actor's share is at least 0 and the object store has at least 0.1 GiB, all finite, but "
                f"`--cpus-per-actor` is {self.cpus_per_actor:g}, `--gpus-per-actor` {self.gpus_per_actor:g} and "
                f"`--object-store` {self.object_store_gib:g}."
            )

    @property
    def num_finishers(self) -> int:
        """Processes that put scenes together."""
        return math.ceil(self.actors / 2) if self.finishers is None else self.finishers

    @property
    def num_cores(self) -> int:
        """Cores that Ray is given where it is started for the run."""
        return math.ceil(self.actors * max(1.0, self.cpus_per_actor)) + self.num_finishers + _READERS
