"""A batch from its plan to its summary: manifest, engine, and what is made of all results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rs2sam.batch.catalog import (
    FinishedScene,
    refuse_foreign_catalog,
    refuse_scenes_in_place,
    remove_catalog,
    write_catalog,
)
from rs2sam.batch.engine import BatchSettings, Watcher
from rs2sam.batch.inputs import Shard
from rs2sam.batch.manifest import (
    Manifest,
    State,
    forget,
    manifest_path,
    open_manifest,
    read_all,
    refuse_other_settings,
)
from rs2sam.batch.merge import merge_polygons
from rs2sam.batch.polygon_reading import ScenePolygons
from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import RetryPolicy, Schedule, is_stale, refuse_foreign_results, result_path
from rs2sam.errors import InvalidInputError
from rs2sam.fields import parse_json
from rs2sam.files import check_utf8
from rs2sam.scenes.reports import whole_report

Engine = Callable[[Schedule, Watcher], None]

# Names that `rs2sam batch` gives to the file of all polygons.
_MERGED = ("polygons.gpkg", "polygons.parquet")


@dataclass(frozen=True)
class BatchPlan:
    """What a batch is to do.

    Args:
        settings: the same for all scenes.
        scenes: of all shards.
        shard: the part that is run; None: all of it.
        policy: of retries.
        retry_failed: whether scenes that failed for good earlier are tried again.
        overwrite: whether everything is done anew.
        merged: name of the file of all polygons, in the folder of the batch; None: none.
        catalog: whether a STAC catalog of the results is written; if not, an earlier one is removed, as what an
            earlier run merged into another file is.

    Raises:
        InvalidInputError: when results of a scene would lie in the folder of the catalog.
    """

    settings: BatchSettings
    scenes: Sequence[SceneInput]
    shard: Shard | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    retry_failed: bool = False
    overwrite: bool = False
    merged: str | None = "polygons.gpkg"
    catalog: bool = False

    def __post_init__(self) -> None:
        if self.catalog:
            refuse_scenes_in_place(self.scenes)

    @property
    def own_scenes(self) -> list[SceneInput]:
        """The scenes of the shard."""
        return [scene for scene in self.scenes if self.shard is None or self.shard.holds(scene.key)]

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies."""
        return manifest_path(self.settings.folder, self.shard)

    @property
    def summary_path(self) -> Path:
        """Where the summary goes."""
        return self.manifest_path.with_name(self.manifest_path.stem.replace("manifest", "batch") + ".json")


def preview_states(plan: BatchPlan) -> dict[str, State]:
    """What a run would find, by the scenes' keys, without changing anything: `pending` scenes would be run.

    Raises:
        InvalidInputError: what the run would raise before it begins.
    """
    folder, settings = plan.settings.folder, plan.settings.of_the_result()
    _refuse_beforehand(plan)
    if plan.overwrite:
        return {scene.key: "pending" for scene in plan.own_scenes}
    manifest = Manifest(None, read_all(plan.manifest_path, settings))
    refuse_foreign_results(plan.own_scenes, manifest, folder)
    states: dict[str, State] = {}
    for scene in plan.own_scenes:
        record = manifest[scene.key]
        retried = record.state == "running" or (record.state == "failed" and plan.retry_failed)
        states[scene.key] = "pending" if retried or is_stale(record, scene, folder) else record.state
    return states


def run_batch(plan: BatchPlan, engine: Engine, watcher: Watcher) -> dict[str, Any]:
    """Run what is not finished, then write the merged polygons, the catalog and the summary.

    A shard writes its summary only; a run without a shard after all of them merges.

    Args:
        plan: what to do.
        engine: runs a schedule; it is not called when nothing is left to do.
        watcher: is told how it gets on.

    Returns:
        The summary, as it lies in `batch.json`.

    Raises:
        InvalidInputError: the folder holds another batch or is in use, and what the engine raises.
    """
    start = time.time()
    scenes, folder, settings = plan.own_scenes, plan.settings.folder, plan.settings.of_the_result()
    _refuse_beforehand(plan)
    if plan.overwrite:
        forget(folder, plan.shard)
    with open_manifest(plan.manifest_path, settings) as manifest:
        if plan.overwrite:
            manifest.again(scene.key for scene in scenes)
        schedule = Schedule(scenes, manifest, folder, plan.policy, plan.retry_failed)
        num_run = schedule.num_left
        if num_run:
            watcher.begins(num_run)
            engine(schedule, watcher)
        finished = list(_finished(scenes, manifest, folder))
        summary = {
            **_describe(scenes, manifest, finished),
            "run_now": num_run,
            "shard": None if plan.shard is None else f"{plan.shard.number}/{plan.shard.count}",
            "merged": None,
            "catalog": None,
        }
        if plan.shard is None:
            _remove_merged_elsewhere(plan)
            # What the scenes came to is known whatever becomes of the merged file and the catalog.
            _write_json(plan.summary_path, summary | {"seconds": round(time.time() - start, 3)})
            summary |= _gather(plan, finished)
        summary["seconds"] = round(time.time() - start, 3)
        _write_json(plan.summary_path, summary)
    return summary


def _refuse_beforehand(plan: BatchPlan) -> None:
    """Raise InvalidInputError for what would fail after the work is done, or destroy what is there."""
    settings = plan.settings
    # All of them stand in the manifest.
    check_utf8("name of a folder", str(settings.folder))
    check_utf8("name of a model", str(settings.model))
    for sentence in settings.sentences:
        check_utf8("text of a sentence", sentence)
    if plan.catalog and plan.shard is None:
        refuse_foreign_catalog(plan.settings.folder)
    if plan.overwrite and plan.shard is not None:
        refuse_other_settings(plan.manifest_path, plan.settings.of_the_result())


def _finished(scenes: Iterable[SceneInput], manifest: Manifest, folder: Path) -> Iterable[FinishedScene]:
    """The scenes that are done, with their results.

    Raises:
        InvalidInputError: results were changed or removed while the batch was under way.
    """
    for scene in scenes:
        record = manifest[scene.key]
        if record.state == "done":
            path = result_path(folder, scene)
            report = whole_report(path)
            if report is None:
                raise InvalidInputError(
                    f"Results of finished scenes must stay as they are while a batch is under way, but {str(path)!r} "
                    "or a file that it names is damaged or gone. Give the same command again: its scene is run anew."
                )
            yield FinishedScene(scene, path.parent, report, record.time)


def _describe(scenes: Sequence[SceneInput], manifest: Manifest, finished: Sequence[FinishedScene]) -> dict[str, Any]:
    """Counts, failures and what was found."""
    failed = [scene for scene in scenes if manifest[scene.key].state == "failed"]
    totals: dict[str, dict[str, Any]] = {}
    for each in finished:
        for found in each.report["sentences"]:
            total = totals.setdefault(found["sentence"], {"scenes": 0, "polygons": 0, "pixels": 0})
            total["scenes"] += bool(found["found"])
            total["polygons"] += found["polygons"]
            total["pixels"] += found["pixels"]
    return {
        "scenes": len(scenes),
        "done": len(finished),
        "failed": [
            {
                "scene": scene.key,
                "source": scene.source,
                "attempts": manifest[scene.key].attempts,
                "error": manifest[scene.key].error,
            }
            for scene in failed
        ],
        "with_lost_blocks": [scene.key for scene in scenes if manifest[scene.key].num_lost],
        "sentences": [{"sentence": sentence, **total} for sentence, total in totals.items()],
    }


def _gather(plan: BatchPlan, finished: Sequence[FinishedScene]) -> dict[str, Any]:
    """Write what is made of all results."""
    folder = plan.settings.folder
    made: dict[str, Any] = {}
    if plan.merged is not None:
        made["merged"] = merge_polygons([_polygons_of(each) for each in finished], folder / plan.merged)
    if plan.catalog:
        made["catalog"] = write_catalog(finished, folder).relative_to(folder).as_posix()
    else:
        remove_catalog(folder)
    return made


def _polygons_of(finished: FinishedScene) -> ScenePolygons:
    """Where the polygons of a scene lie."""
    report = finished.report
    path = finished.folder / report["outputs"]["polygons"]
    return ScenePolygons(finished.scene, path, has_crs=report["source"]["crs_wkt"] is not None)


def _remove_merged_elsewhere(plan: BatchPlan) -> None:
    """Remove what the last run merged into a file that this one does not write: it would grow old unnoticed."""
    try:
        name = parse_json(plan.summary_path.read_text(encoding="utf-8"))["merged"]["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    # A summary that somebody changed may name anything, and only what a batch merges is removed.
    if name in _MERGED and name != plan.merged:
        path = plan.settings.folder / name
        if path.is_file():
            path.unlink()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)
