from __future__ import annotations

import numpy as np
import pytest

from rs2sam.errors import CheckpointError, InvalidInputError
from tests.backends.conftest import given
from tests.small_model import write_small_model

pytest.importorskip("torch")

from rs2sam.backends.torch import TorchBackend


def test_outputs_have_the_documented_shapes_and_ranges(torch_folder, make_batch):
    backend = TorchBackend.from_folder(torch_folder, device="cpu")
    output = backend.run(*make_batch((5, 7)))
    assert output.low_res_logits.shape == (2, 16, 16)
    assert output.pseudo_mask.shape == (2, 2, 2)
    assert output.presence_logits.shape == output.iou_scores.shape == (2,)
    assert all(array.dtype == np.float32 for _, array in given(output))
    assert 0 <= output.pseudo_mask.min() <= output.pseudo_mask.max() <= 1
    assert 0 <= output.iou_scores.min() <= output.iou_scores.max() <= 1
    assert (backend.name, backend.has_presence, backend.has_score) == ("torch", True, True)
    assert backend.batch_size == 1


def test_a_padded_batch_equals_its_samples(torch_folder, make_batch):
    backend = TorchBackend.from_folder(torch_folder, device="cpu")
    pixels, union, ids, attend = make_batch((4, 9))
    together = backend.run(pixels, union, ids, attend)
    alone = backend.run(pixels[:1], union[:1], ids[:1, :4], attend[:1, :4])
    np.testing.assert_allclose(together.low_res_logits[0], alone.low_res_logits[0], rtol=1e-4, atol=1e-5)


def test_many_views_are_answered_in_parts_and_alike(torch_folder, make_batch, monkeypatch):
    monkeypatch.setattr("rs2sam.backends.torch.MOST_AT_ONCE", 2)
    backend = TorchBackend.from_folder(torch_folder, device="cpu")
    inputs = make_batch((4, 9, 5, 7, 3))
    parts = backend.run(*inputs)
    monkeypatch.undo()
    whole = backend.run(*inputs)
    for name, array in given(whole):
        np.testing.assert_allclose(getattr(parts, name), array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("most", [2, 32])
def test_shared_pictures_give_the_answers_of_repeated_ones(torch_folder, make_batch, monkeypatch, most):
    monkeypatch.setattr("rs2sam.backends.torch.MOST_AT_ONCE", most)  # 2 is no multiple of 3 sentences a picture
    backend = TorchBackend.from_folder(torch_folder, device="cpu")
    pixels, union, ids, attend = make_batch((4, 9, 5, 7, 3, 6))
    shared = backend.run(pixels[:2], union[:2], ids, attend)
    rows = [0, 0, 0, 1, 1, 1]
    for name, array in given(backend.run(pixels[rows], union[rows], ids, attend)):
        np.testing.assert_allclose(getattr(shared, name), array, rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(InvalidInputError, match="4 pictures and 6 sentences"):
        backend.run(pixels[:4], union[:4], ids, attend)


def test_compiled_models_see_a_picture_for_every_sentence(torch_folder, make_batch, monkeypatch):
    import torch

    backend = TorchBackend.from_folder(torch_folder, device="cpu")
    seen = []
    monkeypatch.setattr(backend, "compiled", True)
    answer = backend._answer
    monkeypatch.setattr(backend, "_answer", lambda *tensors: seen.append(tensors) or answer(*tensors))
    pixels, union, ids, attend = make_batch((4, 9, 5))
    assert backend.run(pixels[:1], union[:1], ids, attend).low_res_logits.shape == (3, 16, 16)
    # Filled up to four, each with the one picture.
    assert [len(tensor) for tensor in seen[0]] == [4] * 4
    assert all(torch.equal(seen[0][0][row], torch.from_numpy(pixels[0])) for row in range(4))


@pytest.mark.parametrize(
    ("batch", "length", "longest", "filled"),
    [(1, 5, 62, (1, 16)), (3, 16, 62, (4, 16)), (2, 56, 62, (2, 62)), (5, 7, 0, (8, 7))],
)
def test_compiled_models_see_few_shapes(make_batch, batch, length, longest, filled):
    import torch

    from rs2sam.backends.torch import _filled

    inputs = make_batch((length,) * batch)
    pixels, union, ids, attend = _filled(tuple(map(torch.from_numpy, inputs)), longest)
    assert (len(pixels), len(union), tuple(ids.shape), tuple(attend.shape)) == (filled[0], filled[0], filled, filled)
    assert int(attend.sum()) == filled[0] * length


def test_untrained_heads_say_nothing(tmp_path, make_batch):
    backend = TorchBackend.from_folder(write_small_model(tmp_path, heads=False), device="cpu")
    output = backend.run(*make_batch((4,)))
    assert (output.presence_logits, output.iou_scores) == (None, None)
    assert not backend.has_presence
    assert not backend.has_score


def test_a_device_that_is_not_there_is_named(torch_folder):
    with pytest.raises(InvalidInputError, match="cuda:77"):
        TorchBackend.from_folder(torch_folder, device="cuda:77")
    with pytest.raises(InvalidInputError, match="abacus"):
        TorchBackend.from_folder(torch_folder, device="abacus")


def test_threads_are_set_when_asked_for(torch_folder):
    import torch

    before = torch.get_num_threads()
    try:
        TorchBackend.from_folder(torch_folder, device="cpu", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_missing_tensors_are_named_and_never_filled_with_noise(tmp_path):
    from safetensors.torch import load_file, save_file

    file = write_small_model(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    del tensors["sentence_weight.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"sentence_weight\.weight"):
        TorchBackend.from_folder(tmp_path, device="cpu")


def test_a_truncated_file_is_reported(tmp_path):
    file = write_small_model(tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        TorchBackend.from_folder(tmp_path, device="cpu")
