"""Published weights by name, from a local hub through `huggingface_hub`'s real client, to logits."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save

from rs2sam.backends.torch import TorchBackend
from rs2sam.errors import CheckpointError, MissingDependencyError
from rs2sam.models import RS2SamModel
from rs2sam.models.weights.conversion import load_published
from rs2sam.models.weights.hub import HubAccess, list_models, resolve_model
from rs2sam.processing import Processor
from tests.hub_server import HubServer
from tests.models.weights.published import (
    PREFIX,
    published_state,
    published_tokenizer,
    relative_error_of_golden_logits,
    tiny_model,
)

REPO = "ReeF2025/RS2-SAM2"
CONFIG = json.dumps({"model_type": "evf", "hidden_size": 64, "out_dim": 256}).encode()


def as_bin(state: dict[str, torch.Tensor]) -> bytes:
    stream = io.BytesIO()
    torch.save({f"{PREFIX}{name}": tensor for name, tensor in state.items()}, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Two published models of different weights and layouts, one tokenizer in each folder."""
    tokenizer = published_tokenizer()
    return {
        "README.md": b"",
        "rrsisd/config.json": CONFIG,
        "rrsisd/pytorch_model.bin": as_bin(published_state(tiny_model())),
        "rrsisd/sentencepiece.bpe.model": tokenizer,
        "refseg/config.json": CONFIG,
        "refseg/model.safetensors": save(published_state(tiny_model(initializer_gain=0.5))),
        "refseg/sentencepiece.bpe.model": tokenizer,
    }


@pytest.fixture(autouse=True)
def _quick_and_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000_000)


@pytest.fixture
def hub(files: dict[str, bytes]):
    with HubServer({REPO: dict(files)}) as server:
        yield server


@pytest.fixture
def access(hub: HubServer, tmp_path: Path) -> HubAccess:
    return HubAccess(cache_dir=tmp_path / "cache", assets_dir=tmp_path / "assets", endpoint=hub.url)


def test_a_published_name_becomes_a_folder_of_ours_once(hub: HubServer, access: HubAccess) -> None:
    location = resolve_model("rrsisd", access=access)
    assert (location.layout, location.source) == ("rs2sam", "hub")
    assert location.folder.is_relative_to(access.assets_dir)
    written = (location.folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_model("rrsisd", access=access) == location
    assert (location.folder / "model.safetensors").stat().st_mtime_ns == written
    listed = {model.name: model for model in list_models(access)}
    assert (listed["rrsisd"].status, listed["rrsisd"].folder) == ("downloaded", location.folder)
    assert listed["rrsisd"].runs_without_torch is False


def test_each_published_name_has_its_own_weights(access: HubAccess) -> None:
    first, second = (
        load_file(resolve_model(name, access=access).folder / "model.safetensors") for name in ("rrsisd", "refsegrs")
    )
    name = "union_encoder.layers.0.image.fc1.weight"
    assert not torch.equal(first[name], second[name])


def test_a_converted_name_gives_the_published_logits_through_the_backend(access: HubAccess) -> None:
    folder = resolve_model("rrsisd", access=access).folder
    published = load_published(resolve_model("rrsisd", convert=False, access=access).folder)
    processor = Processor.from_folder(folder)
    image = processor.images(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    text = processor.sentences(["the white plane"])
    inputs = {
        "pixel_values": image.pixel_values[None],
        "union_pixel_values": image.union_pixel_values[None],
        "input_ids": text.input_ids,
        "attention_mask": text.attention_mask,
    }
    output = TorchBackend.from_folder(folder, device="cpu").run(**inputs)
    with torch.no_grad():
        wanted = published(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    assert np.allclose(output.low_res_logits, wanted.low_res_logits[:, 0].numpy(), atol=1e-5)
    assert output.presence_logits is None
    assert output.iou_scores is None


def test_a_cut_download_of_published_weights_is_resumed(
    hub: HubServer, access: HubAccess, files: dict[str, bytes]
) -> None:
    hub.cut["rrsisd/pytorch_model.bin"] = [3_000_000, 2_000_000]
    folder = resolve_model("rrsisd", convert=False, access=access).folder
    assert (folder / "pytorch_model.bin").read_bytes() == files["rrsisd/pytorch_model.bin"]
    starts = [request.start for request in hub.downloads("rrsisd/pytorch_model.bin")]
    assert starts == [0, 3_000_000, 5_000_000]


def test_a_converted_model_is_used_offline(access: HubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    online = resolve_model("refsegrs", access=access)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve_model("refsegrs", access=access) == online


def test_damaged_weights_leave_no_conversion_behind(hub: HubServer, access: HubAccess) -> None:
    content = hub.repos[REPO]["rrsisd/pytorch_model.bin"]
    hub.repos[REPO]["rrsisd/pytorch_model.bin"] = content[: len(content) // 2]
    with pytest.raises(CheckpointError, match="cut off, damaged"):
        resolve_model("rrsisd", access=access)
    assert not any(path.is_file() for path in Path(access.assets_dir).rglob("*"))


def test_a_published_folder_on_disk_is_converted_too(access: HubAccess, tmp_path: Path) -> None:
    downloaded = resolve_model("rrsisd", convert=False, access=access).folder
    mine = tmp_path / "mine"
    mine.mkdir()
    for file in downloaded.iterdir():
        (mine / file.name).write_bytes(file.read_bytes())
    location = resolve_model(mine, access=access)
    assert (location.layout, location.source) == ("rs2sam", "folder")
    assert RS2SamModel.from_pretrained(str(location.folder)).config.union_layers == 2


def test_without_torch_the_install_command_is_said(access: HubAccess, tmp_path: Path) -> None:
    resolve_model("rrsisd", convert=False, access=access)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from rs2sam.models.weights.hub import HubAccess, resolve_model\n"
        f"access = HubAccess(True, {str(access.cache_dir)!r}, {str(tmp_path / 'other')!r})\n"
        "try:\n    resolve_model('rrsisd', access=access)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"{MissingDependencyError.__name__} The model `rrsisd` needs `torch`")
    assert "pip install 'rs2sam[torch]'" in run.stdout


def test_the_golden_checkpoint_downloaded_by_name_gives_the_golden_logits(
    hub: HubServer, access: HubAccess, golden_dir: Path
) -> None:
    state = load_file(golden_dir / "tiny" / "state_dict.safetensors")
    hub.repos[REPO]["rrsisd/pytorch_model.bin"] = as_bin(state)
    model = RS2SamModel.from_pretrained(str(resolve_model("rrsisd", access=access).folder))
    assert relative_error_of_golden_logits(model, golden_dir) < 1e-5
