from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam import Segmenter
from rs2sam.backends import BackendOutput
from rs2sam.errors import (
    DataNotFoundError,
    InvalidImageError,
    InvalidInputError,
    MissingDependencyError,
    WeightsNotFoundError,
)
from rs2sam.mirror import MirroringSegmenter
from rs2sam.pictures import one_per_sentence
from rs2sam.processing import Processor
from rs2sam.raster import read as reading
from rs2sam.views.in_memory import segment_scene
from rs2sam.views.options import SceneOptions
from tests.small_model import IMAGE_SIZE, small_processor, write_small_model

CELLS = IMAGE_SIZE // 4


class BrightnessBackend:
    """Foreground is what is brighter than the image's mean pixel value of ImageNet; remembers its batches.

    `batches` are numbers of sentences, `pictures` those of the pictures that they are about.
    """

    name = "brightness"
    batch_size = 4

    def __init__(self, *, heads: bool = True, presence: float = 3.0) -> None:
        self.has_presence = self.has_score = heads
        self.presence = presence
        self.batches: list[int] = []
        self.pictures: list[int] = []

    def run(self, pixel_values, union_pixel_values, input_ids, attention_mask):
        size = len(input_ids)
        self.batches.append(size)
        self.pictures.append(len(pixel_values))
        pixel_values = one_per_sentence(pixel_values, size)
        assert pixel_values.shape == (size, 3, IMAGE_SIZE, IMAGE_SIZE)
        assert input_ids.shape == attention_mask.shape
        cells = pixel_values.mean(1).reshape(size, CELLS, 4, CELLS, 4).mean((2, 4))  # (B, h, w)
        return BackendOutput(
            low_res_logits=(5 * cells + 0.5).astype(np.float32),
            pseudo_mask=np.zeros((size, 2, 2), np.float32),
            presence_logits=np.full(size, self.presence, np.float32) if self.has_presence else None,
            iou_scores=np.full(size, 0.75, np.float32) if self.has_score else None,
        )


@pytest.fixture
def backend():
    return BrightnessBackend()


@pytest.fixture
def segmenter(backend):
    return Segmenter(small_processor(), backend)


def half_bright(height=48, width=80):
    """Left half white, right half black."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2] = 255
    return rgb


def test_an_array_gives_a_mask_at_its_own_size(segmenter):
    result = segmenter.segment(half_bright(), "the roof")
    assert result.mask.shape == result.probability.shape == (48, 80)
    assert result.mask.dtype == np.bool_
    assert result.probability.dtype == np.float32
    np.testing.assert_array_equal(result.mask, half_bright()[..., 0] > 0)
    np.testing.assert_array_equal(result.mask, result.probability > 0.5)
    assert result.sentence == "the roof"


def test_results_are_values(segmenter):
    result = segmenter.segment(half_bright(), "the roof")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.sentence = "another"


def test_presence_and_score_are_probabilities(segmenter):
    result = segmenter.segment(half_bright(), "the roof")
    assert result.presence == pytest.approx(1 / (1 + np.exp(-3)))
    assert result.score == pytest.approx(0.75)


def test_presence_and_score_are_none_without_the_heads():
    result = Segmenter(small_processor(), BrightnessBackend(heads=False)).segment(half_bright(), "the roof")
    assert result.presence is None
    assert result.score is None


@pytest.mark.parametrize("presence", [-1000.0, 1000.0])
def test_extreme_presence_does_not_overflow(presence):
    segmenter = Segmenter(small_processor(), BrightnessBackend(presence=presence))
    assert segmenter.segment(half_bright(), "the roof").presence == (presence > 0)


@pytest.mark.parametrize("size_hw", [(48, 80), (300, 200)])
def test_min_presence_empties_the_mask_and_keeps_the_number(size_hw):
    segmenter = Segmenter(small_processor(), BrightnessBackend(presence=-2.0))
    kept = segmenter.segment(half_bright(*size_hw), "the roof")
    emptied = segmenter.segment(half_bright(*size_hw), "the roof", min_presence=0.5)
    assert kept.mask.any()
    assert not emptied.mask.any()
    assert not emptied.probability.any()
    assert emptied.presence == pytest.approx(kept.presence)


@pytest.mark.parametrize("size_hw", [(48, 80), (300, 200)])
def test_a_models_own_limit_holds_unless_another_is_given(size_hw):
    processor = small_processor()
    limited = Processor(dataclasses.replace(processor.config, min_presence=0.5), processor.tokenizer)
    segmenter = Segmenter(limited, BrightnessBackend(presence=-2.0))
    assert segmenter.min_presence == 0.5
    assert not segmenter.segment(half_bright(*size_hw), "the roof").mask.any()
    assert segmenter.segment(half_bright(*size_hw), "the roof", min_presence=0.0).mask.any()


def test_a_view_is_emptied_below_the_limit_and_kept_at_it():
    (view,) = Segmenter(small_processor(), BrightnessBackend(presence=0.0)).segment_views([(half_bright(), "the roof")])
    assert view.presence == 0.5
    assert view.if_present(0.5) is view
    assert not view.if_present(0.51).mask.any()
    unknown = dataclasses.replace(view, presence=None)
    assert unknown.if_present(1.0) is unknown


def test_polygons_of_an_array_are_in_pixels(segmenter):
    (polygon,) = segmenter.segment(half_bright(), "the roof").polygons()
    assert polygon.bounds == (0, 0, 40, 48)


def test_nothing_found_is_a_valid_result(segmenter):
    result = segmenter.segment(np.zeros((30, 40, 3), np.uint8), "the roof")
    assert not result.mask.any()
    assert result.polygons() == []


def test_an_image_up_to_twice_the_models_side_is_one_view(segmenter, backend):
    segmenter.segment(half_bright(2 * IMAGE_SIZE, 50), "the roof")
    assert backend.batches == [1]


@pytest.mark.parametrize("size_hw", [(130, 40), (200, 300)])
def test_a_larger_image_is_tiled_and_blended(segmenter, backend, size_hw):
    result = segmenter.segment(half_bright(*size_hw), "the roof")
    assert sum(backend.batches) > 1
    assert result.mask.shape == size_hw
    expected = half_bright(*size_hw)[..., 0] > 0
    assert (result.mask == expected).mean() > 0.98
    assert result.presence == pytest.approx(1 / (1 + np.exp(-3)))
    assert result.score == pytest.approx(0.75)


def test_tile_and_overlap_are_the_callers_choice(segmenter, backend):
    segmenter.segment(half_bright(100, 100), "the roof", tile=50, overlap=0)
    assert sum(backend.batches) == 4
    backend.batches.clear()
    segmenter.segment(half_bright(500, 400), "the roof", tile=500)
    assert sum(backend.batches) == 1


def test_many_equals_one_by_one_in_order_and_in_batches(segmenter, backend):
    images = [half_bright(40, 60), half_bright(60, 40), half_bright(200, 150), half_bright(30, 30), half_bright(50, 50)]
    pairs = [(image, f"roof number {index}") for index, image in enumerate(images)]
    together = segmenter.segment_many(iter(pairs), batch_size=3)
    assert backend.batches[0] == 2
    assert max(backend.batches) <= 3
    for (image, sentence), result in zip(pairs, together, strict=True):
        alone = segmenter.segment(image, sentence)
        assert result.sentence == sentence
        np.testing.assert_allclose(result.probability, alone.probability, atol=1e-6)


@pytest.fixture
def prepared(monkeypatch):
    """Sizes of the arrays that the processor prepares, in order."""
    sizes = []
    images = Processor.images
    monkeypatch.setattr(Processor, "images", lambda self, rgb: sizes.append(rgb.shape[:2]) or images(self, rgb))
    return sizes


def test_what_is_no_image_is_refused_in_first_place_too(segmenter):
    with pytest.raises(InvalidImageError):
        segmenter.segment(None, "the roof")


@pytest.mark.parametrize("call", ["segment_many", "segment_views"])
def test_sentences_about_one_array_share_it_also_over_batches(segmenter, backend, prepared, call):
    image, other = half_bright(40, 60), half_bright(60, 40)
    pairs = [(image, f"roof {number}") for number in range(5)] + [(other, "the roof")]
    found = getattr(segmenter, call)(pairs, batch_size=2)
    assert prepared == [(40, 60), (60, 40)]
    # Four sentences about one picture in two batches; then one about each of two.
    assert (backend.batches, backend.pictures) == ([2, 2, 2], [1, 1, 2])
    assert [one.sentence for one in found] == [sentence for _, sentence in pairs]
    for (rgb, _), one in zip(pairs, found, strict=True):
        np.testing.assert_array_equal(one.mask, rgb[..., 0] > 0)


@pytest.mark.parametrize(("order", "pictures"), [("AAB", 3), ("ABAB", 4), ("AABB", 2)])
def test_a_batch_holds_each_array_once_where_its_sentences_go_evenly(segmenter, backend, prepared, order, pictures):
    arrays = {"A": half_bright(40, 60), "B": half_bright(60, 40)}
    found = segmenter.segment_views([(arrays[name], "the roof") for name in order])
    assert backend.pictures == [pictures]
    assert prepared == [(40, 60), (60, 40)]
    assert [one.mask.shape for one in found] == [arrays[name].shape[:2] for name in order]


def test_arrays_of_their_own_are_never_taken_for_one_another(segmenter):
    # Each array is gone before the next is made, perhaps at the same place in memory.
    pairs = ((np.full((32, 32, 3), 255 * (number % 2), np.uint8), "the roof") for number in range(6))
    found = segmenter.segment_many(pairs, batch_size=1)
    assert [bool(one.mask.any()) for one in found] == [False, True] * 3


def test_a_path_in_a_row_is_read_once(segmenter, tmp_path, monkeypatch):
    Image.fromarray(half_bright(40, 60)).save(tmp_path / "a.png")
    Image.fromarray(half_bright(60, 40)).save(tmp_path / "b.png")
    read, read_scene = [], reading.read_scene
    monkeypatch.setattr(reading, "read_scene", lambda path, options: read.append(Path(path).name) or read_scene(path))
    paths = [tmp_path / "a.png", str(tmp_path / "a.png"), tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.png"]
    found = segmenter.segment_many([(path, "the roof") for path in paths], batch_size=2)
    assert read == ["a.png", "b.png", "a.png"]
    assert [one.mask.shape for one in found] == [(40, 60)] * 3 + [(60, 40), (40, 60)]


def test_a_tile_of_more_sentences_than_fit_a_batch_is_prepared_once(segmenter, backend, prepared):
    scene = reading.scene_of(half_bright(64, 112))
    sentences = ["the roof", "the road", "the ship"]
    options = SceneOptions(tile=64, overlap=16, batch_size=2)
    for found in segment_scene(segmenter, scene, sentences, options):
        np.testing.assert_array_equal(found.mask, scene.rgb[..., 0] > 0)
    assert prepared == [(64, 64)] * 2  # of two tiles
    assert backend.batches == [2, 1, 2, 1]
    assert backend.pictures == [1] * 4


def test_mirror_images_are_prepared_once_too(segmenter, prepared):
    image = half_bright(40, 60)
    MirroringSegmenter(segmenter).segment_views([(image, f"roof {number}") for number in range(4)], batch_size=2)
    assert prepared == [(40, 60)] * 2


def test_no_pairs_give_no_results(segmenter):
    assert segmenter.segment_many([]) == []


def test_views_are_never_tiled(segmenter, backend):
    (result,) = segmenter.segment_views([(half_bright(300, 300), "the roof")])
    assert backend.batches == [1]
    assert result.mask.shape == (300, 300)


@pytest.mark.parametrize("call", ["segment_many", "segment_views"])
def test_batches_of_nothing_are_rejected(segmenter, call):
    with pytest.raises(InvalidInputError, match="batch_size"):
        getattr(segmenter, call)([(half_bright(), "the roof")], batch_size=0)


def test_pictures_and_files_equal_their_arrays(segmenter, tmp_path):
    Image.fromarray(half_bright()).save(tmp_path / "a.png")
    expected = segmenter.segment(half_bright(), "the roof").probability
    for source in (Image.fromarray(half_bright()), tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_array_equal(segmenter.segment(source, "the roof").probability, expected)


@pytest.mark.parametrize("size_hw", [(48, 80), (300, 200)])
def test_transparent_pixels_are_never_foreground(segmenter, size_hw):
    rgba = np.dstack([np.full((*size_hw, 3), 255, np.uint8), np.full(size_hw, 255, np.uint8)])
    rgba[:10, :, 3] = 0
    result = segmenter.segment(rgba, "the roof")
    assert not result.mask[:10].any()
    assert not result.probability[:10].any()
    assert result.mask[20:].all()


def test_a_georeferenced_file_gives_polygons_in_its_crs(segmenter, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.Affine(0.5, 0, 600000, 0, -0.5, 4400000)
    profile = {"driver": "GTiff", "height": 48, "width": 80, "count": 3, "dtype": "uint8", "crs": "EPSG:26910"}
    with rasterio.open(tmp_path / "a.tif", "w", transform=transform, photometric="RGB", **profile) as dataset:
        dataset.write(np.moveaxis(half_bright(), -1, 0))
    result = segmenter.segment(tmp_path / "a.tif", "the roof")
    assert result.crs.to_epsg() == 26910
    assert result.transform == transform
    (polygon,) = result.polygons()
    assert polygon.bounds == (600000, 4400000 - 24, 600000 + 20, 4400000)


def test_an_array_has_no_crs(segmenter):
    result = segmenter.segment(half_bright(), "the roof")
    assert result.crs is None
    assert result.transform.is_identity
    (view,) = segmenter.segment_views([(half_bright(), "the roof")])
    assert view.crs is view.transform is None


@pytest.mark.parametrize("sentence", ["", " \n"])
@pytest.mark.parametrize("size_hw", [(48, 80), (300, 200)])
def test_blank_sentences_are_rejected(segmenter, sentence, size_hw):
    with pytest.raises(InvalidInputError, match="must name"):
        segmenter.segment(half_bright(*size_hw), sentence)


@pytest.mark.parametrize("sentence", ["飞机在左边", "🛩️", "LE TOIT ROUGE", "a </s> b"])
def test_any_language_is_accepted(segmenter, sentence):
    assert segmenter.segment(half_bright(), sentence).mask.any()


def test_missing_files_are_named(segmenter, tmp_path):
    with pytest.raises(DataNotFoundError, match="absent"):
        segmenter.segment(tmp_path / "absent.tif", "the roof")


def test_the_model_is_described(segmenter):
    assert segmenter.image_size == IMAGE_SIZE
    assert segmenter.backend_name == "brightness"


def test_load_says_what_a_model_may_be(tmp_path):
    with pytest.raises(WeightsNotFoundError, match="compact"):
        Segmenter.load("no such model")
    with pytest.raises(WeightsNotFoundError):
        Segmenter.load(tmp_path)


@pytest.mark.parametrize("name", ["rrsisd", "refsegrs"])
def test_load_asks_for_torch_before_it_downloads_anything(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=rf"`{name}` needs `torch`.*pip install 'rs2sam\[torch\]'"):
        Segmenter.load(name)


def test_load_reads_a_folder_with_torch(tmp_path):
    pytest.importorskip("torch")
    folder = write_small_model(tmp_path / "model")
    segmenter = Segmenter.load(folder, device="cpu")
    assert segmenter.backend_name == "torch"
    result = segmenter.segment(half_bright(), "the roof")
    assert result.mask.shape == (48, 80)
    assert 0 <= result.presence <= 1
    assert Segmenter.load(str(folder), backend="torch", device="cpu").image_size == IMAGE_SIZE


def test_the_shipped_model_is_the_default(data_dir: Path):
    if not (Path(__file__).parents[1] / "src/rs2sam/weights/compact/image.onnx").is_file():
        pytest.skip("the package has no compact weights yet")
    segmenter = Segmenter.load()
    assert segmenter.backend_name == "onnx"
    image = sorted((data_dir / "geotiff" / "naip").glob("*.tif"))[0]
    result = segmenter.segment(image, "all buildings")
    assert result.mask.shape == (256, 256)
    assert result.crs.to_epsg() in (26910, 26911)


def two_bright_squares():
    """A large and a small white square on black, in one view."""
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[8:32, 8:32] = 255
    rgb[44:52, 76:84] = 255
    return rgb


@pytest.fixture
def choosing(backend):
    processor = small_processor()
    return Segmenter(
        Processor(dataclasses.replace(processor.config, choose_in_view=True), processor.tokenizer), backend
    )


def test_a_model_may_leave_words_that_compare_to_the_choice_among_regions(choosing):
    image = two_bright_squares()
    everything, largest, smallest = (
        choosing.segment(image, sentence).mask for sentence in ("all ships", "the largest ship", "the smallest ship")
    )
    assert everything[20, 20]
    assert everything[48, 80]
    assert largest[20, 20]
    assert not largest[48, 80]
    assert smallest[48, 80]
    assert not smallest[20, 20]


def test_regions_that_are_not_meant_have_no_probability(choosing):
    result = choosing.segment(two_bright_squares(), "the largest ship")
    assert result.sentence == "the largest ship"
    assert result.probability[20, 20] > 0.5 > result.probability[48, 80]


def test_what_a_landmark_is_is_asked_too(choosing, backend):
    choosing.segment(two_bright_squares(), "the ship nearest the bridge")
    assert sum(backend.batches) == 2


def test_scope_tile_leaves_every_word_to_the_model(choosing):
    result = choosing.segment(two_bright_squares(), "the largest ship", scope="tile")
    assert result.mask[48, 80]


def test_a_model_reads_one_view_itself_unless_it_says_otherwise(segmenter):
    assert segmenter.segment(two_bright_squares(), "the largest ship").mask[48, 80]


def test_tiles_are_chosen_among_as_scenes_are(segmenter):
    result = segmenter.segment(two_bright_squares(), "the largest ship", tile=32)
    assert result.mask[20, 20]
    assert not result.mask[48, 80]
