"""What a batch works on: a folder, a glob, a list, a STAC catalog or one file become scenes with a stable name each.

A scene's `key` is a relative path: results go into the folder it names, the manifest knows the scene by it, and shards
are drawn from it. It depends on where a scene lies among the inputs only, never on the order in which they were found.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rs2sam.batch.scene_input import RASTER_SUFFIXES, SceneInput, safe_key
from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.fields import a_path, a_place
from rs2sam.files import check_utf8, refuse_special_file
from rs2sam.raster.scene import is_local

LIST_SUFFIXES = frozenset({".txt", ".lst"})
STAC_SUFFIXES = frozenset({".json", ".geojson"})

_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Shard:
    """A part of the scenes, the same on every machine: `number` of `count`, counted from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InvalidInputError(
                f"A shard is written i/n with 1 <= i <= n, but it is {self.number}/{self.count}. For example 1/4."
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `1/4`."""
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if match is None:
            raise InvalidInputError(f"A shard is written i/n with 1 <= i <= n, but it is {text!r}. For example 1/4.")
        return cls(int(match[1]), int(match[2]))

    def holds(self, key: str) -> bool:
        """Whether a scene belongs here; a hash of its key decides, so shards stay as they are when scenes are added."""
        digest = hashlib.sha256(key.encode("utf-8")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def find_scenes(
    given: str | Path, *, asset: str | None = None, pattern: str | None = None, out: Path
) -> list[SceneInput]:
    """The scenes that an input names, ordered by key.

    Args:
        given: a folder (searched at any depth), a quoted glob, a list (`.txt`, one path or URL a line), a STAC
            ItemCollection, item, catalog or collection (`.json`, path or URL), or one image.
        asset: key or role of the asset that is taken from each STAC item.
        pattern: names of files that are taken from a folder, e.g. `*.tif`, instead of all known suffixes.
        out: folder of the results; nothing below it is an input.

    Raises:
        DataNotFoundError: when there is no such input, or it holds no scene.
        InvalidInputError: when it cannot be read, two scenes would write the same files, or `out` is the very folder
            that is searched.
    """
    given = a_path("given", given)
    is_folder = is_local(given) and a_place("given", given).is_dir()
    if pattern is not None and not is_folder:
        raise InvalidInputError(
            f"`--pattern` chooses files of a folder, but {given!r} is none. Leave it out, or name a folder."
        )
    if asset is not None and not _is_stac(given):
        raise InvalidInputError(
            f"`--asset` chooses among the assets of STAC items, but {given!r} is no STAC file (.json). Leave it out."
        )
    scenes = sorted(_scenes_of(given, asset, pattern, out), key=lambda scene: scene.key)
    if not scenes:
        searched = f"It was searched for {pattern or ', '.join(sorted(RASTER_SUFFIXES))}; take others with --pattern"
        advice = searched if is_folder else "Check it"
        raise DataNotFoundError(f"{given!r} names no scene. {advice}, or name files in a list.")
    _refuse_same_results(scenes)
    return scenes


def url_key(url: str) -> str:
    """Host and path of a URL or `/vsi` path as a key; the query, which may hold a signature, is left out."""
    parts = urlsplit(url)
    return safe_key(f"{parts.netloc}/{parts.path}" if parts.scheme else url.partition("?")[0])


def _is_stac(given: str) -> bool:
    """Whether an input is a STAC file by its name."""
    path = urlsplit(given).path if "://" in given else given
    return PurePosixPath(path).suffix.lower() in STAC_SUFFIXES


def _scenes_of(given: str, asset: str | None, pattern: str | None, out: Path) -> Iterable[SceneInput]:
    """Tell the kinds of inputs apart."""
    path = Path(given)
    suffix = PurePosixPath(urlsplit(given).path if "://" in given else given).suffix.lower()
    local = is_local(given)
    if local and path.is_dir():
        return _from_folder(path, pattern, out)
    if local and not path.exists():
        if _WILDCARDS.search(given):
            return _from_glob(given, out)
        raise DataNotFoundError(
            f"The input {given!r} is not there. It must be a folder, a quoted glob, a list (.txt), a STAC file (.json) "
            "or an image."
        )
    if _is_stac(given):
        from rs2sam.batch.stac_inputs import stac_scenes

        return stac_scenes(given, asset)
    if suffix in LIST_SUFFIXES and local:
        return _from_list(path)
    if local:
        return [SceneInput(path.name, os.path.abspath(path))]
    return [SceneInput(url_key(given), given)]


def _from_folder(folder: Path, pattern: str | None, out: Path) -> Iterator[SceneInput]:
    """Images at any depth; hidden ones and those below `out` are left out."""
    base, skipped = folder.resolve(), out.resolve()
    _refuse_results_among_scenes(base, out)
    for name, children, files in os.walk(base):
        children[:] = [child for child in children if child[0] != "." and Path(name, child) != skipped]
        for file in files:
            path = Path(name, file)
            taken = path.suffix.lower() in RASTER_SUFFIXES if pattern is None else path.match(pattern)
            if taken and file[0] != ".":
                yield _local_scene(path, base)


def _from_glob(pattern: str, out: Path) -> Iterator[SceneInput]:
    """Files that a glob names; keys start where its wildcards do."""
    fixed: list[str] = []
    for part in Path(pattern).parts:
        if _WILDCARDS.search(part):
            break
        fixed.append(part)
    base, results = Path(os.path.abspath(Path(*fixed))), out.resolve()
    _refuse_results_among_scenes(base, out)
    # Results that lie above the scenes are not among them.
    is_below = base.resolve() in results.parents
    # Links keep the name and place that the user gave them, wherever they point.
    for path in map(Path, dict.fromkeys(map(os.path.abspath, glob.iglob(pattern, recursive=True)))):
        is_result = is_below and results in path.resolve().parents
        if path.is_file() and not is_result and path.is_relative_to(base):
            yield _local_scene(path, base)


def _local_scene(path: Path, base: Path) -> SceneInput:
    """The scene of a file below a folder; one whose name no result could hold fails by itself, not with the batch."""
    key, source = path.relative_to(base).as_posix(), str(path)
    try:
        check_utf8("name of an image", source)
    except InvalidInputError as error:
        return SceneInput(_readable(key), _readable(source), problem=str(error))
    return SceneInput(key, source)


def _readable(name: str) -> str:
    """A name with `%e9` in place of bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\\x", "%")


def _refuse_results_among_scenes(base: Path, out: Path) -> None:
    """Raise InvalidInputError where the results would lie in the folder that is searched for scenes."""
    if out.resolve() == base.resolve():
        raise InvalidInputError(
            f"Results need a folder of their own, since the next run would take them for scenes, but {str(out)!r} is "
            f"the folder of the scenes. Choose one below it, for example -o {str(out / 'out')!r}."
        )


def _from_list(path: Path) -> list[SceneInput]:
    """Paths and URLs of a text file, one a line; blank lines and comments, which start with #, are skipped."""
    refuse_special_file("list of scenes", path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"A list of scenes must be UTF-8 text, one path or URL a line, but {str(path)!r} is not "
            f"({words_of(error)})."
        ) from error
    stripped = (line.strip() for line in lines)
    entries = list(dict.fromkeys(line for line in stripped if line and not line.startswith("#")))
    absolute = [Path(os.path.normpath(entry)) for entry in entries if is_local(entry) and Path(entry).is_absolute()]
    common = Path(os.path.commonpath([entry.parent for entry in absolute])) if absolute else Path("/")
    scenes: dict[str, SceneInput] = {}
    for entry in entries:
        if not is_local(entry):
            scene = SceneInput(url_key(entry), entry)
        elif Path(entry).is_absolute():
            normal = Path(os.path.normpath(entry))
            scene = SceneInput(normal.relative_to(common).as_posix(), str(normal))
        else:
            normal = Path(os.path.normpath(path.parent / entry))
            scene = SceneInput(safe_key(os.path.normpath(entry).replace(os.sep, "/")), str(normal.absolute()))
        scenes.setdefault(scene.source, scene)
    return list(scenes.values())


def _refuse_same_results(scenes: Sequence[SceneInput]) -> None:
    """Raise InvalidInputError when two scenes have the same folder and stem of results."""
    seen: dict[tuple[PurePosixPath, str], SceneInput] = {}
    for scene in scenes:
        # File systems that ignore case would mix them as well.
        place = PurePosixPath(str(scene.parent).lower()), scene.stem.lower()
        other = seen.setdefault(place, scene)
        if other is not scene:
            raise InvalidInputError(
                f"Scenes of one folder need different names, since results are named after them, but {other.source!r} "
                f"and {scene.source!r} are both {scene.stem!r}. Take one of them with --pattern (e.g. '*.tif'), a "
                "glob or a list."
            )
