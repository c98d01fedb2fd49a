from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file

from rs2sam.errors import CheckpointError, DataNotFoundError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.weights.conversion import infer_config, load_published, load_published_with_report
from rs2sam.models.weights.files import TensorSpec
from tests.models.weights.published import (
    PREFIX,
    model_inputs,
    published_state,
    relative_error_of_golden_logits,
    tiny_model,
    write_config,
)

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def model() -> RS2SamModel:
    return tiny_model()


@pytest.fixture(scope="module")
def state(model: RS2SamModel) -> State:
    return published_state(model)


def halves(state: State) -> tuple[State, State]:
    names = list(state)
    return {n: state[n] for n in names[::2]}, {n: state[n] for n in names[1::2]}


def prefixed(state: State, prefix: str = PREFIX) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def one_safetensors(folder: Path, state: State) -> Path:
    write_config(folder)
    save_file(state, folder / "model.safetensors")
    return folder


def shards_of_safetensors(folder: Path, state: State) -> Path:
    write_config(folder)
    shards = {f"model-{n:05d}-of-00002.safetensors": half for n, half in enumerate(halves(state), start=1)}
    for name, half in shards.items():
        save_file(half, folder / name)
    weight_map = {tensor: name for name, half in shards.items() for tensor in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def shards_without_index(folder: Path, state: State) -> Path:
    shards_of_safetensors(folder, state)
    (folder / "model.safetensors.index.json").unlink()
    return folder


def one_bin(folder: Path, state: State) -> Path:
    write_config(folder)
    torch.save(state, folder / "pytorch_model.bin")
    torch.save({"epoch": 3}, folder / "training_args.bin")
    return folder


def shards_of_bin(folder: Path, state: State) -> Path:
    write_config(folder)
    shards = {f"pytorch_model-{n:05d}-of-00002.bin": half for n, half in enumerate(halves(state), start=1)}
    for name, half in shards.items():
        torch.save(half, folder / name)
    weight_map = {tensor: name for name, half in shards.items() for tensor in half}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def old_pickle(folder: Path, state: State) -> Path:
    write_config(folder)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return folder


def file_with_prefix(folder: Path, state: State) -> Path:
    torch.save(prefixed(state), folder / "best.pt")
    return folder / "best.pt"


def file_nested_twice(folder: Path, state: State) -> Path:
    torch.save({"epoch": 4, "model": {"module": prefixed(state, "module.")}}, folder / "best.pth")
    return folder / "best.pth"


def file_of_safetensors(folder: Path, state: State) -> Path:
    save_file(prefixed(state, "evf_model."), folder / "best.safetensors")
    return folder / "best.safetensors"


def folder_with_one_odd_name(folder: Path, state: State) -> Path:
    torch.save({"state_dict": state}, folder / "best.pt")
    return folder


FORMS = [
    one_safetensors,
    shards_of_safetensors,
    shards_without_index,
    one_bin,
    shards_of_bin,
    old_pickle,
    file_with_prefix,
    file_nested_twice,
    file_of_safetensors,
    folder_with_one_odd_name,
]


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_every_form_of_a_published_checkpoint_gives_the_same_model(
    write: Callable[[Path, State], Path], tmp_path: Path, model: RS2SamModel, state: State
) -> None:
    loaded = load_published(write(tmp_path, state))
    assert not loaded.training
    held = loaded.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(held[name], tensor), name
    inputs = model_inputs(model.config, batch=1)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).mask_logits, model(**inputs).mask_logits, rtol=1e-5, atol=1e-6)


def test_the_report_names_what_was_mapped_and_dropped(tmp_path: Path, model: RS2SamModel, state: State) -> None:
    _, report = load_published_with_report(one_bin(tmp_path, state))
    assert set(report.mapped) == set(model.state_dict())
    assert set(report.dropped) == set(state) - set(report.mapped.values())
    assert report.missing == ()
    text = str(report)
    for part in (
        "553 tensors mapped (5,709,295 numbers)",
        "dropped: 7 tensors",
        "video memory of SAM 2; no single image uses it: 3",
        "visual_model.memory_attention.layers.*.norm1.weight (2)",
        "meo_linear.weight",
        "missing: nothing",
    ):
        assert part in text


def test_weights_can_be_cast_while_loading(tmp_path: Path, state: State) -> None:
    loaded = load_published(one_bin(tmp_path, state), dtype=torch.bfloat16)
    assert loaded.dtype == loaded.config.dtype == torch.bfloat16


def test_parameters_can_be_trained_after_loading(tmp_path: Path, state: State) -> None:
    loaded = load_published(one_bin(tmp_path, state))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def without(state: State, name: str) -> State:
    return {other: tensor for other, tensor in state.items() if other != name}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: {**s, "visual_model.extra.weight": torch.zeros(3, 4)}, ["visual_model.extra.weight (3, 4) float32"]),
        (lambda s: without(s, "mask_linear.bias"), ["mask_prompt.mask_linear.bias (64)", "not in the file"]),
        (lambda s: {**s, "mask_linear.bias": torch.zeros(65)}, ["mask_linear.bias (65), in the model", "(64)"]),
        (lambda s: {**s, "mask_linear.bias": torch.zeros(64, dtype=torch.int8)}, ["no floating point", "(64) int8"]),
    ],
    ids=["unexplained", "missing", "other_shape", "integers"],
)
def test_a_tensor_out_of_place_is_named_with_its_shape(
    change: Callable[[State], State], named: list[str], tmp_path: Path, state: State
) -> None:
    with pytest.raises(CheckpointError) as raised:
        load_published(one_bin(tmp_path, change(state)))
    for part in named:
        assert part in str(raised.value)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, state: State) -> None:
    with pytest.raises(CheckpointError, match=r"`mask_linear\.bias` in .* not-a-numbers"):
        load_published(one_bin(tmp_path, {**state, "mask_linear.bias": torch.full((64,), float("nan"))}))


def test_a_wrong_preset_is_said_with_both_shapes(tmp_path: Path, state: State) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)another size.*\(512, 64\), in the model .* \(8192, 256\)"):
        load_published(one_bin(tmp_path, state), RS2SamConfig.preset("hiera-compact"))


def test_a_config_that_contradicts_the_weights_is_said(tmp_path: Path, state: State) -> None:
    one_bin(tmp_path, state)
    write_config(tmp_path, hidden_size=1024)
    with pytest.raises(CheckpointError, match="says hidden_size 1024"):
        load_published(tmp_path)


@pytest.mark.parametrize(("kind", "remedy"), [("rs2sam", "from_pretrained"), ("sam2_video", "Check the folder")])
def test_a_folder_of_another_kind_is_said(kind: str, remedy: str, tmp_path: Path, state: State) -> None:
    one_bin(tmp_path, state)
    write_config(tmp_path, model_type=kind)
    with pytest.raises(CheckpointError, match=f"says {kind}. .*{remedy}"):
        load_published(tmp_path)


def test_other_weights_are_recognised_as_not_published(tmp_path: Path) -> None:
    torch.save({"model": {"image_encoder.trunk.pos_embed": torch.zeros(2)}}, tmp_path / "sam2.pt")
    with pytest.raises(
        CheckpointError, match=r"must hold `text_feat_linear\.weight`.*rs2sam\.models\.weights\.pretrained"
    ):
        load_published(tmp_path / "sam2.pt")


def test_a_path_to_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="does not exist"):
        load_published(tmp_path / "none")
    with pytest.raises(DataNotFoundError, match=r"must hold \.safetensors"):
        load_published(tmp_path)


class _Code:
    """Pickles as a call that would create a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_never_run(zipped: bool, tmp_path: Path, state: State) -> None:
    victim = tmp_path / "created"
    file = tmp_path / "best.pt"
    torch.save({"model": state, "extra": _Code(victim)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"asks to call `posix\.mkdir`"):
        load_published(file)
    assert not victim.exists()


@pytest.mark.parametrize("write", [one_safetensors, one_bin, old_pickle], ids=lambda write: write.__name__)
@pytest.mark.parametrize("share", [0.999, 0.5, 0.001, 0.0])
def test_a_cut_file_is_said(write: Callable[[Path, State], Path], share: float, tmp_path: Path, state: State) -> None:
    folder = write(tmp_path, state)
    file = next(f for f in folder.iterdir() if f.stem in ("model", "pytorch_model"))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=str(file)):
        load_published(folder)


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"\x80\x02X\xff\xff\xff\x7f", "more memory than there is"),
        (b"\x80\x02X\xff\xff", "cannot be read"),
        (b"\x80\x02}" + b"(" * 3, "cannot be read"),
    ],
    ids=["a text of 2 GB", "a number cut off", "marks of nothing"],
)
def test_a_pickle_that_is_damaged_is_said(
    begin: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(begin)
    if "memory" in said:  # which a machine with enough of it would give
        monkeypatch.setattr("torch.load", Mock(side_effect=MemoryError))
    with pytest.raises(CheckpointError, match=said):
        load_published(file)


def test_an_old_pickle_without_its_tensors_is_said(tmp_path: Path, state: State) -> None:
    """torch's reader takes for granted that the list of what follows is complete."""
    file = old_pickle(tmp_path, state) / "pytorch_model.bin"
    content, keys = file.read_bytes(), b"\x80\x02]q\x00("
    assert content.count(keys) == 1
    file.write_bytes(content.replace(keys, b"\x80\x02]q\x00(X\x01\x00\x00\x000"))
    with pytest.raises(CheckpointError, match="must be whole"):
        load_published(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "\ud800", "a\0b"])
def test_a_shard_with_a_name_that_no_file_has_is_refused(name: str, tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointError):
        load_published(tmp_path)


def test_names_in_a_file_do_not_fill_a_message(tmp_path: Path) -> None:
    torch.save({"x" * 100_000: 1}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="is no tensor") as caught:
        load_published(tmp_path / "model.pt")
    assert len(str(caught.value)) < 1000


def test_a_hole_in_a_file_is_said(tmp_path: Path, state: State) -> None:
    file = one_bin(tmp_path, state) / "pytorch_model.bin"
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(4096)
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load_published(tmp_path)


def test_an_archive_with_names_that_are_no_utf8_is_said(tmp_path: Path, state: State) -> None:
    file = one_bin(tmp_path, state) / "pytorch_model.bin"
    content = bytearray(file.read_bytes())
    # The name in the directory at the archive's end, and its flag "this is UTF-8".
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 9] |= 8
    content[entry + 46] = 0xFF
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="must be whole"):
        load_published(tmp_path)


@pytest.mark.parametrize("write", [shards_of_safetensors, shards_of_bin, shards_without_index])
def test_a_missing_shard_is_named(write: Callable[[Path, State], Path], tmp_path: Path, state: State) -> None:
    lost = next(write(tmp_path, state).glob("*00001-of-00002*"))
    lost.unlink()
    with pytest.raises(CheckpointError, match=f"lacks {lost.name}"):
        load_published(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("best.pt", b"<html>404</html>", "damaged or of another format"),
        ("best.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("best.safetensors", struct.pack("<Q", 2) + b"{}", "must hold `text_feat_linear"),
    ],
)
def test_a_file_of_another_kind_is_said(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        load_published(tmp_path / name)


def test_two_files_without_usual_names_are_ambiguous(tmp_path: Path, state: State) -> None:
    for name in ("first.pt", "second.pt"):
        torch.save(state, tmp_path / name)
    with pytest.raises(CheckpointError, match=r"first\.pt, second\.pt"):
        load_published(tmp_path)


@pytest.mark.parametrize("preset", ["tiny", "hiera-compact", "large"])
def test_sizes_are_told_from_shapes(preset: str) -> None:
    wanted = RS2SamConfig.preset(preset, text_pad_id=3, has_presence=False, has_score=False)
    with torch.device("meta"):
        state = published_state(RS2SamModel(wanted))
    found = {name: TensorSpec(tuple(t.shape), t.dtype) for name, t in state.items()}
    assert infer_config(found).to_dict() == wanted.to_dict()


def test_sizes_of_no_preset_need_a_configuration(tmp_path: Path) -> None:
    odd = tiny_model(trunk_blocks=(1, 1, 3, 1), trunk_global_blocks=(3,))
    torch.save(published_state(odd), tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=r"trunk_blocks \(1, 1, 3, 1\).*Pass `config`"):
        load_published(tmp_path)
    assert load_published(tmp_path, odd.config).config.trunk_blocks == (1, 1, 3, 1)


def test_every_tensor_of_the_published_checkpoint_is_accounted_for(golden_dir: Path) -> None:
    keys = json.loads((golden_dir / "published_keys.json").read_text())
    found = {name: TensorSpec(tuple(shape), getattr(torch, dtype)) for name, shape, dtype in keys["state_dict"]}
    assert infer_config(found).to_dict() == RS2SamConfig.preset("large").to_dict()


def test_the_golden_checkpoint_gives_the_golden_logits(golden_dir: Path) -> None:
    model, report = load_published_with_report(golden_dir / "tiny" / "state_dict.safetensors")
    assert len(report.mapped) + len(report.dropped) == 638
    assert relative_error_of_golden_logits(model, golden_dir) < 1e-5
