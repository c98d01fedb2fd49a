"""A model marks images, and a stage of training goes on from them: `tools/compact/mark_by_model.py` and its recipe."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from rs2sam.cli import main
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.readers.greenery import UNLABELLED
from rs2sam.datasets.readers.marked import MARKS_FILE, POOLS, UNKNOWN, Marks
from rs2sam.datasets.readers.sources import split_of
from rs2sam.segmenter import Segmenter
from rs2sam.training.objective.encode_once import ClassMaps
from rs2sam.training.recipes.settings import load_recipe
from rs2sam.training.reporting import watch
from tests.conftest import REPOSITORY
from tests.small_once import write_once_model

SIDE = 64
RECIPE = REPOSITORY / "recipes" / "compact-marked.yaml"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools" / "compact"))
    return importlib.import_module("mark_by_model")


# --- rules ------------------------------------------------------------------------------------------------------------


def nothing(tool: ModuleType, side: int = SIDE) -> dict[str, np.ndarray]:
    return {name: np.zeros((side, side), np.float32) for name in (*tool.CLASSES, tool.LARGE_VEHICLE)}


def grey(tool: ModuleType, side: int = SIDE, pools: np.ndarray | None = None):
    return tool.MarkedImage("one", np.full((side, side, 3), 128, np.uint8), pools)


def label(tool: ModuleType, name: str) -> int:
    return tool.CLASSES.index(name) + 1


def test_what_is_sure_is_marked_and_what_may_be_is_left_open(tool: ModuleType) -> None:
    maps = nothing(tool)
    maps["building"][:, :16] = 0.7
    maps["building"][:, 16:32] = 0.4
    maps["road"][:, 32:48] = 0.7
    maps["building"][:4, 32:48] = 0.3
    labels = tool.marks_of_photograph(grey(tool), maps)
    assert (labels[:, :16] == label(tool, "building")).all()
    assert (labels[:, 16:32] == UNKNOWN).all()
    assert (labels[4:, 32:48] == label(tool, "road")).all()
    assert (labels[:4, 32:48] == UNKNOWN).all()
    assert (labels[:, 48:] == 0).all()
    maps["road"][:, 32:48] = 0.9  # too sure to be a building
    assert (tool.marks_of_photograph(grey(tool), maps)[:4, 32:48] == label(tool, "road")).all()


def test_specks_of_an_exhaustive_class_are_left_open_and_those_of_others_are_none(tool: ModuleType) -> None:
    maps = nothing(tool)
    maps["building"][2:6, 2:6] = 0.9
    maps["road"][20:24, 20:24] = 0.9
    labels = tool.marks_of_photograph(grey(tool), maps)
    assert (labels[2:6, 2:6] == UNKNOWN).all()
    assert (labels != UNKNOWN).sum() == (labels == 0).sum() == SIDE * SIDE - 16


def test_cars_lie_on_what_is_surer_and_trucks_are_among_them(tool: ModuleType) -> None:
    maps = nothing(tool)
    maps["road"][:] = 0.99
    maps["vehicle"][5:9, 5:9] = 0.6
    maps[tool.LARGE_VEHICLE][30:40, 30:40] = 0.6
    maps["vehicle"][50:54, 50:54] = 0.2
    labels = tool.marks_of_photograph(grey(tool), maps)
    assert (labels[5:9, 5:9] == label(tool, "vehicle")).all()
    assert (labels[30:40, 30:40] == label(tool, "vehicle")).all()
    assert (labels[50:54, 50:54] == UNKNOWN).all()
    assert (labels[10:30, :30] == label(tool, "road")).all()


def test_water_is_never_marked(tool: ModuleType) -> None:
    maps = nothing(tool)
    maps["water"][:, :32] = 0.99
    assert set(np.unique(tool.marks_of_photograph(grey(tool), maps))) == {0, UNKNOWN}
    pools = np.zeros((SIDE, SIDE), bool)
    assert (tool.marks_beside_pools(grey(tool, pools=pools), maps) == 0).all()  # small: a shade
    side = 128
    maps = nothing(tool, side)
    maps["water"][:, :100] = 0.99
    labels = tool.marks_beside_pools(grey(tool, side, np.zeros((side, side), bool)), maps)
    assert (labels[:, :100] == UNKNOWN).all()
    assert (labels[:, 100:] == 0).all()


def test_greenery_that_the_model_misses_is_left_open(tool: ModuleType) -> None:
    image = grey(tool)
    image.rgb[:, :32] = (90, 120, 80)
    maps = nothing(tool)
    maps["vegetation"][:16] = 0.9
    labels = tool.marks_of_photograph(image, maps)
    assert (labels[:16] == label(tool, "vegetation")).all()
    assert (labels[16:, :28] == UNKNOWN).all()
    assert (labels[16:, 36:] == 0).all()


def test_marked_pools_and_their_rim_are_of_no_other_class(tool: ModuleType) -> None:
    pools = np.zeros((SIDE, SIDE), bool)
    pools[20:40, 20:40] = True
    maps = nothing(tool)
    maps["building"][:] = 0.9
    maps["swimming_pool"][:10] = 0.99
    labels = tool.marks_beside_pools(grey(tool, pools=pools), maps)
    assert (labels[17:43, 17:43] == 0).all()
    assert (labels == label(tool, "building")).sum() == SIDE * SIDE - 26 * 26


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A random model without a decoder, and class maps beside it as a run leaves them."""
    folder = write_once_model(tmp_path / "run" / "model", has_decoder=False, dtype="float32")
    torch.manual_seed(0)
    maps = ClassMaps(json.loads((folder / "config.json").read_text())["decoder_width"], len(CATEGORIES))
    save_file(maps.state_dict(), folder.parent / "class_maps.safetensors")
    return folder


def write_data(root: Path) -> Path:
    """Nine photographs, two images with a pool, and one image of each of the two drones' sets."""
    rng = np.random.default_rng(0)

    def picture(folder: str, name: str, side: int = SIDE) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(root / folder / name)

    for number in range(9):
        picture(UNLABELLED, f"town_{number}.jpg")
    for number in [n for n in range(0, 4000, 20) if split_of(POOLS, str(n // 20)) == "train"][:2]:
        picture(f"{POOLS}/images", f"CANNES_TILES_512x512-{number}.jpg")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[20:40, 20:40] = 255
        (root / POOLS / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / POOLS / "masks" / f"CANNES_TILES_512x512-{number}.png")
    entry = {"id": 1, "file_name": "a.jpg", "width": 96, "height": 96}
    for source in ("cats_drone_vehicles", "dronedeploy_chips"):
        group = next(str(n) for n in range(100) if split_of(source, str(n)) == "train")
        picture(f"{source}/images", "a.jpg", 96)
        content = {"images": [{**entry, "group": group}], "exhaustive": ["vehicle"]}
        if source == "dronedeploy_chips":
            (root / source / "masks").mkdir()
            Image.fromarray(np.repeat(np.uint8([[1] * 48 + [3] * 48]), 96, 0)).save(root / source / "masks" / "a.png")
            (root / source / "classes.json").write_text(json.dumps(content))
        else:
            car = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 60, 30], "area": 1800, "box_only": True}
            content |= {"annotations": [car], "categories": [{"id": 1, "name": "vehicle"}]}
            (root / source / "instances.json").write_text(json.dumps(content))
    return root


def test_each_class_is_the_mean_over_its_enlargements_and_a_mirror_image(tool: ModuleType, model: Path) -> None:
    seer = tool.Seer(model, model.parent / "class_maps.safetensors", mixed=False)
    rgb = np.random.default_rng(1).integers(0, 255, (40, 72, 3), np.uint8)
    names = ("road", "building")
    once, twice = ({name: seer.see(rgb, {name: {z: 1.0}})[name] for name in names} for z in (1.0, 2.0))
    together = seer.see(rgb, {"road": {1.0: 3.0, 2.0: 1.0}, "building": {2.0: 0.5}})
    np.testing.assert_allclose(together["road"], (3 * once["road"] + twice["road"]) / 4, atol=1e-6)
    np.testing.assert_allclose(together["building"], twice["building"], atol=1e-6)
    assert once["road"].shape == (40, 72)
    assert np.ptp(once["road"]) > 0
    mirrored = seer.see(rgb[:, ::-1], {"road": {1.0: 1.0}})["road"]
    np.testing.assert_allclose(mirrored[:, ::-1], once["road"], atol=1e-5)


def test_marks_are_made_and_trained_on(
    tool: ModuleType, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, marks, maps = write_data(tmp_path / "data"), tmp_path / "marks", model.parent / "class_maps.safetensors"
    monkeypatch.setattr("sys.argv", ["mark_by_model.py", *map(str, (data, model, maps, marks))])
    tool.main()
    assert len(list((marks / UNLABELLED).glob("*.png"))) == 9
    assert len(list((marks / POOLS).glob("*.png"))) == 2
    told = json.loads((marks / POOLS / MARKS_FILE).read_text())
    assert set(told["made_with"]) == {"rs2sam", "model_sha256", "class_maps_sha256", "enlargements"}
    assert Marks.read(marks / POOLS).exhaustive == {"building", "vegetation", "vehicle", "water"}
    assert Marks.read(marks / UNLABELLED).exhaustive == {"building", "vegetation", "vehicle", "swimming_pool"}

    weights = {"naip_marked": 1, "pools_marked": 1, "cats_mosaic": 1, "drone_mosaic": 1, "naip_greenery": 1}
    changes = {
        "init": model,
        "encode_once.class_maps": maps,
        "data.root": data,
        "data.marked": marks,
        "data.weights": json.dumps(weights),
        "data.side": SIDE,
        "steps": 2,
        "validate.every_steps": 0,
        "tensorboard": "false",
    }
    monkeypatch.setattr(watch, "draw_curves", lambda *_: True)  # seconds of matplotlib
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(main, ["train", str(RECIPE), "-o", str(tmp_path / "out"), *settings])
    assert result.exit_code == 0, result.output
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 2
    assert np.isfinite(log[-1]["loss"])
    found = Segmenter.load(tmp_path / "out" / "model", backend="torch").segment(np.zeros((70, 90, 3), np.uint8), "cars")
    assert found.mask.shape == (70, 90)


def test_recipe_is_the_stage_after_512() -> None:
    recipe, former = load_recipe(RECIPE), load_recipe(RECIPE.with_name("compact-512.yaml"))
    assert set(former.data.weights) | {"naip_marked", "pools_marked", "cats_mosaic", "drone_mosaic"} == set(
        recipe.data.weights
    )
    assert (recipe.encode_once.framed, former.encode_once.framed) == (0.3, 0.0)
    assert (recipe.init, recipe.data.side, recipe.batch_size) == ("runs/compact-512/model", 512, 3)
    assert former.data.marked is None


def test_marks_that_are_not_there_are_told_before_anything_is_read(tmp_path: Path, model: Path) -> None:
    settings = ["--set", f"init={model}", "--set", f"data.root={tmp_path}", "--set", f"data.marked={tmp_path / 'no'}"]
    result = CliRunner().invoke(main, ["train", str(RECIPE), "-o", str(tmp_path / "out"), *settings])
    assert result.exit_code == 1
    assert "`data.marked` = " in result.stderr
    assert "is not there" in result.stderr
