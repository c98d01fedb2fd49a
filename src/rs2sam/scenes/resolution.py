"""Whether a scene shows the ground at a scale that a model was made for."""

from __future__ import annotations

import math

from rs2sam.raster.scene import SceneInfo

_FAR = 3.0  # times finer or coarser than what a model was made for is worth a word


def resolution_lines(model: object, info: SceneInfo, gsd_m: float | None) -> tuple[str, ...]:
    """What is to be said where a scene is much coarser or finer than the images that a model was made for.

    Args:
        model: may say its `gsd_range_m`, see `ProcessingConfig`.
        info: of the scene.
        gsd_m: ground resolution at which the model sees it [m/px]; None: the scene's own.
    """
    known: tuple[float, float] | None = getattr(model, "gsd_range_m", None)
    metres = info.georeference.pixel_size_m(info.size_hw)
    if known is None or metres is None:
        return ()
    seen = max(gsd_m or 0.0, math.sqrt(metres[0] * metres[1]))
    if known[0] / _FAR <= seen <= known[1] * _FAR:
        return ()
    kind, remedy = (
        ("coarser", "What is found there means little")
        if seen > known[1]
        else (
            "finer",
            f"Have it seen coarser with --gsd {known[0]:g}",
        )
    )
    return (
        f"its pixels of {seen:.3g} m are much {kind} than the {known[0]:g} to {known[1]:g} m that the model was made "
        f"for. {remedy}",
    )
