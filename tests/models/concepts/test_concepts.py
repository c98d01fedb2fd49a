"""The models asked in two steps, against transformers' own forward pass."""

import numpy as np
import pytest
import torch
from transformers import CLIPSegForImageSegmentation, Sam3Model

from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.models.concepts.loading import load_concepts
from rs2sam.models.concepts.processor import ConceptProcessor
from tests.make_concepts import SAM3_SIDE

PHRASES = ["storage tank", "water", "a ship in the harbour"]
CPU = torch.device("cpu")


def pictures(count, side):
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (side, side + 9, 3), dtype=np.uint8) for _ in range(count)]


def inputs(folder, kind, count):
    processor = ConceptProcessor.from_concept_folder(folder, kind)
    pixels = np.stack([processor.images(rgb).pixel_values for rgb in pictures(count, 40)])
    text = processor.sentences(PHRASES * count)
    return torch.from_numpy(pixels), torch.from_numpy(text.input_ids), torch.from_numpy(text.attention_mask)


@torch.no_grad()
def test_sam3_in_two_steps_finds_what_its_forward_pass_finds(sam3_folder):
    pixels, ids, mask = inputs(sam3_folder, "sam3", 2)
    concepts = load_concepts(sam3_folder, CPU)
    answer = concepts.answer(concepts.encode(pixels), concepts.read(ids, mask), mask)
    whole = Sam3Model.from_pretrained(sam3_folder).eval()(
        pixel_values=pixels.repeat_interleave(3, 0), input_ids=ids, attention_mask=mask
    )
    scores = whole.pred_logits.sigmoid() * whole.presence_logits.sigmoid()
    assert 0 < (scores > 0.3).sum() < scores.numel()  # the threshold has something to decide
    torch.testing.assert_close(answer.presence_logits, whole.presence_logits[:, 0], atol=1e-4, rtol=1e-4)
    for row, (masks, own_scores) in enumerate(answer.objects):
        kept = scores[row] > 0.3
        torch.testing.assert_close(own_scores, scores[row][kept], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(masks, whole.pred_masks[row][kept], atol=1e-3, rtol=1e-3)
        if kept.any():
            torch.testing.assert_close(answer.logits[row], masks.amax(0))
        else:
            assert answer.logits[row].max() < -10


@torch.no_grad()
def test_clipseg_in_two_steps_finds_what_its_forward_pass_finds(clipseg_folder):
    pixels, ids, mask = inputs(clipseg_folder, "clipseg", 2)
    concepts = load_concepts(clipseg_folder, CPU)
    answer = concepts.answer(concepts.encode(pixels), concepts.read(ids, mask), mask)
    whole = CLIPSegForImageSegmentation.from_pretrained(clipseg_folder).eval()(
        pixel_values=pixels.repeat_interleave(3, 0), input_ids=ids, attention_mask=mask
    )
    torch.testing.assert_close(answer.logits, whole.logits, atol=1e-4, rtol=1e-4)
    assert answer.objects is answer.presence_logits is answer.scores is None


@torch.no_grad()
def test_the_tracker_reads_what_the_detectors_backbone_left(sam3_folder):
    pixels, _, _ = inputs(sam3_folder, "sam3", 1)
    concepts = load_concepts(sam3_folder, CPU)
    (encoding,) = concepts.encode(pixels)
    point, label = torch.tensor([[20.0, 30.0]]), torch.tensor([1], dtype=torch.int32)
    logits, score = concepts.prompt(encoding, point, label, None)
    tracker = concepts._tracker
    assert tracker.vision_encoder.backbone is concepts.model.vision_encoder.backbone
    whole = tracker(pixel_values=pixels, input_points=point[None, None], input_labels=label[None, None])
    best = int(whole.iou_scores[0, 0].argmax())
    torch.testing.assert_close(logits, whole.pred_masks[0, 0, best], atol=1e-4, rtol=1e-4)
    assert score == whole.iou_scores[0, 0, best].clamp(0, 1)
    box = torch.tensor([10.0, 10.0, 40.0, 30.0])
    logits, _ = concepts.prompt(encoding, torch.zeros(0, 2), torch.zeros(0, dtype=torch.int32), box)
    whole = tracker(pixel_values=pixels, input_boxes=box[None, None], multimask_output=False)
    torch.testing.assert_close(logits, whole.pred_masks[0, 0, 0], atol=1e-4, rtol=1e-4)


def test_a_detector_alone_loads_and_takes_no_points(sam3_folder, tmp_path):
    Sam3Model.from_pretrained(sam3_folder).save_pretrained(tmp_path)
    assert not load_concepts(tmp_path, CPU).takes_prompts


def test_missing_tensors_are_an_error_not_random_numbers(sam3_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_bytes((sam3_folder / "config.json").read_bytes())
    tensors = load_file(sam3_folder / "model.safetensors")
    del tensors["detector_model.text_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 of Sam3Model.*text_projection"):
        load_concepts(tmp_path, CPU)


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damaged_weights_are_said_in_one_line(damage, clipseg_folder, tmp_path):
    for file in clipseg_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:5000] if damage == "cut" else b"\xff" * len(content))
    with pytest.raises(CheckpointError, match=r"cannot be loaded as CLIPSeg[^\n]*copy or download[^\n]*$"):
        load_concepts(tmp_path, CPU)


def test_pictures_are_squares_scaled_from_minus_one_to_one(sam3_folder):
    processor = ConceptProcessor.from_concept_folder(sam3_folder, "sam3")
    half_white = np.zeros((30, 50, 3), dtype=np.uint8)
    half_white[:, 25:] = 255
    pixels = processor.images(half_white).pixel_values
    assert pixels.shape == (3, SAM3_SIDE, SAM3_SIDE)
    assert (pixels[:, :, 0] == -1).all()
    assert (pixels[:, :, -1] == 1).all()


def test_phrases_of_sam3_are_filled_up_and_those_that_are_too_long_refused(sam3_folder):
    processor = ConceptProcessor.from_concept_folder(sam3_folder, "sam3")
    text = processor.sentences(["tank", "ships"])
    assert text.input_ids.shape == (2, 32)
    assert text.attention_mask.sum(axis=1).tolist() == [6, 7]  # a letter each, start and end
    with pytest.raises(InvalidInputError, match="at most 32 tokens, received 42"):
        processor.sentences(["x" * 40])
    for blank in ([], ["  "], "tank"):
        with pytest.raises(InvalidInputError):
            processor.sentences(blank)


def test_a_damaged_tokenizer_is_said_in_one_line(clipseg_folder, tmp_path):
    for file in clipseg_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer: those of [^\n]*Copy the whole folder again\.$"):
        ConceptProcessor.from_concept_folder(tmp_path, "clipseg")
