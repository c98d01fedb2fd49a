"""From the name of a model to a folder that holds it: package, disk, download cache or hub.

A name is `compact` (shipped in the package), `rrsisd` or `refsegrs` (the weights that the authors of RS2-SAM 2
published), a folder, or the id of a model on the hub: `owner/name`, `owner/name/subfolder`, each with `@revision` if
one is to be pinned. Downloads, their cache, resuming and offline mode are those of `huggingface_hub`. Published weights
come in another layout; they are converted once, into its assets cache, so everything above this module sees one layout:

    config.json  model.safetensors (or shards)  preprocessor_config.json  tokenizer.model  [README.md]
    [model.onnx, or of a model that encodes pictures once image.onnx and sentence.onnx]

No torch here; only converting published weights imports it, when it happens.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rs2sam.errors import CheckpointError, InvalidInputError, MissingDependencyError, WeightsNotFoundError, require
from rs2sam.fields import a_place, parse_json, some_of
from rs2sam.models.weights.download import HUB_CLIENT, HubAccess, HubAddress, download
from rs2sam.models.weights.kinds import (
    CONCEPT_MODEL_TYPES,
    OWN_MODEL_TYPES,
    PUBLISHED_MODEL_TYPE,
    concept_kind,
    lacking_beside,
    model_type,
)
from rs2sam.processing import CONFIG_FILE, ProcessingConfig

__all__ = [
    "KNOWN_MODELS",
    "HubAccess",
    "HubAddress",
    "KnownModel",
    "ModelListing",
    "ModelLocation",
    "list_models",
    "resolve_model",
]

logger = logging.getLogger(__name__)

Layout = Literal["rs2sam", "published", "concept"]
Source = Literal["package", "folder", "hub"]


PUBLISHED_REPO = "ReeF2025/RS2-SAM2"
PUBLISHED_PARAMETERS = 934_813_404
SAM3_PARAMETERS, CLIPSEG_PARAMETERS = 859_921_848, 150_747_746

DEFAULT_ACCESS = HubAccess()

PACKAGED = Path(__file__).parents[2] / "weights"
"""Folder of the models that are part of the package."""

GRAPHS = (("model.onnx",), ("image.onnx", "sentence.onnx"))
"""Files that ONNX Runtime needs of a model: of one kind, and of the other."""

_REMEDIES: dict[Source, str] = {
    "package": "Reinstall rs2sam: its package lacks the files.",
    "folder": "Write it with `rs2sam convert SOURCE FOLDER`, or copy the whole folder again.",
    "hub": "If the download was cut short, run again with a connection; else it is not a model of rs2sam.",
}
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
_HUB_ID = re.compile(
    r"^(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?P<subfolder>(?:/[\w][\w.-]*)*)(?:@(?P<revision>[\w][\w./-]*))?$"
)


@dataclass(frozen=True)
class KnownModel:
    """A model that has a name of its own.

    Args:
        name: how it is asked for.
        summary: one line on what it is.
        terms: under which terms it may be used, as far as known.
        address: where it is on the hub; None for the one in the package.
        download_bytes: size of a download that has not happened.
    """

    name: str
    summary: str
    terms: str
    address: HubAddress | None = None
    download_bytes: int | None = None


def _published(name: str, subfolder: str, dataset: str) -> KnownModel:
    return KnownModel(
        name,
        summary=f"RS2-SAM 2 as published, trained on {dataset}",
        terms=f"none stated by its authors ({PUBLISHED_REPO}); {dataset} is for research",
        address=HubAddress(PUBLISHED_REPO, subfolder),
        download_bytes=4 * PUBLISHED_PARAMETERS,
    )


KNOWN_MODELS: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            "compact",
            summary="small model for CPUs, in the package; the default",
            terms="research and non-commercial use, as parts of its training data are; see its model card",
        ),
        _published("rrsisd", "rrsisd", "RRSIS-D"),
        _published("refsegrs", "refseg", "RefSegRS"),
        KnownModel(
            "sam3",
            summary="SAM 3, concept model: objects of a noun phrase, the rest of a sentence is decided here; 1,008 px",
            terms="SAM License, gated: ask for access on the hub page of facebook/sam3",
            # The same weights lie beside in the form of their authors' own code.
            address=HubAddress("facebook/sam3", leave_out=("*.pt", "*.pth")),
            download_bytes=4 * SAM3_PARAMETERS,
        ),
        KnownModel(
            "clipseg",
            summary="CLIPSeg, small concept model: a mask of a noun phrase, the rest is decided here; 352 px",
            terms="Apache-2.0 (CIDAS/clipseg-rd64-refined)",
            address=HubAddress("CIDAS/clipseg-rd64-refined"),
            download_bytes=4 * CLIPSEG_PARAMETERS,
        ),
    )
}
"""The names that `resolve_model` knows besides folders and hub ids."""


@dataclass(frozen=True)
class ModelLocation:
    """Where a model is.

    Args:
        name: as it was asked for.
        folder: the folder that holds it.
        layout: `rs2sam` (ready to load), `concept` (a concept model of transformers, ready too) or `published` (to be
            converted).
        source: where it came from.
    """

    name: str
    folder: Path
    layout: Layout
    source: Source

    @property
    def onnx_file(self) -> Path | None:
        """An ONNX graph, if the model has what it needs of them and so runs without torch."""
        for names in GRAPHS:
            if all((self.folder / name).is_file() for name in names):
                return self.folder / names[0]
        return None

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())


@dataclass(frozen=True)
class ModelListing:
    """One line of `rs2sam models`.

    Args:
        name: how the model is asked for.
        summary: one line on what it is.
        terms: under which terms it may be used, as far as known.
        status: whether it is here; `missing` if it should be in the package and is not.
        folder: where it is; None if it is not here.
        size_bytes: on disk, or of the download if it is not here.
        runs_without_torch: whether it has an ONNX graph; None if it is not here.
        classes: what it was taught to find; None if it is not here or does not say.
    """

    name: str
    summary: str
    terms: str
    status: Literal["in the package", "downloaded", "not downloaded", "missing"]
    folder: Path | None
    size_bytes: int | None
    runs_without_torch: bool | None
    classes: tuple[str, ...] | None = None


def resolve_model(name: str | Path, *, convert: bool = True, access: HubAccess = DEFAULT_ACCESS) -> ModelLocation:
    """Find a model by name, downloading it if need be.

    Args:
        name: a known model (`KNOWN_MODELS`), a folder, or a hub id: `owner/name[/subfolder][@revision]`.
        convert: turn published weights into this project's layout, once; needs `rs2sam[torch]`.
        access: how the hub and its caches are used.

    Returns:
        Its location, in layout `rs2sam` unless `convert` is off.

    Raises:
        WeightsNotFoundError: there is no such model, or it is not here and cannot be downloaded; the message says what
            to do.
        CheckpointError: what is there is another kind of model, or damaged.
        MissingDependencyError: published weights are to be converted and torch is not installed, or a model is on the
            hub and the hub's client is not.
    """
    name = str(name)
    known = KNOWN_MODELS.get(name)
    if known is not None and known.address is None:
        return _located(name, PACKAGED / name, "package")
    folder = a_place("name", name).expanduser() if name else None
    if known is None and folder is not None and folder.is_dir():
        location = _located(name, folder, "folder")
    else:
        if known is not None and convert:
            require("torch", "torch", f"The model `{name}`")  # before gigabytes are downloaded, not after
        location = _located(name, download(name, _hub_address(name, known), access), "hub")
    return _converted(location, access) if convert and location.layout == "published" else location


def list_models(access: HubAccess = DEFAULT_ACCESS) -> list[ModelListing]:
    """List the known models and the other models of this project in the download cache, without the network.

    Args:
        access: which caches to look into.
    """
    listings = [_known_listing(model, replace(access, local_files_only=True)) for model in KNOWN_MODELS.values()]
    named = {model.address.repo for model in KNOWN_MODELS.values() if model.address is not None}
    for repo, folder in _cached_models(access.cache_dir):
        if repo in named:
            continue
        location = ModelLocation(repo, folder, "rs2sam", "hub")
        listings.append(_listing(KnownModel(repo, "a model on the hub", "see its model card"), location))
    return listings


def _known_listing(model: KnownModel, access: HubAccess) -> ModelListing:
    """Where a known model is now."""
    try:
        location = resolve_model(model.name, convert=False, access=access)
    except (WeightsNotFoundError, CheckpointError, MissingDependencyError):
        status: Literal["missing", "not downloaded"] = "missing" if model.address is None else "not downloaded"
        return ModelListing(model.name, model.summary, model.terms, status, None, model.download_bytes, None)
    converted = _conversion_folder(location, access) if location.layout == "published" else None
    return _listing(
        model, location if converted is None or not _is_complete(converted) else _moved(location, converted)
    )


def _listing(model: KnownModel, location: ModelLocation) -> ModelListing:
    return ModelListing(
        name=model.name,
        summary=model.summary,
        terms=model.terms,
        status="in the package" if location.source == "package" else "downloaded",
        folder=location.folder,
        size_bytes=location.size_bytes,
        runs_without_torch=location.layout != "concept" and location.onnx_file is not None,
        classes=_classes(location.folder),
    )


def _classes(folder: Path) -> tuple[str, ...] | None:
    """What a model in this project's layout was taught to find, where its folder says so."""
    file = folder / CONFIG_FILE
    try:
        return ProcessingConfig.from_json(file).classes if file.is_file() else None
    except InvalidInputError:
        return None  # told when the model is loaded


def _cached_models(cache_dir: str | Path | None) -> list[tuple[str, Path]]:
    """Hub ids and newest folders of this project's models in the download cache."""
    try:
        require(HUB_CLIENT, "hub", "Looking into the download cache")
    except MissingDependencyError:
        return []  # nothing was ever downloaded with what is installed here
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir(cache_dir).repos
    except CacheNotFound:
        return []
    found = {}
    for repo in sorted((repo for repo in repos if repo.repo_type == "model"), key=lambda repo: repo.repo_id):
        for revision in sorted(repo.revisions, key=lambda revision: revision.last_modified):
            folder = Path(revision.snapshot_path)
            is_own = model_type(folder) in OWN_MODEL_TYPES and _is_complete(folder)
            if is_own or (concept_kind(folder) is not None and _has_weights(folder)):
                found[repo.repo_id] = Path(revision.snapshot_path)
    return list(found.items())


def _hub_address(name: str, known: KnownModel | None) -> HubAddress:
    """Repository, subfolder and revision that a name stands for."""
    if known is not None and known.address is not None:
        return known.address
    match = _HUB_ID.match(name)
    if match is None or Path(name).is_file():
        is_file = Path(name).is_file()
        kind = "a file: make it a folder with `rs2sam convert FILE FOLDER`" if is_file else "none of these"
        near = difflib.get_close_matches(name.lower(), KNOWN_MODELS, n=1)
        raise WeightsNotFoundError(
            f"A model must be one of {', '.join(KNOWN_MODELS)}, a folder, or a hub id `owner/name`: `{name}` is {kind}."
            + (f" Did you mean `{near[0]}`?" if near else "")
        )
    return HubAddress(match["repo"], match["subfolder"].strip("/"), match["revision"])


def _located(name: str, folder: Path, source: Source) -> ModelLocation:
    """A folder with its layout, checked to hold a model."""
    kind = model_type(folder)
    if kind in OWN_MODEL_TYPES and _is_complete(folder):
        return ModelLocation(name, folder, "rs2sam", source)
    if kind in CONCEPT_MODEL_TYPES:
        return _concept(name, folder, source)
    if kind == PUBLISHED_MODEL_TYPE or (kind is None and _has_weights(folder)):
        if _has_weights(folder):
            return ModelLocation(name, folder, "published", source)
    elif kind not in (None, *OWN_MODEL_TYPES):
        raise CheckpointError(
            f"A model must be of type {', '.join((*OWN_MODEL_TYPES, *CONCEPT_MODEL_TYPES))}, or a published RS2-SAM 2 "
            f"checkpoint: {folder} holds a `{kind}` model. SAM 2 and BEiT-3 weights only initialise training "
            "(rs2sam.models.weights.pretrained)."
        )
    held = some_of(sorted(f.name for f in folder.iterdir()), 12) if folder.is_dir() else "nothing: it does not exist"
    raise WeightsNotFoundError(
        "A model folder must hold config.json, preprocessor_config.json, tokenizer.model and model.safetensors or "
        f"model.onnx, every shard included: {folder} has {held or 'nothing'}. {_REMEDIES[source]}"
    )


def _concept(name: str, folder: Path, source: Source) -> ModelLocation:
    """The folder of a concept model, checked to hold weights, image settings and a tokenizer."""
    lacking = [*([] if _has_weights(folder) else ["model.safetensors, every shard included"]), *lacking_beside(folder)]
    if lacking:
        raise WeightsNotFoundError(
            f"A `{concept_kind(folder)}` folder must hold what transformers saves: {folder} lacks "
            f"{'; '.join(lacking)}. Copy the whole folder, or run again with a connection."
        )
    return ModelLocation(name, folder, "concept", source)


def _has_weights(folder: Path) -> bool:
    """Whether a folder holds weights, and every shard that an index names."""
    if not folder.is_dir():
        return False
    for index in folder.glob("*.index.json"):
        try:
            shards = set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        if not all(os.path.isfile(folder / str(shard)) for shard in shards):
            return False
    return any(file.suffix in _WEIGHT_SUFFIXES for file in folder.iterdir())


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds everything that a model in this project's layout needs."""
    needed = ("config.json", "preprocessor_config.json", "tokenizer.model")
    has_weights = _has_weights(folder) or any(all((folder / name).is_file() for name in names) for names in GRAPHS)
    return has_weights and all((folder / name).is_file() for name in needed)


def _conversion_folder(location: ModelLocation, access: HubAccess) -> Path:
    """Where the conversion of published weights is kept: one folder per state of the source."""
    require(HUB_CLIENT, "hub", f"The model `{location.name}`")
    from huggingface_hub import cached_assets_path

    files = sorted(f for f in location.folder.rglob("*") if f.is_file())
    state = [(str(f.relative_to(location.folder)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    digest = hashlib.sha256(repr((str(location.folder.resolve()), state)).encode()).hexdigest()[:16]
    label = re.sub(r"[^\w.-]+", "--", location.name).strip("-.") or "model"
    return cached_assets_path("rs2sam", "converted", f"{label}-{digest}", assets_dir=access.assets_dir) / "model"


def _converted(location: ModelLocation, access: HubAccess) -> ModelLocation:
    """Published weights in this project's layout, converted the first time."""
    require("torch", "torch", f"The model `{location.name}`")
    folder = _conversion_folder(location, access)
    if not _is_complete(folder):
        try:
            from rs2sam.models.weights.convert import convert
        except MissingDependencyError:
            raise
        except ImportError as error:
            raise MissingDependencyError(error.name or "torch", "torch", f"The model `{location.name}`") from error
        logger.info("Converting the published weights of %s, once, into %s", location.name, folder)
        convert(location.folder, folder, overwrite=True)
    return _moved(location, folder)


def _moved(location: ModelLocation, folder: Path) -> ModelLocation:
    """The location of a converted model."""
    return replace(location, folder=folder, layout="rs2sam")
