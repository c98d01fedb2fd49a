"""Sentences to token ids: a SentencePiece model whose pieces are numbered as XLM-R numbers them.

The file `tokenizer.model` of a model folder is a SentencePiece model like any other, normalisation included. Its pieces
stand in the order of their ids: `<s>`=0, `<pad>`=1, `</s>`=2, `<unk>`=3, then those of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN_ID, PAD_ID, END_ID, UNKNOWN_ID = range(4)


class SentenceTokenizer:
    """Sentences to ids and back.

    Special tokens are never read out of a sentence: `</s>` inside one is four characters, not its end.

    Args:
        model: the content of a SentencePiece file.
        name: of the file, for messages.

    Raises:
        InvalidInputError: it is no SentencePiece model, or its first pieces are others than `SPECIAL_TOKENS`.
    """

    def __init__(self, model: bytes, name: str = "the tokenizer") -> None:
        self._model = model
        if not model:
            raise InvalidInputError(f"{name} is empty. Copy it again.")
        try:
            self._pieces = SentencePieceProcessor(model_proto=model)
            first = tuple(self.piece(index) for index in range(min(len(self), len(SPECIAL_TOKENS))))
        except (RuntimeError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                f"{name} cannot be read as a SentencePiece model: {words_of(error)}. Copy it again."
            ) from error
        if first != SPECIAL_TOKENS or self._pieces.unk_id() != UNKNOWN_ID:
            raise InvalidInputError(
                f"{name} must begin with the pieces {', '.join(SPECIAL_TOKENS)}, received {', '.join(first)}. "
                "Convert BEiT-3's beit3.spm with `rs2sam convert`, or take the file of another model folder."
            )

    def __reduce__(self) -> tuple[type[SentenceTokenizer], tuple[bytes]]:
        """The file alone; SentencePiece would carry a copy of its own."""
        return SentenceTokenizer, (self._model,)

    @classmethod
    def from_file(cls, path: str | Path) -> SentenceTokenizer:
        """Read a SentencePiece file.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: see the class.
        """
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise DataNotFoundError(
                f"{path} cannot be read ({error.strerror}): a model needs its tokenizer."
            ) from error
        return cls(model, str(path))

    def save(self, path: str | Path) -> None:
        """Write the SentencePiece file."""
        Path(path).write_bytes(self._model)

    def __len__(self) -> int:
        """Number of ids, special tokens included."""
        return int(self._pieces.get_piece_size())

    def encode(self, sentence: str) -> list[int]:
        """Ids of one sentence, `<s>` and `</s>` included.

        Raises:
            InvalidInputError: it is no text that can be written as UTF-8.
        """
        try:
            sentence.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"A sentence must be Unicode text, received {sentence[:80]!a} ({error.reason}). Write the character "
                "out."
            ) from error
        return [BEGIN_ID, *self._pieces.encode(sentence), END_ID]

    def decode(self, ids: Sequence[int]) -> str:
        """The normalised sentence of some ids, without special tokens."""
        return str(self._pieces.decode([index for index in ids if index not in (BEGIN_ID, PAD_ID, END_ID)]))

    def piece(self, index: int) -> str:
        """Text of one id; `▁` stands for the space before a word."""
        return str(self._pieces.id_to_piece(index))
