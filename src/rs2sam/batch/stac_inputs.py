"""Scenes of a STAC item, ItemCollection, or static catalog: one asset of each item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from rs2sam.batch.scene_input import RASTER_SUFFIXES, SceneInput, StacOrigin, safe_key
from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.fields import parse_json
from rs2sam.raster.scene import is_local

if TYPE_CHECKING:
    import pystac

# What an item with several images is read from when no asset is asked for, best first.
_PREFERRED_ROLES = ("visual", "data")
_NEVER_BY_DEFAULT = frozenset({"thumbnail", "overview", "metadata"})


def stac_scenes(href: str, asset: str | None) -> list[SceneInput]:
    """The scenes of a STAC file.

    An item without a fitting asset becomes a scene with a `problem`, so that it does not stop the others.

    Args:
        href: path or URL of an Item, ItemCollection, Catalog or Collection.
        asset: key or role of the asset to read; None: the only image, or the only one of role `visual` or `data`.

    Raises:
        MissingDependencyError: pystac is not installed.
        InvalidInputError: the file is no STAC, or no item has a fitting asset.
    """
    require("pystac", "stac", f"Reading the STAC file {href!r}")

    try:
        scenes = [_scene(item, href, asset) for item in _items(href)]
    except MemoryError:
        raise
    except Exception as error:  # pystac meets malformed JSON with whatever exception the missing part causes
        raise InvalidInputError(
            f"A .json input must be a STAC Item, ItemCollection, Catalog or Collection with all it links to, but "
            f"{href!r} cannot be read as one ({type(error).__name__}: {words_of(error)})."
        ) from error
    if scenes and all(scene.problem for scene in scenes):
        raise InvalidInputError(f"No item of {href!r} has a fitting asset. {scenes[0].problem}")
    return scenes


def _items(href: str) -> Iterator[pystac.Item]:
    """All items of a STAC file."""
    import pystac

    content = pystac.StacIO.default().read_text(href)
    found: Mapping[str, Any] = parse_json(content)
    kind = found["type"]
    if kind == "FeatureCollection":
        yield from pystac.ItemCollection.from_file(href)
    elif kind == "Feature":
        yield pystac.Item.from_file(href)
    elif kind in ("Catalog", "Collection"):
        yield from pystac.Catalog.from_file(href).get_items(recursive=True)
    else:
        raise ValueError(f"its type is {kind!r}")


def _scene(item: pystac.Item, file: str, asset: str | None) -> SceneInput:
    """The scene of an item."""
    acquired = item.datetime or item.common_metadata.start_datetime
    origin = StacOrigin(
        item_id=item.id,
        href=item.get_self_href(),
        collection=item.collection_id,
        datetime=None if acquired is None else acquired.isoformat(),
    )
    folder = safe_key(item.id.replace("/", "_"))
    try:
        chosen = choose_asset(item.assets, asset)
    except InvalidInputError as error:
        return SceneInput(f"{folder}/{folder}", item.id, problem=f"STAC item {item.id!r}: {error}", origin=origin)
    source = _resolve(chosen.href, item.get_self_href() or file)
    name = PurePosixPath(urlsplit(source).path if "://" in source else source).name
    return SceneInput(f"{folder}/{safe_key(name)}", source, origin=origin)


def choose_asset(assets: Mapping[str, pystac.Asset], asked: str | None) -> pystac.Asset:
    """The asset to read.

    Args:
        assets: of an item, by key.
        asked: a key or a role; None: the only image, or the only one of role `visual` or `data`.

    Raises:
        InvalidInputError: when none or several fit.
    """
    if asked is not None and asked in assets:
        return assets[asked]
    images = {key: asset for key, asset in assets.items() if _is_image(asset)}
    if asked is not None:
        fitting = {key: asset for key, asset in images.items() if asked in (asset.roles or [])}
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        found = f"several images have the role {asked!r} ({', '.join(fitting)})" if fitting else "none has"
        raise InvalidInputError(
            f"`--asset` is the key of an asset or the role of one image, but with {asked!r} {found}. "
            f"Its assets: {_describe(assets)}."
        )
    usable = {key: asset for key, asset in images.items() if not _NEVER_BY_DEFAULT & set(asset.roles or [])}
    if len(usable) == 1:
        return next(iter(usable.values()))
    for role in _PREFERRED_ROLES:
        fitting = {key: asset for key, asset in usable.items() if role in (asset.roles or [])}
        if len(fitting) == 1:
            return next(iter(fitting.values()))
    raise InvalidInputError(
        f"One image per item is read, but it has {len(usable)}. Choose with --asset KEY or --asset ROLE. "
        f"Its assets: {_describe(assets)}."
    )


def _is_image(asset: pystac.Asset) -> bool:
    """Whether an asset is a raster by its media type, or by its suffix where it names none."""
    if asset.media_type:
        return asset.media_type.lower().startswith("image/")
    return PurePosixPath(urlsplit(asset.href).path).suffix.lower() in RASTER_SUFFIXES


def _describe(assets: Mapping[str, pystac.Asset]) -> str:
    """Keys with their roles."""
    shown = [f"{key} [{', '.join(asset.roles)}]" if asset.roles else key for key, asset in assets.items()]
    return ", ".join(shown) or "none"


def _resolve(href: str, beside: str) -> str:
    """An asset's address, relative ones counted from the file that names them; local paths are absolute."""
    if not is_local(href):
        return href
    if not is_local(beside):
        return urljoin(beside, href)
    return str((Path(beside).absolute().parent / href).resolve())
