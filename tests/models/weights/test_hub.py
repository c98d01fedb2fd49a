from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from rs2sam.errors import CheckpointError, MissingDependencyError, RS2SAMError, WeightsNotFoundError
from rs2sam.models.weights.hub import KNOWN_MODELS, HubAccess, list_models, resolve_model
from rs2sam.processing import Processor
from tests.hub_server import HubServer

OURS = {
    "config.json": json.dumps({"model_type": "rs2sam"}).encode(),
    "preprocessor_config.json": b"{}",
    "tokenizer.model": b"{}",
    "model.safetensors": bytes(range(256)) * 4000,
}
PUBLISHED = {
    "rrsisd/config.json": json.dumps({"model_type": "evf"}).encode(),
    "rrsisd/pytorch_model.bin": b"weights" * 1000,
    "rrsisd/optimizer.pt": b"state" * 1000,
    "refseg/config.json": json.dumps({"model_type": "evf"}).encode(),
    "refseg/pytorch_model.bin": b"other" * 1000,
    "beit3.spm": b"pieces",
}


@pytest.fixture(autouse=True)
def _quick_and_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # 10 MB as it comes: more than a test file


@pytest.fixture
def hub():
    with HubServer({"someone/model": dict(OURS), "ReeF2025/RS2-SAM2": dict(PUBLISHED)}) as server:
        yield server


@pytest.fixture
def access(hub: HubServer, tmp_path: Path) -> HubAccess:
    return HubAccess(cache_dir=tmp_path / "cache", assets_dir=tmp_path / "assets", endpoint=hub.url)


def write_model(folder: Path, files: dict[str, bytes] = OURS) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_hub_id_is_downloaded_whole_and_then_served_from_the_cache(hub: HubServer, access: HubAccess) -> None:
    first = resolve_model("someone/model", access=access)
    assert (first.source, first.layout) == ("hub", "rs2sam")
    assert {f.name: f.read_bytes() for f in first.folder.iterdir()} == OURS
    assert resolve_model("someone/model", access=access) == first
    assert len(hub.downloads("model.safetensors")) == 1


def test_a_cut_download_is_resumed_where_it_broke(hub: HubServer, access: HubAccess) -> None:
    hub.cut["model.safetensors"] = [300_000, 200_000]
    folder = resolve_model("someone/model", access=access).folder
    assert (folder / "model.safetensors").read_bytes() == OURS["model.safetensors"]
    assert [request.start for request in hub.downloads("model.safetensors")] == [0, 300_000, 500_000]


def test_a_download_that_never_gets_through_keeps_what_was_finished(hub: HubServer, access: HubAccess) -> None:
    hub.cut["model.safetensors"] = [100, *[0] * 6]
    with pytest.raises(WeightsNotFoundError, match=r"could not be downloaded .* Run again.*hf download someone/model"):
        resolve_model("someone/model", access=access)
    with pytest.raises(WeightsNotFoundError, match=r"not completely.*hf download someone/model"):
        resolve_model("someone/model", access=HubAccess(local_files_only=True, cache_dir=access.cache_dir))
    hub.requests.clear()
    folder = resolve_model("someone/model", access=access).folder
    assert (folder / "model.safetensors").read_bytes() == OURS["model.safetensors"]
    assert not hub.downloads("config.json")


def test_offline_uses_the_cache(access: HubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    online = resolve_model("someone/model", access=access)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve_model("someone/model", access=access) == online


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("rrsisd", 'hf download ReeF2025/RS2-SAM2 --include "rrsisd/*"'),
        ("refsegrs", 'hf download ReeF2025/RS2-SAM2 --include "refseg/*"'),
        ("someone/model@v1", "hf download someone/model --revision v1"),
    ],
)
def test_offline_and_not_cached_says_exactly_what_to_do(
    name: str, command: str, access: HubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsNotFoundError) as raised:
        resolve_model(name, access=access)
    message = str(raised.value)
    for part in (f"`{name}`", str(access.cache_dir), "HF_HUB_OFFLINE", f"`{command}`", "rs2sam convert", "compact"):
        assert part in message


def test_an_unreachable_hub_reads_like_being_offline(tmp_path: Path) -> None:
    access = HubAccess(cache_dir=tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(WeightsNotFoundError, match=r"hub cannot be reached.*check the connection"):
        resolve_model("someone/model", access=access)


def test_an_unknown_id_names_what_exists(access: HubAccess) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"no folder here, and the hub has no public repository no/such"):
        resolve_model("no/such", access=access)


def test_an_unknown_revision_is_said(access: HubAccess) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"someone/model has no `v9`"):
        resolve_model("someone/model@v9", access=access)


@pytest.mark.parametrize("name", ["rrsis-d", "", "a b/c", "x.pt"])
def test_a_word_that_is_no_name_lists_the_names(name: str, access: HubAccess) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"compact, rrsisd, refsegrs, sam3, clipseg, a folder, or a hub id"):
        resolve_model(name, access=access)


def test_a_file_is_pointed_to_convert(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"x")
    with pytest.raises(WeightsNotFoundError, match=r"is a file: .*rs2sam convert FILE FOLDER"):
        resolve_model(file)


def test_without_the_hubs_client_only_what_is_on_disk_is_there(
    access: HubAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"`someone/model`, which is no folder here, .*rs2sam\[hub\]"):
        resolve_model("someone/model", access=access)
    statuses = {listing.name: listing.status for listing in list_models(access)}
    assert statuses == dict.fromkeys(KNOWN_MODELS, "not downloaded") | {"compact": "in the package"}
    assert resolve_model(write_model(tmp_path / "mine")).source == "folder"
    published = {name.removeprefix("rrsisd/"): content for name, content in PUBLISHED.items() if "rrsisd" in name}
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[hub\]"):
        resolve_model(write_model(tmp_path / "theirs", published))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[torch\]"):
        resolve_model(tmp_path / "theirs")


def test_a_published_name_downloads_its_own_folder_only(hub: HubServer, access: HubAccess) -> None:
    location = resolve_model("rrsisd", convert=False, access=access)
    assert location.layout == "published"
    assert sorted(f.name for f in location.folder.iterdir()) == ["config.json", "pytorch_model.bin"]
    assert (location.folder.parent / "beit3.spm").read_bytes() == b"pieces"
    assert not hub.downloads("refseg/pytorch_model.bin")


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    location = resolve_model(folder)
    assert (location.folder, location.source, location.onnx_file) == (folder, "folder", None)
    assert location.size_bytes == sum(map(len, OURS.values()))


@pytest.mark.parametrize("lacking", sorted(OURS))
def test_an_incomplete_folder_says_what_it_must_hold(lacking: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine", {k: v for k, v in OURS.items() if k not in (lacking, "config.json")})
    if lacking != "config.json":
        (folder / "config.json").write_bytes(OURS["config.json"])
    else:
        (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsNotFoundError, match=r"must hold config.json, .*rs2sam convert"):
        resolve_model(folder)


def test_a_folder_with_a_missing_shard_is_incomplete(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsNotFoundError, match="every shard included"):
        resolve_model(folder)


def test_a_model_of_another_kind_is_refused_by_its_type(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "sam", {**OURS, "config.json": b'{"model_type": "sam2_video"}'})
    with pytest.raises(CheckpointError, match="`sam2_video` model"):
        resolve_model(folder)


def test_the_listing_says_what_is_where_how_large_under_which_terms(access: HubAccess) -> None:
    before = {model.name: model for model in list_models(access)}
    assert list(before) == list(KNOWN_MODELS)
    assert (before["rrsisd"].status, before["rrsisd"].folder) == ("not downloaded", None)
    assert before["rrsisd"].size_bytes == 4 * 934_813_404
    assert "none stated" in before["rrsisd"].terms
    resolve_model("rrsisd", convert=False, access=access)
    downloaded = resolve_model("someone/model", access=access)
    after = {model.name: model for model in list_models(access)}
    assert after["rrsisd"].status == "downloaded"
    assert after["someone/model"].folder == downloaded.folder
    assert after["refsegrs"].status == "not downloaded"


def test_listing_works_without_any_cache(tmp_path: Path) -> None:
    assert len(list_models(HubAccess(cache_dir=tmp_path / "none", assets_dir=tmp_path))) == len(KNOWN_MODELS)


def test_the_environment_of_huggingface_hub_is_respected(hub: HubServer, tmp_path: Path) -> None:
    code = (
        "from rs2sam.models.weights.hub import resolve_model; import sys; print(resolve_model('someone/model').folder)"
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()).is_relative_to(tmp_path)
    assert "torch" not in run.stderr
    offline = {**environment, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    again = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert again.stdout == run.stdout


def test_resolving_loads_no_torch(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    code = (
        "import sys; from rs2sam.models.weights.hub import resolve_model, list_models; "
        f"resolve_model({str(folder)!r}); list_models(); assert not {{'torch', 'onnxruntime'}} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors.index.json"])
def test_json_that_no_reader_can_follow_is_no_model(tmp_path: Path, name: str) -> None:
    for file in ("config.json", "preprocessor_config.json", "tokenizer.model"):
        (tmp_path / file).write_text('{"model_type": "rs2sam"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(RS2SAMError):
        Processor.from_folder(resolve_model(tmp_path).folder)
