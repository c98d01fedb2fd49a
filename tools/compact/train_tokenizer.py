"""Train the compact model's tokenizer: 8,192 pieces, byte fallback, nothing unknown.

Run it with the two text files and the word list:

    python tools/compact/train_tokenizer.py --captions ../shared/data/captions/rs_captions.txt \
        --expressions ../shared/data/expressions/aerial_d_sample.txt \
        --common-words ../shared/data/tokenizer/beit3_first45233.spm --out src/rs2sam/weights/compact/tokenizer.model

Sentences are normalised (NFKC, lower case, hyphens and underscores as spaces, white space collapsed) and split at white
space and punctuation, so that a word has the same id wherever it stands ("left," = "left" ","). Referring expressions
count 50 times a caption, the words of `tools/compact/domain_words.txt` are repeated until each is one piece.
Captions fill 5,800 pieces; common English words (those that open BEiT-3's own SentencePiece model) fill the rest.

The pieces are learned with `tokenizers`, which can be given byte pieces, an alphabet and words that stay whole, and
written as a SentencePiece model: pieces with the ranks of their merges, and a rule of normalisation for every
character that normalising or splitting changes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sentencepiece import SentencePieceNormalizer, SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto, NormalizerSpec, TrainerSpec
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from rs2sam.tokenizer import SentenceTokenizer

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
UNUSED = ("Cn", "Co", "Cs")
"""Categories of characters without a meaning: unassigned, private, halves of others."""
# The characters that get a piece of their own; all others go through the byte pieces.
ALPHABET = [*"abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()[]&%+=*#@<>|~$²°", "▁"]


@dataclass(frozen=True)
class Weights:
    """How often a line of each source counts; a caption counts once."""

    expression: int = 50
    domain_word: int = 200
    # 2: the least that is learned at all, so the words of real aerial sentences come first.
    common_word: int = 2


def untrained_tokenizer() -> Tokenizer:
    """Normalisation, splitting and decoding, before any piece is learned."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[-_/\\‐-―−]"), " "),
            normalizers.Replace(Regex(r"[‘’ʼ`´]"), "'"),
            normalizers.Replace(Regex(r"[“”„]"), '"'),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Replace(Regex(r"[\p{Cc}\p{Cf}]"), ""),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def read_domain_words(path: Path) -> list[str]:
    """The words of the list, each once, plurals written out."""
    words: dict[str, None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        for entry in line.replace("-", " ").replace("'", " ").split():
            word = entry.removesuffix("+")
            words[word] = None
            if entry.endswith("+"):
                words[word + "s"] = None
    return list(words)


def read_common_words(path: Path, count: int) -> list[str]:
    """The first `count` whole lower-case words of a SentencePiece model, most frequent first."""
    model = SentencePieceProcessor(model_file=str(path))
    pieces = (model.id_to_piece(index) for index in range(model.get_piece_size()))
    words = (piece[1:] for piece in pieces if re.fullmatch("▁[a-z]{3,}", piece))
    return list(islice(words, count))


def training_lines(
    captions: Path, expressions: Path, common_words: list[str], domain_words: list[str], weights: Weights
) -> Iterator[str]:
    """Captions once, everything else repeated by its weight."""
    yield from captions.read_text(encoding="utf-8").splitlines()
    for line in expressions.read_text(encoding="utf-8").splitlines():
        yield from [line] * weights.expression
    yield from [" ".join(domain_words)] * weights.domain_word
    yield from [" ".join(common_words)] * weights.common_word


def train(lines: Iterator[str], vocabulary_size: int) -> Tokenizer:
    """Learn the merges and put the sentence template and the byte pieces in place.

    Raises:
        SystemExit: the text is too small to fill the vocabulary.
    """
    tokenizer = untrained_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=[*SPECIAL_TOKENS, *BYTE_TOKENS],
        initial_alphabet=ALPHABET,
        limit_alphabet=len(ALPHABET),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("<s>", "</s>")]
    )
    description = json.loads(tokenizer.to_str())
    # The byte pieces were passed as special tokens to get the ids 4 to 259. They are ordinary pieces: the text
    # "<0x41>" in a sentence is seven characters.
    description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] in SPECIAL_TOKENS]
    finished = Tokenizer.from_str(json.dumps(description))
    if finished.get_vocab_size() != vocabulary_size:
        sys.exit(f"the text fills {finished.get_vocab_size()} pieces, {vocabulary_size} were asked for: add text")
    return finished


def as_sentencepiece(tokenizer: Tokenizer) -> bytes:
    """The same pieces, normalisation and splitting as a SentencePiece model.

    SentencePiece merges the pair whose piece has the highest score: the merge that was learned first.
    """
    description = json.loads(tokenizer.to_str())["model"]
    scores: dict[str, float] = {}
    for rank, (left, right) in enumerate(description["merges"]):
        scores.setdefault(left + right, -float(rank))
    model, kinds = ModelProto(), ModelProto.SentencePiece
    special = dict.fromkeys(SPECIAL_TOKENS, kinds.CONTROL) | {"<unk>": kinds.UNKNOWN}
    for piece in sorted(description["vocab"], key=description["vocab"].__getitem__):
        kind = special.get(piece, kinds.BYTE if piece in BYTE_TOKENS else kinds.NORMAL)
        model.pieces.add(piece=piece, score=scores.get(piece, 0.0), type=kind)
    trainer = model.trainer_spec
    trainer.model_type, trainer.vocab_size, trainer.byte_fallback = TrainerSpec.BPE, len(model.pieces), True
    trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = range(len(SPECIAL_TOKENS))
    compiled = SentencePieceNormalizer(norm_map=list(rules(tokenizer)))
    model.normalizer_spec.CopyFrom(NormalizerSpec.FromString(compiled.serialized_normalizer_spec()))
    model.normalizer_spec.name = "rs2sam"
    model.normalizer_spec.add_dummy_prefix = model.normalizer_spec.remove_extra_whitespaces = True
    return bytes(model.SerializeToString())


def rules(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """What each character, and each sequence that NFKC composes, becomes: normalised, punctuation between spaces."""
    characters = (chr(code) for code in range(1, sys.maxunicode + 1) if code != ord("▁"))
    assigned = (character for character in characters if unicodedata.category(character) not in UNUSED)
    composed = (source for source, _ in SentencePieceNormalizer(rule_name="nfkc").decompile() if len(source) > 1)
    for source in (*assigned, *composed):
        # Between digits, which compose with nothing, so that spaces at either end are seen.
        normalized = tokenizer.normalizer.normalize_str(f"1{source}1")
        words = [word.removeprefix("▁") for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized)]
        target = " ".join(words)[1:-1]
        if target != source:
            yield source, target
    yield "▁", " "  # which stands for a space in pieces


def main() -> None:
    """Train, check that every domain word is one piece, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, required=True, help="captions, one a line")
    parser.add_argument("--expressions", type=Path, required=True, help="referring expressions, one a line")
    parser.add_argument("--words", type=Path, default=Path(__file__).with_name("domain_words.txt"))
    parser.add_argument("--out", type=Path, required=True, help="the tokenizer.model to write")
    parser.add_argument("--common-words", type=Path, required=True, help="a SentencePiece model of English text")
    parser.add_argument("--vocabulary-size", type=int, default=8192)
    parser.add_argument("--num-common-words", type=int, default=5000)
    arguments = parser.parse_args()

    words = read_domain_words(arguments.words)
    common_words = read_common_words(arguments.common_words, arguments.num_common_words)
    lines = training_lines(arguments.captions, arguments.expressions, common_words, words, Weights())
    tokenizer = SentenceTokenizer(as_sentencepiece(train(lines, arguments.vocabulary_size)))
    split = [word for word in words if len(tokenizer.encode(word)) != 3]
    if split:
        sys.exit(f"{len(split)} domain words are more than one piece: {' '.join(split)}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(arguments.out)
    print(f"{arguments.out}: {len(tokenizer)} pieces, {len(words)} domain words in one piece each")


if __name__ == "__main__":
    main()
