from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamModel
from rs2sam.models.weights.convert import convert
from rs2sam.models.weights.files import Checkpoint, TensorSpec
from rs2sam.models.weights.writing import write_checkpoint
from rs2sam.processing import Processor
from tests.models.weights.published import (
    model_inputs,
    published_folder,
    published_state,
    relative_error_of_golden_logits,
    tiny_model,
)
from tests.sentencepiece_files import small_tokenizer

WRITTEN = ["README.md", "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.model"]


@pytest.fixture(scope="module")
def model() -> RS2SamModel:
    return tiny_model()


@pytest.fixture(scope="module")
def source(model: RS2SamModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_folder(tmp_path_factory.mktemp("source") / "rrsisd", published_state(model))


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def test_a_converted_folder_loads_as_the_same_model(source: Path, model: RS2SamModel, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    report = convert(source, out)
    assert names(out) == WRITTEN
    assert len(report.dropped) == 7
    loaded = RS2SamModel.from_pretrained(str(out))
    assert loaded.dtype == torch.float32
    inputs = model_inputs(model.config)
    with torch.no_grad():
        # Weights at another address may go through another kernel.
        torch.testing.assert_close(loaded(**inputs).mask_logits, model(**inputs).mask_logits, rtol=1e-5, atol=1e-6)
    assert names(out.parent) == ["out"]


def test_a_converted_folder_prepares_inputs_as_published(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out")
    processor = Processor.from_folder(tmp_path / "out")
    text = processor.sentences(["the white plane", "the unseen"])
    assert text.input_ids.tolist() == [[0, 4, 5, 6, 2], [0, 4, 3, 2, 3]]
    assert text.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 1, 0]]
    assert (processor.config.image_size, processor.config.union_image_size) == (256, 64)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_written_in_the_dtype_asked_for(
    dtype: str, source: Path, model: RS2SamModel, tmp_path: Path
) -> None:
    convert(source, tmp_path / "out", dtype=dtype)
    wanted, state = getattr(torch, dtype), model.state_dict()
    for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
        assert torch.equal(tensor, state[name].to(wanted)), name
    assert RS2SamModel.from_pretrained(str(tmp_path / "out")).dtype == wanted
    assert f"| weights | {dtype}," in (tmp_path / "out" / "README.md").read_text()


def test_a_folder_of_ours_is_rewritten_in_another_dtype(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "full")
    report = convert(tmp_path / "full", tmp_path / "half", dtype="float16")
    assert not report.dropped
    assert names(tmp_path / "half") == WRITTEN
    assert RS2SamModel.from_pretrained(str(tmp_path / "half")).dtype == torch.float16


def test_weights_beyond_float16_are_refused(model: RS2SamModel, tmp_path: Path) -> None:
    state = {**published_state(model), "mask_product.bias": torch.tensor([1e6])}
    folder = published_folder(tmp_path / "source", state)
    with pytest.raises(CheckpointError, match=r"`mask_prompt\.mask_product\.bias` has values beyond float16.*bfloat16"):
        convert(folder, tmp_path / "out", dtype="float16")
    assert names(tmp_path) == ["source"]


def test_the_model_card_says_what_it_is(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    for part in ("library_name: rs2sam", "license: unknown", "2503.07266", "5,709,295", "no licence", "Segmenter.load"):
        assert part in card


def test_a_folder_in_use_is_not_touched(source: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(InvalidInputError, match="must not exist or be empty"):
        convert(source, tmp_path)
    with pytest.raises(InvalidInputError, match="Only a folder with a model of rs2sam"):
        convert(source, tmp_path, overwrite=True)
    assert names(tmp_path) == ["precious.txt"]


def test_an_earlier_conversion_is_replaced_when_asked(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(source, out)
    (out / "model-00002-of-00002.safetensors").write_bytes(b"stale")
    convert(source, out, overwrite=True)
    assert names(out) == WRITTEN
    assert names(tmp_path) == ["out"]


def test_a_failed_conversion_leaves_nothing_and_keeps_what_was_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert(source, out)
    before = {f.name: f.read_bytes() for f in out.iterdir()}

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rs2sam.models.weights.convert.write_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(source, out, overwrite=True)
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before
    assert names(tmp_path) == ["out"]


def test_a_missing_tokenizer_is_said_with_the_command(source: Path, tmp_path: Path) -> None:
    lone = tmp_path / "rrsisd"
    lone.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (lone / name).symlink_to(source / name)
    with pytest.raises(DataNotFoundError, match=r"needs its tokenizer.*beit3\.spm.*--tokenizer beit3\.spm"):
        convert(lone, tmp_path / "out")
    small_tokenizer().save(tmp_path / "mine.model")
    convert(lone, tmp_path / "out", tokenizer=tmp_path / "mine.model")
    assert names(tmp_path / "out") == WRITTEN


def test_a_sentencepiece_tokenizer_is_turned_into_ours(source: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the white plane on the left\nthe large storage tank near the river\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "beit3"), vocab_size=25, model_type="unigram", minloglevel=2
    )
    (tmp_path / "beit3.model").rename(tmp_path / "beit3.spm")
    convert(source, tmp_path / "out", tokenizer=tmp_path / "beit3.spm")
    ids = Processor.from_folder(tmp_path / "out").sentences(["the plane"]).input_ids[0].tolist()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "beit3.spm"))
    assert ids == [0, *(piece + 1 for piece in pieces.encode("the plane")), 2]


def test_another_tokenizer_for_a_model_of_ours_leaves_its_other_conventions(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "preprocessor_config.json").read_text()) | {"min_presence": 0.25}
    (tmp_path / "ours" / "preprocessor_config.json").write_text(json.dumps(config))
    small_tokenizer(40).save(tmp_path / "mine.model")
    convert(tmp_path / "ours", tmp_path / "again", tokenizer=tmp_path / "mine.model")
    found = Processor.from_folder(tmp_path / "again")
    assert (found.config.min_presence, len(found.tokenizer)) == (0.25, 40)


def test_a_tokenizer_larger_than_the_vocabulary_is_refused(source: Path, tmp_path: Path) -> None:
    small_tokenizer(600).save(tmp_path / "large.model")
    with pytest.raises(CheckpointError, match=r"512 token embeddings: .* has 600 tokens"):
        convert(source, tmp_path / "out", tokenizer=tmp_path / "large.model")


def test_an_unknown_dtype_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"float32, float16, bfloat16, received 'int8'"):
        convert(source, tmp_path / "out", dtype="int8")


def test_a_large_checkpoint_is_written_in_shards(model: RS2SamModel, tmp_path: Path) -> None:
    state = model.state_dict()
    specs = {name: TensorSpec(tuple(t.shape), t.dtype) for name, t in state.items()}
    files = write_checkpoint(tmp_path, specs, state.__getitem__, max_shard_bytes=4_000_000)
    assert len(files) > 3
    assert all(f.stat().st_size < 4_200_000 for f in files)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(spec.num_bytes for spec in specs.values())
    model.config.save_pretrained(str(tmp_path))
    loaded = RS2SamModel.from_pretrained(str(tmp_path)).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_mixed_dtypes_and_scalars_survive_the_writing(tmp_path: Path) -> None:
    state = {"half": torch.rand(3).half(), "scalar": torch.tensor(2.5), "wide": torch.rand(2, 2).double()}
    specs = {name: TensorSpec(tuple(t.shape), t.dtype) for name, t in state.items()}
    write_checkpoint(tmp_path, specs, state.__getitem__)
    read = Checkpoint(tmp_path)
    assert {name: read.read(name).tolist() for name in state} == {name: t.tolist() for name, t in state.items()}


def test_memory_is_bounded_by_the_largest_tensors_not_by_the_file(tmp_path: Path) -> None:
    torch.save({f"t{n}": torch.rand(1_000_000) for n in range(40)}, tmp_path / "model.pt")  # 160 MB
    code = (
        "import resource; from pathlib import Path; import rs2sam.models.weights.convert; import torch\n"
        "from rs2sam.models.weights import files\n"
        "from rs2sam.models.weights.files import Checkpoint\n"
        "from rs2sam.models.weights.writing import write_checkpoint\n"
        "files.RELEASE_BYTES = 40_000_000\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"checkpoint = Checkpoint({str(tmp_path / 'model.pt')!r})\n"
        f"write_checkpoint(Path({str(tmp_path)!r}), checkpoint.specs, checkpoint.read)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (tmp_path / "model.safetensors").stat().st_size > 160_000_000
    assert float(run.stdout) < 80  # MB: 40 mapped, and a few tensors of 4


def test_the_golden_checkpoint_converts_and_gives_the_golden_logits(golden_dir: Path, tmp_path: Path) -> None:
    small_tokenizer().save(tmp_path / "tokens.model")
    convert(golden_dir / "tiny" / "state_dict.safetensors", tmp_path / "out", tokenizer=tmp_path / "tokens.model")
    model = RS2SamModel.from_pretrained(str(tmp_path / "out"))
    assert relative_error_of_golden_logits(model, golden_dir) < 1e-5


def test_a_model_that_encodes_pictures_once_changes_its_dtype(tmp_path: Path) -> None:
    from rs2sam.models.weights.loading import load_encode_once
    from tests.small_once import write_once_model

    source = write_once_model(tmp_path / "once", dtype="float32")
    convert(source, tmp_path / "half", dtype="float16", show_progress=False)
    names = ("config.json", "preprocessor_config.json", "tokenizer.model")
    assert all((tmp_path / "half" / name).is_file() for name in names)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["architectures"] == ["EncodeOnceModel"]
    own, half = (load_encode_once(folder, torch.float32).state_dict() for folder in (source, tmp_path / "half"))
    assert all(torch.equal(half[name], tensor.half().float()) for name, tensor in own.items())
