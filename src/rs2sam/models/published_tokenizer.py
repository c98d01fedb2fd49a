"""BEiT-3's SentencePiece model (`beit3.spm`) as a `tokenizers` tokenizer in XLM-R numbering.

The published code reads the file with transformers' XLMRobertaTokenizer, which renumbers the pieces: `<s>`=0,
`<pad>`=1, `</s>`=2, `<unk>`=3, then piece id + 1, `<mask>` last; it wraps a sentence as `<s> ... </s>`. Two habits of
that code:

- it sets the pad token to `<unk>` (3) and attends where id != 3, so a real unknown token is masked too. That is
  `pad_token_id=3, mask_unknown_tokens=True` in `ProcessingConfig`.
- it adds a token `[SEG]` behind the vocabulary (64003 for the whole file, inside the table of 64010) and never puts it
  into a sentence. Here too it has its number, and nothing adds it.

Source: rongfu-dsb/RS2-SAM2, `lib/referformer.py` and `merge_lora_weights_and_save_hf_model.py`; google/sentencepiece,
`sentencepiece_model.proto` for the file's fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from rs2sam.errors import CheckpointError, DataNotFoundError
from rs2sam.processing import UNKNOWN_TOKEN_ID, ProcessingConfig

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
MASK_TOKEN = "<mask>"
SEG_TOKEN = "[SEG]"

# What SentencePiece takes for granted in every model: <unk>, <s> and </s> come first.
_LEADING_PIECES = ("<unk>", "<s>", "</s>")

# Field numbers of sentencepiece_model.proto.
_MODEL_PIECES, _MODEL_TRAINER, _MODEL_NORMALIZER = 1, 2, 3
_PIECE_TEXT, _PIECE_SCORE = 1, 2
_TRAINER_MODEL_TYPE, _UNIGRAM = 3, 1
_NORMALIZER_CHARSMAP = 2

Field = tuple[int, int | bytes]


@dataclass(frozen=True)
class SentencePieceModel:
    """What a SentencePiece file says.

    Args:
        pieces: text and log probability of every piece, in the file's order.
        charsmap: its compiled normalisation rules; empty if it has none.
    """

    pieces: tuple[tuple[str, float], ...]
    charsmap: bytes


def load_published_tokenizer(path: str | Path) -> Tokenizer:
    """Read `beit3.spm` (or the `sentencepiece.bpe.model` that transformers saves) as a tokenizer.

    Args:
        path: the SentencePiece file.

    Returns:
        A tokenizer that gives the published ids, `<s>` and `</s>` included.

    Raises:
        DataNotFoundError: there is no such file.
        CheckpointError: it is no SentencePiece unigram model, or is cut short.
    """
    model = read_sentencepiece(path)
    specials = [(token, 0.0) for token in SPECIAL_TOKENS]
    pieces = [*specials, *model.pieces[len(_LEADING_PIECES) :], (MASK_TOKEN, 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN_TOKEN_ID))
    steps = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    # SentencePiece drops spaces at both ends and repeated ones; other white space is the business of its charsmap.
    trim = [normalizers.Replace(Regex("^ +| +$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*steps, *trim])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("<s>", "</s>")]
    )
    tokenizer.add_special_tokens([*SPECIAL_TOKENS, AddedToken(MASK_TOKEN, lstrip=True)])
    # SentencePiece sees the text before and after it apart, and drops the spaces between.
    tokenizer.add_tokens([AddedToken(SEG_TOKEN, lstrip=True, rstrip=True)])
    return tokenizer


def published_processing_config(
    image_size: int = 1024, union_image_size: int = 224, max_text_tokens: int = 1022
) -> ProcessingConfig:
    """How the published code prepares inputs: padding with the unknown token, which is never attended to."""
    return ProcessingConfig(
        image_size=image_size,
        union_image_size=union_image_size,
        max_text_tokens=max_text_tokens,
        pad_token_id=UNKNOWN_TOKEN_ID,
        mask_unknown_tokens=True,
    )


def read_sentencepiece(path: str | Path) -> SentencePieceModel:
    """Read the pieces and the normalisation of a SentencePiece unigram model.

    Raises:
        DataNotFoundError: there is no such file.
        CheckpointError: it is no SentencePiece unigram model, or is cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(
            f"tokenizer not found: `{path}`. Point to `beit3.spm` (github.com/microsoft/unilm, folder beit3)."
        )
    pieces: list[tuple[str, float]] = []
    charsmap = b""
    model_type: int | bytes = _UNIGRAM
    try:
        for number, value in _fields(path.read_bytes()):
            if number == _MODEL_PIECES:
                pieces.append(_piece(_as_bytes(value)))
            elif number == _MODEL_TRAINER:
                model_type = dict(_fields(_as_bytes(value))).get(_TRAINER_MODEL_TYPE, _UNIGRAM)
            elif number == _MODEL_NORMALIZER:
                charsmap = _as_bytes(dict(_fields(_as_bytes(value))).get(_NORMALIZER_CHARSMAP, b""))
    except (ValueError, IndexError, struct.error) as error:
        raise CheckpointError(
            f"`{path}` is no SentencePiece model, or is cut short ({error}). Download `beit3.spm` again."
        ) from error
    if model_type != _UNIGRAM or tuple(text for text, _ in pieces[:3]) != _LEADING_PIECES:
        raise CheckpointError(
            f"`{path}` must be a SentencePiece unigram model that starts with {', '.join(_LEADING_PIECES)}, received "
            f"model type {model_type!r} with {len(pieces)} pieces. Take BEiT-3's own `beit3.spm`."
        )
    return SentencePieceModel(tuple(pieces), charsmap)


def _piece(message: bytes) -> tuple[str, float]:
    """Text and score of one piece."""
    values = dict(_fields(message))
    (score,) = struct.unpack("<f", _as_bytes(values.get(_PIECE_SCORE, b"\0\0\0\0")))
    return _as_bytes(values[_PIECE_TEXT]).decode() if _PIECE_TEXT in values else "", score


def _as_bytes(value: int | bytes) -> bytes:
    """A field that must hold bytes."""
    if not isinstance(value, bytes):
        raise ValueError("a field has another type than expected")
    return value


def _fields(message: bytes) -> Iterator[Field]:
    """Number and value of each field of a protocol-buffer message: integers as int, anything else as its bytes.

    A message of four kinds of fields does not warrant a dependency on protobuf.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == 0:
            integer, position = _varint(message, position)
            yield number, integer
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position + length > len(message):
            raise ValueError("it ends inside a field")
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A variable-length integer and the position behind it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
