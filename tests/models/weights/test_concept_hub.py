"""Concept models from the hub: gated, complete, known by name."""

import pytest
from huggingface_hub import constants

from rs2sam.errors import MissingDependencyError, WeightsNotFoundError
from rs2sam.models.weights.hub import HubAccess, list_models, resolve_model
from tests.hub_server import HubServer


@pytest.fixture(autouse=True)
def _local(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)


@pytest.fixture
def hub(sam3_folder, clipseg_folder):
    sam3 = {file.name: file.read_bytes() for file in sam3_folder.iterdir()}
    clipseg = {file.name: file.read_bytes() for file in clipseg_folder.iterdir()}
    repos = {"facebook/sam3": {**sam3, "sam3.pt": b"x" * 5000}, "CIDAS/clipseg-rd64-refined": clipseg}
    with HubServer(repos, gated={"facebook/sam3"}) as server:
        yield server


@pytest.fixture
def access(hub, tmp_path):
    return HubAccess(cache_dir=tmp_path / "cache", assets_dir=tmp_path / "assets", endpoint=hub.url)


def test_who_is_not_logged_in_is_told_how_to_get_access(access, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(WeightsNotFoundError, match="`sam3` is gated, and nobody is logged in") as told:
        resolve_model("sam3", access=access)
    for part in ("https://huggingface.co/facebook/sam3", "hf auth login", "hf download facebook/sam3", "a folder"):
        assert part in str(told.value)
    assert "\n" not in str(told.value)


def test_who_has_no_access_yet_is_told_to_wait_for_it(access, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_somebody")
    with pytest.raises(WeightsNotFoundError, match=r"gated, and this account has no access yet.*wait until"):
        resolve_model("sam3", access=access)


def test_with_access_all_but_the_copy_in_another_form_is_downloaded(hub, access, monkeypatch, sam3_folder):
    monkeypatch.setenv("HF_TOKEN", hub.granted)
    location = resolve_model("sam3", access=access)
    assert (location.layout, location.source) == ("concept", "hub")
    assert {file.name for file in location.folder.iterdir()} == {file.name for file in sam3_folder.iterdir()}
    assert not hub.downloads("sam3.pt")


def test_an_ungated_one_and_any_hub_id_of_the_kind_load(hub, access):
    hub.repos["someone/my-clipseg"] = hub.repos["CIDAS/clipseg-rd64-refined"]
    named, own = (resolve_model(name, access=access) for name in ("clipseg", "someone/my-clipseg"))
    assert named.layout == own.layout == "concept"
    listed = {one.name: one for one in list_models(access)}
    assert listed["clipseg"].status == "downloaded"
    assert listed["clipseg"].runs_without_torch is False
    assert listed["someone/my-clipseg"].folder == own.folder
    assert "CIDAS/clipseg-rd64-refined" not in listed  # it is there under its name


def test_sizes_and_terms_are_listed_before_a_download(access):
    listed = {one.name: one for one in list_models(access)}
    assert listed["sam3"].size_bytes == 3_439_687_392
    assert listed["clipseg"].size_bytes == 602_990_984
    assert "gated" in listed["sam3"].terms
    assert "Apache-2.0" in listed["clipseg"].terms


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("model.safetensors", "lacks model.safetensors"),
        ("tokenizer.json", "lacks tokenizer.json or vocab.json"),
        ("processor_config.json", "lacks processor_config.json or preprocessor_config.json"),
    ],
)
def test_an_incomplete_folder_says_what_it_lacks(lacking, said, sam3_folder, tmp_path):
    for file in sam3_folder.iterdir():
        if file.name != lacking:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsNotFoundError, match=said):
        resolve_model(tmp_path)


def test_without_torch_the_command_comes_before_the_download(hub, access, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[torch\]"):
        resolve_model("clipseg", access=access)
    assert not hub.requests


def test_what_only_own_models_can_do_is_refused_in_one_line(clipseg_folder, tmp_path):
    from click.testing import CliRunner

    from rs2sam.cli import main

    commands = (
        ["convert", str(clipseg_folder), str(tmp_path / "a")],
        ["export", str(clipseg_folder), str(tmp_path / "b"), "--to", "onnx"],
    )
    for command in commands:
        result = CliRunner().invoke(main, command)
        assert result.exit_code != 0
        assert "concept models run as they are" in result.output
    assert list(tmp_path.iterdir()) == []
