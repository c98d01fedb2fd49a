"""SentencePiece files of a few pieces."""

from __future__ import annotations

from collections.abc import Sequence

from sentencepiece.sentencepiece_model_pb2 import ModelProto

from rs2sam.tokenizer import SPECIAL_TOKENS, SentenceTokenizer

LEADING_PIECES = ("<unk>", "<s>", "</s>")
"""What SentencePiece itself puts first."""

WORDS = ("the", "white", "plane", "on", "left")


def sentencepiece_file(
    *pieces: tuple[str, float], leading: Sequence[str] = LEADING_PIECES, model_type: int = 1
) -> bytes:
    """A model of these pieces and their log probabilities behind the special ones; without normalisation rules."""
    model = ModelProto()
    kinds = ModelProto.SentencePiece
    for token in leading:
        model.pieces.add(piece=token, score=0.0, type=kinds.UNKNOWN if token == "<unk>" else kinds.CONTROL)
    for text, score in pieces:
        model.pieces.add(piece=text, score=score)
    model.trainer_spec.model_type = model_type
    return model.SerializeToString()


def word_pieces(count: int) -> list[tuple[str, float]]:
    """`WORDS`, then fillers, each one piece."""
    words = [*WORDS, *(f"word{n}" for n in range(count))][:count]
    return [(f"▁{word}", -1.0) for word in words]


def small_tokenizer(size: int = 300) -> SentenceTokenizer:
    """A tokenizer whose ids fit the tiny model: `WORDS` have the numbers from 4 on."""
    pieces = word_pieces(size - len(SPECIAL_TOKENS))
    return SentenceTokenizer(sentencepiece_file(*pieces, leading=SPECIAL_TOKENS))
