from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import constants

from rs2sam.cli import main
from rs2sam.models import RS2SamConfig, RS2SamModel
from tests.hub_server import HubServer
from tests.models.weights.published import published_folder, published_state, tiny_model
from tests.sentencepiece_files import small_tokenizer
from tests.small_model import COMPACT


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_folder(tmp_path_factory.mktemp("source") / "rrsisd", published_state(tiny_model()))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path / "cache"), raising=False)
    return tmp_path / "cache"


def test_models_lists_names_places_sizes_and_terms(cache: Path) -> None:
    result = run("models")
    assert result.exit_code == 0
    for part in ("compact", "rrsisd", "refsegrs", "not downloaded, 3.74 GB", "terms: none stated by its authors"):
        assert part in result.output


def test_models_as_json_has_the_same(cache: Path) -> None:
    listed = {model["name"]: model for model in json.loads(run("models", "--json").output)}
    assert set(listed) == {"compact", "rrsisd", "refsegrs", "sam3", "clipseg"}
    assert listed["rrsisd"]["status"] == "not downloaded"
    assert set(listed["rrsisd"]) >= {"summary", "terms", "folder", "size_bytes", "runs_without_torch"}


def test_convert_writes_a_folder_that_loads(source: Path, tmp_path: Path) -> None:
    result = run("convert", source, tmp_path / "out", "--dtype", "bfloat16")
    assert result.exit_code == 0, result.output
    assert "553 tensors mapped" in result.output
    assert "meo_linear.weight" in result.output
    assert RS2SamModel.from_pretrained(str(tmp_path / "out")).config.trunk_blocks == (1, 2, 4, 2)


def test_convert_as_json_names_every_tensor(source: Path, tmp_path: Path) -> None:
    report = json.loads(run("convert", source, tmp_path / "out", "--json").output)
    assert len(report["mapped"]) == 553
    assert report["dropped"]["meo_linear.weight"] == "created by the published code and never used"


def test_convert_is_silent_when_asked(source: Path, tmp_path: Path) -> None:
    result = run("-q", "convert", source, tmp_path / "out")
    assert (result.exit_code, result.output) == (0, "")


def test_convert_takes_sizes_and_tokenizer_from_files(tmp_path: Path) -> None:
    odd = tiny_model(trunk_blocks=(1, 1, 3, 1), trunk_global_blocks=(3,))
    source = published_folder(tmp_path / "odd", published_state(odd))
    odd.config.save_pretrained(str(tmp_path / "sizes"))
    small_tokenizer(40).save(tmp_path / "mine.model")
    files = ["--config", tmp_path / "sizes" / "config.json", "--tokenizer", tmp_path / "mine.model"]
    assert run("convert", source, tmp_path / "out").exit_code == 1
    result = run("convert", source, tmp_path / "out", *files)
    assert result.exit_code == 0, result.output
    assert RS2SamConfig.from_pretrained(str(tmp_path / "out")).trunk_blocks == (1, 1, 3, 1)


def test_convert_refuses_an_output_in_use_unless_told(source: Path, tmp_path: Path) -> None:
    assert run("convert", source, tmp_path / "out").exit_code == 0
    refused = run("convert", source, tmp_path / "out")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.output
    assert run("convert", source, tmp_path / "out", "--overwrite").exit_code == 0


@pytest.mark.parametrize("source", ["none.pt", "/no/such/folder", "./none"])
def test_convert_says_that_a_path_does_not_exist(source: str, tmp_path: Path) -> None:
    result = run("convert", source, tmp_path / "out")
    assert result.exit_code == 1
    assert result.output.startswith("error: SOURCE must be")


def test_a_wrong_option_is_a_usage_error(source: Path, tmp_path: Path) -> None:
    assert run("convert", source, tmp_path / "out", "--dtype", "int8").exit_code == 2
    assert run("convert", source, tmp_path / "out", "--config", source / "config.json").exit_code == 2
    (tmp_path / "odd.json").write_text('{"dtype": "torch"}')
    refused = run("convert", source, tmp_path / "out", "--config", tmp_path / "odd.json")
    assert (refused.exit_code, "has no sizes of a model" in refused.stderr) == (2, True)


def test_convert_downloads_a_hub_id(source: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = {f.name: f.read_bytes() for f in source.iterdir()}
    with HubServer({"someone/evf": files}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        result = run("convert", "someone/evf", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_models_lists_what_a_model_was_taught_to_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(COMPACT, tmp_path / "compact")
    file = tmp_path / "compact" / "preprocessor_config.json"
    monkeypatch.setattr("rs2sam.models.weights.hub.PACKAGED", tmp_path)
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "classes": None}))
    assert "finds:" not in run("models").output
    file.write_text(json.dumps({**values, "classes": ["ship", "storage tank"]}))
    assert "  finds: ship, storage tank\n" in run("models").output
    assert json.loads(run("models", "--json").output)[0]["classes"] == ["ship", "storage tank"]
    file.write_text("{")
    assert "finds:" not in run("models").output
