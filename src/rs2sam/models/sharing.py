"""What is computed once for a picture that several sentences are about, and where it becomes one row a sentence.

Every block reads the sentence, so that little is common: the embeddings of the patches, and of the first block (of the
union encoder and of the trunk) what lies before the text comes in.

I pictures, B sentences; sentence b is about picture b * I // B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rs2sam.pictures import sentences_per_picture


def one_per_sentence(rows: Tensor, num_sentences: int) -> Tensor:
    """Rows of I pictures (I, ...) as those of B sentences (B, ...); the same tensor where I is B.

    Raises:
        InvalidInputError: B is no multiple of I; an exported program does not check that.
    """
    if torch.compiler.is_exporting():
        from torch.fx.experimental.symbolic_shapes import statically_known_true

        # Comparing two free sizes, or dividing one by the other, would fix their relation in the program.
        if statically_known_true(rows.shape[0] == num_sentences):
            return rows
        pictures = torch.arange(num_sentences, device=rows.device) * rows.shape[0] // num_sentences
        return rows.index_select(0, pictures)
    if rows.shape[0] == num_sentences:
        return rows
    return rows.repeat_interleave(sentences_per_picture(rows.shape[0], num_sentences), dim=0)
