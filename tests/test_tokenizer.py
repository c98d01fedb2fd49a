from __future__ import annotations

import base64
import json
import pickle
import re
import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto, NormalizerSpec

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.tokenizer import SentenceTokenizer
from tests.sentencepiece_files import sentencepiece_file

REPOSITORY = Path(__file__).parents[1]
COMPACT = REPOSITORY / "src" / "rs2sam" / "weights" / "compact" / "tokenizer.model"


@pytest.fixture(scope="module")
def compact() -> SentenceTokenizer:
    return SentenceTokenizer.from_file(COMPACT)


def pieces(tokenizer: SentenceTokenizer, sentence: str) -> list[str]:
    return [tokenizer.piece(index) for index in tokenizer.encode(sentence)]


def test_compact_has_8192_pieces_and_the_usual_special_ids(compact):
    assert len(compact) == 8192
    assert [compact.piece(index) for index in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]


def test_compact_frames_every_sentence(compact):
    assert pieces(compact, "the ship") == ["<s>", "▁the", "▁ship", "</s>"]


def test_a_tokenizer_survives_pickling(compact):
    packed = pickle.dumps(compact)
    assert len(packed) < 1.01 * COMPACT.stat().st_size
    assert pickle.loads(packed).encode("the ship") == compact.encode("the ship")


def test_what_is_no_unicode_text_is_refused(compact):
    with pytest.raises(InvalidInputError, match="must be Unicode text"):
        compact.encode("the \ud800 ship")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"absent\.model cannot be read"):
        SentenceTokenizer.from_file(tmp_path / "absent.model")


@pytest.mark.parametrize(
    "sentence",
    ["das größte Gebäude", "飞机在左边", "самолёт", "🛩️ on the left", "\x00\x07 a", "𒀀", "ᚠᚡ ½ ﬁ", "ship" * 200],
)
def test_compact_knows_every_sentence(compact, sentence):
    ids = compact.encode(sentence)
    assert len(ids) > 2
    assert 3 not in ids


def test_compact_gives_other_languages_back(compact):
    sentence = "飞机 größte 🛩"
    assert compact.decode(compact.encode(sentence)) == sentence


@pytest.mark.parametrize(
    "variant",
    ["The Storage Tank, LEFT", "the storage-tank , left", "the  storage_tank,\tleft ", "ｔｈｅ storage tank,left"],
)
def test_compact_ignores_case_width_hyphens_and_white_space(compact, variant):
    assert compact.encode(variant) == compact.encode("the storage tank, left")


def test_compact_takes_special_tokens_in_a_sentence_as_text(compact):
    ids = compact.encode("a <pad> </s> <0x41>")
    assert (ids.count(0), ids.count(1), ids.count(2), ids[-1]) == (1, 0, 1, 2)
    assert compact.decode(ids) == "a < pad > < / s > < 0x41 >".replace("/ ", "")


def test_compact_takes_the_character_that_marks_a_space_for_a_space(compact):
    assert compact.encode("▁the▁ship▁") == compact.encode("the ship")


@given(st.text(st.characters(categories=("Lu", "Ll", "Lo", "Nd"), max_codepoint=0x2FFF), min_size=1, max_size=12))
def test_compact_normalises_words_as_unicode_does(text):
    compact = SentenceTokenizer.from_file(COMPACT)
    assert compact.encode(text) == compact.encode(unicodedata.normalize("NFKC", text).lower())
    assert compact.encode(text) == compact.encode(unicodedata.normalize("NFD", text))


@given(st.text(st.characters(categories=("P",), max_codepoint=0x2FFF), min_size=1, max_size=6))
def test_compact_gives_a_word_the_same_id_whatever_punctuation_is_beside_it(text):
    compact = SentenceTokenizer.from_file(COMPACT)
    assert compact.encode(f"ship{text}").count(compact.encode("ship")[1]) == 1


def test_compact_has_one_piece_for_every_domain_word(compact):
    lines = (REPOSITORY / "tools" / "compact" / "domain_words.txt").read_text(encoding="utf-8").splitlines()
    entries = [entry for line in lines if not line.startswith("#") for entry in re.split(r"[\s'-]+", line) if entry]
    words = [entry.removesuffix("+") for entry in entries] + [entry[:-1] + "s" for entry in entries if entry[-1] == "+"]
    assert len(words) > 1000
    assert [word for word in words if len(compact.encode(word)) != 3] == []


def test_compact_is_short_on_real_sentences(compact, data_dir):
    lines = (data_dir / "captions" / "rs_captions.txt").read_text(encoding="utf-8").splitlines()
    encodings = [compact.encode(line) for line in lines]
    assert not any(3 in ids for ids in encodings)
    num_words = sum(len(re.findall(r"\w+|[^\w\s]", line)) for line in lines)
    assert sum(len(ids) - 2 for ids in encodings) < 1.02 * num_words


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
        return pytest.importorskip("rs2sam.models.weights.published_tokenizer").load_published_tokenizer

    @pytest.fixture
    def small(self, load, tmp_path):
        (tmp_path / "small.spm").write_bytes(sentencepiece_file(*PIECES))
        return load(tmp_path / "small.spm")

    def test_pieces_are_numbered_one_higher(self, small):
        assert small.encode("the ships") == [0, 4, 6, 7, 2]

    def test_the_best_segmentation_wins(self, small):
        # s + h = -9 beats the piece "sh" at -20
        assert pieces(small, "hsh") == ["<s>", "▁", "h", "s", "h", "</s>"]

    def test_spaces_at_the_ends_and_repeated_ones_are_dropped(self, small):
        assert small.encode("  the   ship ") == small.encode("the ship")

    def test_settings_of_the_file_are_kept(self, load, tmp_path):
        model = ModelProto.FromString(sentencepiece_file(*PIECES, ("the", -1.0)))
        model.normalizer_spec.add_dummy_prefix = False
        (tmp_path / "plain.spm").write_bytes(model.SerializeToString())
        assert pieces(load(tmp_path / "plain.spm"), "the ship") == ["<s>", "the", "▁ship", "</s>"]

    def test_a_run_of_unknown_characters_is_one_unknown_token(self, small):
        assert small.encode("the 飞机 ship") == [0, 4, 5, 3, 6, 2]

    def test_mask_and_seg_stand_behind_the_pieces_and_are_never_added(self, small):
        assert small.piece(3 + len(PIECES) + 1) == "<mask>"
        assert small.piece(3 + len(PIECES) + 2) == "[SEG]"
        assert len(small) == 3 + len(PIECES) + 3
        assert small.encode("the <mask> [SEG] ship") == [0, 4, 5, 3, 7, 3, 5, 3, 6, 2]

    def test_numbers_of_the_whole_file_fit_the_published_table(self, load, tmp_path):
        fillers = [(f"filler{n}", -50.0) for n in range(64001 - 3)]
        (tmp_path / "whole.spm").write_bytes(sentencepiece_file(*fillers))
        tokenizer = load(tmp_path / "whole.spm")
        assert tokenizer.piece(64003) == "[SEG]"
        assert len(tokenizer) <= 64010

    def test_ids_equal_sentencepiece_on_all_sentences(self, load, data_dir):
        file = data_dir / "tokenizer" / "beit3_first45233.spm"
        reference = sentencepiece.SentencePieceProcessor(model_file=str(file))
        lines = [
            *(data_dir / "captions" / "rs_captions.txt").read_text(encoding="utf-8").splitlines(),
            *(data_dir / "expressions" / "aerial_d_sample.txt").read_text(encoding="utf-8").splitlines(),
            *("  two  spaces ", "飞机 and 🛩️ ☃☃☃ x", "naïve café ½ ﬁ", "CAPS Text-with/punct; (etc.)", "a\tb", "67.8m"),
        ]
        expected = [[0, *(piece + 1 if piece else 3 for piece in reference.encode(line)), 2] for line in lines]
        ours = load(file)
        found = [ours.encode(line) for line in lines]
        assert len(lines) > 39_000
        assert [line for line, one, other in zip(lines, found, expected, strict=True) if one != other] == []

    def test_padding_and_unknown_tokens_are_not_attended_to(self, small):
        from rs2sam.models.weights.published_tokenizer import published_processing_config
        from rs2sam.processing import Processor

        inputs = Processor(published_processing_config(), small).sentences(["the ship", "the 飞 ship"])
        assert inputs.input_ids.tolist() == [[0, 4, 6, 2, 3, 3], [0, 4, 5, 3, 6, 2]]
        assert inputs.attention_mask.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 1]]

    def test_the_sentence_limit_is_1022_tokens(self, small):
        from rs2sam.errors import InvalidInputError
        from rs2sam.models.weights.published_tokenizer import published_processing_config
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

    def test_the_file_of_a_transformers_folder_gives_the_same_ids(self, load, small, tmp_path):
        rules = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_normalizer_spec()
        charsmap = NormalizerSpec.FromString(rules).precompiled_charsmap
        vocabulary = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], *PIECES, ["<mask>", 0.0]]
        steps = [
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ]
        content = {
            "normalizer": {"type": "Sequence", "normalizers": steps},
            "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary},
        }
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        found = load(tmp_path / "tokenizer.json")
        assert len(found) == len(small)
        assert found.encode("the ships") == small.encode("the ships")
        assert found.encode("ｔｈｅ\u3000ship") == small.encode("the ship")

    @pytest.mark.parametrize("content", ["{", "[]", '{"model": {"vocab": {"a": 1}}, "normalizer": null}'])
    def test_another_tokenizer_json_is_rejected(self, load, tmp_path, content):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"must be the tokenizer\.json of an XLM-R tokenizer"):
            load(tmp_path / "tokenizer.json")

    def test_a_file_in_our_own_numbering_stays_as_it_is(self, load, small, tmp_path):
        small.save(tmp_path / "tokenizer.model")
        assert load(tmp_path / "tokenizer.model").encode("the ships") == small.encode("the ships")

    def test_a_missing_file_is_named(self, load, tmp_path):
        with pytest.raises(DataNotFoundError, match=r"absent\.spm"):
            load(tmp_path / "absent.spm")


def test_pieces_that_are_no_utf8_are_no_tokenizer(compact, tmp_path):
    compact.save(tmp_path / "a.model")
    content = (tmp_path / "a.model").read_bytes()
    at = content.index(b"<pad>")
    with pytest.raises(InvalidInputError, match="cannot be read as a SentencePiece model"):
        SentenceTokenizer(content[:at] + b"\xff" + content[at + 1 :])
