from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.batch.inputs import Shard, find_scenes, url_key
from rs2sam.batch.scene_input import SceneInput, safe_key
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.raster.scene import scene_stem


@pytest.fixture
def tree(tmp_path):
    for name in ("in/a.tif", "in/sub/b.TIF", "in/sub/deep/c.png", "in/notes.txt", "in/.hidden.tif", "in/.cache/d.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def keys(given, tree, **options):
    return [scene.key for scene in find_scenes(str(given), out=tree / "out", **options)]


def test_a_folder_is_searched_at_any_depth_for_images(tree):
    assert keys(tree / "in", tree) == ["a.tif", "sub/b.TIF", "sub/deep/c.png"]


def test_results_inside_the_inputs_are_no_inputs(tree):
    out = tree / "in/out"
    out.mkdir()
    (out / "a_mask.tif").touch()
    assert "out/a_mask.tif" not in [scene.key for scene in find_scenes(str(tree / "in"), out=out)]
    assert "out/a_mask.tif" not in [scene.key for scene in find_scenes(str(tree / "in/**/*.tif"), out=out)]


def test_a_pattern_takes_other_files_of_a_folder(tree):
    assert keys(tree / "in", tree, pattern="*.t*") == ["a.tif", "notes.txt"]  # as case tells on this file system


def test_keys_of_a_glob_start_at_its_wildcards(tree):
    assert keys(tree / "in/**/*.*[gf]", tree) == ["a.tif", "sub/deep/c.png"]
    assert keys(tree / "in/s*/*", tree) == ["sub/b.TIF"]


@pytest.fixture
def links(tree):
    """A folder of links to files elsewhere, as a selection is made."""
    (tree / "links").mkdir()
    (tree / "links/first.tif").symlink_to(tree / "in/a.tif")
    (tree / "links/second.TIF").symlink_to("../in/sub/b.TIF")
    return tree / "links"


def test_links_keep_their_names_wherever_they_point(tree, links):
    found = {scene.key: scene for scene in find_scenes(str(links / "*.*"), out=tree / "out")}
    assert list(found) == ["first.tif", "second.TIF"]
    assert found["first.tif"].source == str(links / "first.tif")
    (one,) = find_scenes(str(links / "first.tif"), out=tree / "out")
    assert (one.key, one.source, one.stem) == ("first.tif", str(links / "first.tif"), "first")


def test_a_glob_names_each_file_once(tree):
    assert keys(tree / "in/**/**/*.png", tree) == ["sub/deep/c.png"]


def test_a_glob_finds_scenes_below_the_folder_of_the_results(tree, monkeypatch):
    assert [scene.key for scene in find_scenes(str(tree / "in/sub/*.TIF"), out=tree / "in")] == ["b.TIF"]
    monkeypatch.chdir(tree)
    assert [scene.key for scene in find_scenes("in/*.tif", out=Path())] == ["a.tif"]


@pytest.mark.parametrize("given", ["in", "in/*.tif", "in/**/*.tif"])
def test_results_among_the_scenes_are_refused(tree, given):
    with pytest.raises(InvalidInputError, match=r"folder of their own.*-o '.*in/out'"):
        find_scenes(str(tree / given), out=tree / "in")


def test_a_question_mark_begins_a_query_in_addresses_only(tree):
    names = {str(tree / "a?b.tif"): "a?b", "https://h.example/a.tif?b.tif": "a", "/vsicurl/https://h/a.tif?b=c.d": "a"}
    for source, stem in names.items():
        assert SceneInput("x", source).stem == stem
        assert scene_stem(source) == stem


def test_a_comment_in_a_list_may_stand_behind_blanks(tree):
    (tree / "scenes.txt").write_text("  # of the first flight\n in/a.tif\n\t# end\n")
    assert keys(tree / "scenes.txt", tree) == ["in/a.tif"]


def test_a_list_holds_paths_relative_to_itself_absolute_ones_and_urls(tree):
    (tree / "scenes.txt").write_text(
        f"# two of one folder\nin/a.tif\n\n{tree}/in/sub/b.TIF\n{tree}/in/sub/deep/c.png\nin/a.tif\n"
        "https://data.example/x/scene.tif?signature=1\n/vsis3/bucket/s.tif\n",
        encoding="utf-8",
    )
    found = {scene.key: scene.source for scene in find_scenes(str(tree / "scenes.txt"), out=tree / "out")}
    assert found == {
        "in/a.tif": str(tree / "in/a.tif"),
        "b.TIF": str(tree / "in/sub/b.TIF"),
        "deep/c.png": str(tree / "in/sub/deep/c.png"),
        "data.example/x/scene.tif": "https://data.example/x/scene.tif?signature=1",
        "vsis3/bucket/s.tif": "/vsis3/bucket/s.tif",
    }


def test_one_image_is_a_batch_of_one(tree):
    assert keys(tree / "in/a.tif", tree) == ["a.tif"]


@pytest.mark.parametrize(
    ("given", "options", "says"),
    [
        ("nowhere", {}, "is not there"),
        ("in/.cache/*.png", {}, "names no scene. Check it"),
        ("in", {"pattern": "*.jp2"}, "names no scene. It was searched for .*jp2"),
        ("in", {"asset": "visual"}, "no STAC file"),
        ("in/a.tif", {"pattern": "*.tif"}, "is none"),
        ("in/a.tif", {"asset": "visual"}, "no STAC file"),
    ],
)
def test_what_names_no_scene_is_an_error_that_says_so(tree, given, options, says):
    with pytest.raises((DataNotFoundError, InvalidInputError), match=says):
        find_scenes(str(tree / given), out=tree / "out", **options)


def test_two_scenes_whose_results_would_mix_are_refused(tree):
    (tree / "in/a.jpg").touch()
    with pytest.raises(InvalidInputError, match="both 'a'"):
        keys(tree / "in", tree)
    assert keys(tree / "in", tree, pattern="*.tif") == ["a.tif"]


def test_a_list_that_is_no_text_is_an_error(tree):
    (tree / "scenes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        keys(tree / "scenes.txt", tree)


def test_a_changed_file_has_another_signature_and_a_url_none(tree):
    scene = SceneInput("a.tif", str(tree / "in/a.tif"))
    before = scene.signature()
    (tree / "in/a.tif").write_bytes(b"more")
    assert before != scene.signature()
    assert SceneInput("b.tif", "https://data.example/b.tif").signature() is None
    assert SceneInput("c.tif", str(tree / "gone.tif")).signature() is None


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "x/2", "1", "1/2/3", "-1/2"])
def test_a_shard_out_of_range_is_an_error(text):
    with pytest.raises(InvalidInputError, match="i/n"):
        Shard.parse(text)


@given(names=st.lists(st.text(min_size=1), unique=True), count=st.integers(1, 9))
def test_shards_partition_the_scenes(names, count):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for name in names:
        assert sum(shard.holds(name) for shard in shards) == 1


def test_a_shard_is_the_same_everywhere_and_for_ever():
    # `printf a | sha256sum` begins ca978112ca1bbdca, and 0xca978112ca1bbdca % 3 == 1: the second of three.
    assert [Shard(number, 3).holds("a") for number in (1, 2, 3)] == [False, True, False]
    assert [key for key in "abcdefgh" if Shard(1, 3).holds(key)] == ["f"]


@given(st.text())
def test_a_key_never_leaves_its_folder(name):
    path = PurePosixPath(safe_key(name))
    assert not path.is_absolute()
    assert ".." not in path.parts


def test_the_query_of_a_url_is_no_part_of_its_key():
    assert url_key("https://host.example/a/../b.tif?sig=x#y") == "host.example/a/b.tif"
