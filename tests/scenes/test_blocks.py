from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.raster.tiling import TileGrid
from rs2sam.scenes.blocks import BlockReader, BlockWriter
from rs2sam.scenes.store import FULL, NO_DATA, StoredScene, StoreSink, foreground, probability


def test_blocks_come_back_and_constant_ones_take_no_room(tmp_path):
    writer = BlockWriter(tmp_path / "b")
    noise = np.random.default_rng(0).integers(0, 65536, (5, 7)).astype(np.uint16)
    writer.append(1, 10, 20, noise)
    before = writer.offset
    writer.append(0, 3, 4, np.full((500, 600), 9, dtype=np.uint16))
    assert writer.offset - before < 40
    writer.close()
    with BlockReader(tmp_path / "b") as reader:
        first, second = reader.index(0, writer.offset)
        assert (first.band, first.row, first.col, first.height, first.width) == (1, 10, 20, 5, 7)
        np.testing.assert_array_equal(reader.values(first), noise)
        assert (reader.values(second) == 9).all()
        assert reader.values(second).shape == (500, 600)


def test_what_lies_behind_the_offset_is_cut_off(tmp_path):
    writer = BlockWriter(tmp_path / "b")
    writer.append(0, 0, 0, np.eye(4, dtype=np.uint16))
    offset, checksum = writer.offset, writer.checksum
    writer.append(0, 4, 0, np.eye(4, dtype=np.uint16))
    writer.close()
    again = BlockWriter(tmp_path / "b", offset, checksum)
    again.append(0, 8, 0, np.eye(4, dtype=np.uint16))
    again.close()
    with BlockReader(tmp_path / "b") as reader:
        assert [block.row for block in reader.index(0, again.offset)] == [0, 8]


def test_a_file_that_something_else_cut_is_refused(tmp_path):
    writer = BlockWriter(tmp_path / "b")
    writer.append(0, 0, 0, np.arange(900, dtype=np.uint16).reshape(30, 30))
    writer.close()
    content = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(content[: len(content) - 9])
    with BlockReader(tmp_path / "b") as reader:
        (block,) = reader.index(0, writer.offset)
        with pytest.raises(InvalidInputError, match="without --resume"):
            reader.values(block)
        with pytest.raises(InvalidInputError, match="without --resume"):
            list(reader.index(writer.offset, writer.offset + 1))


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32), st.booleans())
def test_the_mask_is_that_of_the_probability_before_it_was_rounded(tmp_path_factory, threshold, value, is_valid):
    path = tmp_path_factory.mktemp("s") / "b"
    grid = TileGrid((1, 1), 1, 0)
    writer = BlockWriter(path)
    sink = StoreSink(writer, threshold, 64, [])
    sink.start_row(0)
    sink.put(grid.owned(0), np.full((1, 1, 1), value, dtype=np.float32), np.full((1, 1), is_valid))
    writer.close()
    ((top, values),) = StoredScene(path, grid, [0, writer.offset]).strips(0)
    assert top == 0
    assert foreground(values)[0, 0] == (is_valid and np.float32(value) > np.float32(threshold))
    assert (values[0, 0] == NO_DATA) == (not is_valid)
    if foreground(values)[0, 0]:
        assert probability(values)[0, 0] == pytest.approx(value, abs=1 / FULL)


def test_sums_that_rounding_puts_above_one_are_one(tmp_path):
    grid = TileGrid((2, 3), 4, 0)
    writer = BlockWriter(tmp_path / "b")
    sink = StoreSink(writer, 1.0, 64, [])
    sink.start_row(0)
    sink.put(grid.owned(0), np.full((1, 2, 3), 1.0000001, dtype=np.float32), np.ones((2, 3), dtype=bool))
    writer.close()
    ((_, values),) = StoredScene(tmp_path / "b", grid, [0, writer.offset]).strips(0)
    assert not foreground(values).any()
