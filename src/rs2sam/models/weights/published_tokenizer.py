"""BEiT-3's SentencePiece model (`beit3.spm`) with its pieces in XLM-R order.

The published code reads the file with transformers' XLMRobertaTokenizer, which renumbers the pieces: `<s>`=0,
`<pad>`=1, `</s>`=2, `<unk>`=3, then piece id + 1, `<mask>` last; it wraps a sentence as `<s> ... </s>`. Two habits of
that code:

- it sets the pad token to `<unk>` (3) and attends where id != 3, so a real unknown token is masked too. That is
  `pad_token_id=3, mask_unknown_tokens=True` in `ProcessingConfig`.
- it adds a token `[SEG]` behind the vocabulary (64003 for the whole file, inside the table of 64010) and never puts it
  into a sentence. Here too it has its number, and no sentence has it.

Source: rongfu-dsb/RS2-SAM2, `lib/referformer.py` and `merge_lora_weights_and_save_hf_model.py`; google/sentencepiece,
`sentencepiece_model.proto` for the file's fields.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from rs2sam.errors import CheckpointError, DataNotFoundError, words_of
from rs2sam.fields import parse_json, some_of
from rs2sam.processing import ProcessingConfig
from rs2sam.tokenizer import BEGIN_ID, END_ID, PAD_ID, SPECIAL_TOKENS, UNKNOWN_ID, SentenceTokenizer

MASK_TOKEN = "<mask>"
SEG_TOKEN = "[SEG]"

# What SentencePiece takes for granted in every model: <unk>, <s> and </s> come first.
_LEADING_PIECES = ("<unk>", "<s>", "</s>")

_UNIGRAM = 1


def load_published_tokenizer(path: str | Path) -> SentenceTokenizer:
    """Read `beit3.spm`, or what transformers makes of it, in XLM-R numbering.

    Args:
        path: the SentencePiece file, the tokenizer.json of a transformers folder, or the tokenizer.model of a folder of
            this project, which is in XLM-R numbering already.

    Returns:
        A tokenizer that gives the published ids.

    Raises:
        DataNotFoundError: there is no such file.
        CheckpointError: it is no SentencePiece unigram model, or is cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(
            f"tokenizer not found: `{path}`. Point to `beit3.spm` (github.com/microsoft/unilm, folder beit3)."
        )
    if path.suffix == ".json":
        return SentenceTokenizer(_in_xlmr_order(_from_json(path)), str(path))
    model = _sentencepiece_model(path)
    texts = tuple(piece.piece for piece in model.pieces)
    if texts[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS:
        return SentenceTokenizer.from_file(path)
    if not texts:
        raise CheckpointError(f"`{path}` is no SentencePiece model: it has no pieces. Take BEiT-3's own `beit3.spm`.")
    if model.trainer_spec.model_type != _UNIGRAM or texts[: len(_LEADING_PIECES)] != _LEADING_PIECES:
        raise CheckpointError(
            f"`{path}` must be a SentencePiece unigram model that starts with {', '.join(_LEADING_PIECES)}, received "
            f"model type {model.trainer_spec.model_type} with {len(texts)} pieces. Take BEiT-3's own `beit3.spm`."
        )
    del model.pieces[: len(_LEADING_PIECES)]
    return SentenceTokenizer(_in_xlmr_order(model), str(path))


def published_processing_config(
    image_size: int = 1024, union_image_size: int = 224, max_text_tokens: int = 1022
) -> ProcessingConfig:
    """How the published code prepares inputs: padding with the unknown token, which is never attended to."""
    return ProcessingConfig(
        image_size=image_size,
        union_image_size=union_image_size,
        max_text_tokens=max_text_tokens,
        pad_token_id=UNKNOWN_ID,
        mask_unknown_tokens=True,
    )


def _in_xlmr_order(model: Any) -> bytes:
    """A SentencePiece file: special tokens, the pieces of `model`, `<mask>`, `[SEG]`; all else as in `model`.

    Args:
        model: a unigram `ModelProto` of pieces of text alone; it is changed.
    """
    text, kinds = list(model.pieces), ModelProto.SentencePiece
    del model.pieces[:]
    for token in SPECIAL_TOKENS:
        kind = kinds.UNKNOWN if token == SPECIAL_TOKENS[UNKNOWN_ID] else kinds.CONTROL
        model.pieces.add(piece=token, score=0.0, type=kind)
    model.pieces.extend(text)
    for token in (MASK_TOKEN, SEG_TOKEN):
        model.pieces.add(piece=token, score=0.0, type=kinds.CONTROL)
    trainer = model.trainer_spec
    trainer.vocab_size = len(model.pieces)
    trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = BEGIN_ID, PAD_ID, END_ID, UNKNOWN_ID
    return bytes(model.SerializeToString())


def _sentencepiece_model(path: Path) -> Any:
    """The content of a SentencePiece file."""
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise CheckpointError(
            f"`{path}` is no SentencePiece model, or is cut short ({words_of(error)}). Download `beit3.spm` again."
        ) from error
    return model


def _from_json(path: Path) -> Any:
    """Pieces of text and normalisation of the tokenizer.json that transformers writes for an XLM-R tokenizer."""
    try:
        content: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        vocabulary = [(str(text), float(score)) for text, score in content["model"]["vocab"]]
        charsmaps = [base64.b64decode(one) for one in _charsmaps(content["normalizer"])]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"`{path}` must be the tokenizer.json of an XLM-R tokenizer (unigram), and is not. Take "
            "BEiT-3's own `beit3.spm`."
        ) from error
    texts = [text for text, _ in vocabulary]
    if tuple(texts[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
        raise CheckpointError(
            f"`{path}` must begin with the pieces {', '.join(SPECIAL_TOKENS)}, received {some_of(texts, 4)}. Take "
            "BEiT-3's own `beit3.spm`."
        )
    model = ModelProto()
    for text, score in vocabulary[len(SPECIAL_TOKENS) :]:
        if text != MASK_TOKEN:
            model.pieces.add(piece=text, score=score)
    model.trainer_spec.model_type = _UNIGRAM
    model.normalizer_spec.precompiled_charsmap = b"".join(charsmaps[:1])
    return model


def _charsmaps(normalizer: Any) -> Iterator[str]:
    """Compiled normalisation rules in a tokenizer.json, base64."""
    if isinstance(normalizer, dict):
        if normalizer.get("type") == "Precompiled":
            yield normalizer["precompiled_charsmap"]
        for one in normalizer.get("normalizers", []):
            yield from _charsmaps(one)
