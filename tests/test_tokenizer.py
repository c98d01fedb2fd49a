from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from rs2sam.errors import CheckpointError, DataNotFoundError

REPOSITORY = Path(__file__).parents[1]
COMPACT = REPOSITORY / "src" / "rs2sam" / "weights" / "compact" / "tokenizer.json"


@pytest.fixture(scope="module")
def compact() -> Tokenizer:
    return Tokenizer.from_file(str(COMPACT))


def test_compact_has_8192_pieces_and_the_usual_special_ids(compact):
    assert compact.get_vocab_size() == 8192
    assert [compact.token_to_id(token) for token in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert [token["id"] for token in json.loads(COMPACT.read_text())["added_tokens"]] == [0, 1, 2, 3]


def test_compact_frames_every_sentence(compact):
    assert compact.encode("the ship").tokens == ["<s>", "▁the", "▁ship", "</s>"]


@pytest.mark.parametrize(
    "sentence",
    ["das größte Gebäude", "飞机在左边", "самолёт", "🛩️ on the left", "\x00\x07 a", "𒀀", "ᚠᚡ ½ ﬁ", "ship" * 200],
)
def test_compact_knows_every_sentence(compact, sentence):
    ids = compact.encode(sentence).ids
    assert len(ids) > 2
    assert 3 not in ids


def test_compact_gives_other_languages_back(compact):
    sentence = "飞机 größte 🛩"
    assert compact.decode(compact.encode(sentence).ids) == sentence


@pytest.mark.parametrize(
    "variant",
    ["The Storage Tank, LEFT", "the storage-tank , left", "the  storage_tank,\tleft ", "ｔｈｅ storage tank,left"],
)
def test_compact_ignores_case_width_hyphens_and_white_space(compact, variant):
    assert compact.encode(variant).ids == compact.encode("the storage tank, left").ids


def test_compact_takes_special_tokens_in_a_sentence_as_text(compact):
    compact.encode_special_tokens = True
    assert compact.encode("a <pad> <0x41>").ids.count(1) == 0


def test_compact_has_one_piece_for_every_domain_word(compact):
    lines = (REPOSITORY / "tools" / "domain_words.txt").read_text(encoding="utf-8").splitlines()
    entries = [entry for line in lines if not line.startswith("#") for entry in re.split(r"[\s'-]+", line) if entry]
    words = [entry.removesuffix("+") for entry in entries] + [entry[:-1] + "s" for entry in entries if entry[-1] == "+"]
    assert len(words) > 1000
    assert [word for word in words if len(compact.encode(word)) != 3] == []


def test_compact_is_short_on_real_sentences(compact, data_dir):
    lines = (data_dir / "captions" / "rs_captions.txt").read_text(encoding="utf-8").splitlines()
    encodings = compact.encode_batch(lines)
    assert not any(3 in encoding.ids for encoding in encodings)
    num_words = sum(len(re.findall(r"\w+|[^\w\s]", line)) for line in lines)
    assert sum(len(encoding) - 2 for encoding in encodings) < 1.02 * num_words


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def sentencepiece_file(*pieces: tuple[str, float], model_type: int | None = None) -> bytes:
    """A SentencePiece model of these pieces after <unk>, <s>, </s>."""
    leading = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)]
    messages = [field(1, text.encode()) + b"\x15" + struct.pack("<f", score) for text, score in [*leading, *pieces]]
    trainer = b"" if model_type is None else field(2, b"\x18" + varint(model_type))
    return b"".join(field(1, message) for message in messages) + trainer


PIECES = (
    ("▁the", -1.0),
    ("▁", -2.0),
    ("▁ship", -3.0),
    ("s", -4.0),
    ("h", -5.0),
    ("i", -6.0),
    ("p", -7.0),
    ("sh", -20.0),
)


class TestPublished:
    """`beit3.spm` in XLM-R numbering; the module under test is imported late, since it comes with the models."""

    @pytest.fixture
    def load(self):
        return pytest.importorskip("rs2sam.models.published_tokenizer").load_published_tokenizer

    @pytest.fixture
    def small(self, load, tmp_path):
        (tmp_path / "small.spm").write_bytes(sentencepiece_file(*PIECES, model_type=1))
        return load(tmp_path / "small.spm")

    def test_pieces_are_numbered_one_higher(self, small):
        assert small.encode("the ships").ids == [0, 4, 6, 7, 2]

    def test_the_best_segmentation_wins(self, small):
        # s + h = -9 beats the piece "sh" at -20
        assert small.encode("hsh").tokens == ["<s>", "▁", "h", "s", "h", "</s>"]

    def test_spaces_at_the_ends_and_repeated_ones_are_dropped(self, small):
        assert small.encode("  the   ship ").ids == small.encode("the ship").ids

    def test_a_run_of_unknown_characters_is_one_unknown_token(self, small):
        assert small.encode("the 飞机 ship").ids == [0, 4, 5, 3, 6, 2]

    def test_mask_and_seg_stand_behind_the_pieces_and_are_never_added(self, small):
        assert small.token_to_id("<mask>") == 3 + len(PIECES) + 1
        assert small.token_to_id("[SEG]") == 3 + len(PIECES) + 2
        assert small.encode("the [SEG] ship").ids == [0, 4, small.token_to_id("[SEG]"), 6, 2]

    def test_numbers_of_the_whole_file_fit_the_published_table(self, load, tmp_path):
        fillers = [(f"filler{n}", -50.0) for n in range(64001 - 3)]
        (tmp_path / "whole.spm").write_bytes(sentencepiece_file(*fillers))
        tokenizer = load(tmp_path / "whole.spm")
        assert tokenizer.token_to_id("[SEG]") == 64003 < 64010

    def test_ids_equal_sentencepiece_on_all_sentences(self, load, data_dir):
        sentencepiece = pytest.importorskip("sentencepiece")
        file = data_dir / "tokenizer" / "beit3_first45233.spm"
        reference = sentencepiece.SentencePieceProcessor(model_file=str(file))
        lines = [
            *(data_dir / "captions" / "rs_captions.txt").read_text(encoding="utf-8").splitlines(),
            *(data_dir / "expressions" / "aerial_d_sample.txt").read_text(encoding="utf-8").splitlines(),
            *("  two  spaces ", "飞机 and 🛩️ ☃☃☃ x", "naïve café ½ ﬁ", "CAPS Text-with/punct; (etc.)", "a\tb", "67.8m"),
        ]
        expected = [[0, *(piece + 1 if piece else 3 for piece in reference.encode(line)), 2] for line in lines]
        found = [encoding.ids for encoding in load(file).encode_batch(lines)]
        assert len(lines) > 39_000
        assert [line for line, ours, theirs in zip(lines, found, expected, strict=True) if ours != theirs] == []

    def test_padding_and_unknown_tokens_are_not_attended_to(self, small):
        from rs2sam.models.published_tokenizer import published_processing_config
        from rs2sam.processing import Processor

        inputs = Processor(published_processing_config(), small).sentences(["the ship", "the 飞 ship"])
        assert inputs.input_ids.tolist() == [[0, 4, 6, 2, 3, 3], [0, 4, 5, 3, 6, 2]]
        assert inputs.attention_mask.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 1]]

    def test_the_sentence_limit_is_1022_tokens(self, small):
        from rs2sam.errors import InvalidInputError
        from rs2sam.models.published_tokenizer import published_processing_config
        from rs2sam.processing import Processor

        processor = Processor(published_processing_config(), small)
        assert processor.sentences(["the " * 1020]).input_ids.shape == (1, 1022)
        with pytest.raises(InvalidInputError, match="at most 1022 tokens, received 1023"):
            processor.sentences(["the " * 1021])

    def test_a_cut_file_is_rejected(self, load, tmp_path):
        (tmp_path / "cut.spm").write_bytes(sentencepiece_file(*PIECES)[:-3])
        with pytest.raises(CheckpointError, match="cut short"):
            load(tmp_path / "cut.spm")

    @pytest.mark.parametrize("content", [b"", b"hello world", b"\x00" * 64, b"PK\x03\x04" * 20])
    def test_another_kind_of_file_is_rejected(self, load, tmp_path, content):
        (tmp_path / "other.spm").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"other\.spm"):
            load(tmp_path / "other.spm")

    def test_another_kind_of_model_is_rejected(self, load, tmp_path):
        (tmp_path / "bpe.spm").write_bytes(sentencepiece_file(*PIECES, model_type=2))
        with pytest.raises(CheckpointError, match="model type 2"):
            load(tmp_path / "bpe.spm")

    def test_a_missing_file_is_named(self, load, tmp_path):
        with pytest.raises(DataNotFoundError, match=r"absent\.spm"):
            load(tmp_path / "absent.spm")
