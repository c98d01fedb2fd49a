"""CLIPSeg (Lueddecke and Ecker, "Image Segmentation Using Text and Image Prompts", CVPR 2022), transformers' class.

The picture goes through CLIP's vision encoder once; a phrase modulates what three of its layers left, in a small
decoder. It has no objects and no presence: a mask alone.

I pictures, B phrases, h w cells of the mask, S side of the input [px].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPSegForImageSegmentation

from rs2sam.models.concepts.answer import ConceptAnswer, gathered, parts_of

MOST_PHRASES = 32


class ClipSegConcepts:
    """CLIPSeg asked phrase by phrase.

    Args:
        model: the model.
    """

    has_presence, has_score = False, False
    takes_prompts = False

    def __init__(self, model: CLIPSegForImageSegmentation) -> None:
        self.model = model

    def encode(self, pixel_values: Tensor) -> list[tuple[Tensor, ...]]:
        """Encode (I, 3, S, S) pictures together: for each what the extracted layers left, (1, tokens, D)."""
        found = self.model.clip.get_image_features(pixel_values, output_hidden_states=True)
        layers = [found.hidden_states[layer + 1] for layer in self.model.extract_layers]
        return [tuple(layer[row : row + 1] for layer in layers) for row in range(len(pixel_values))]

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, C) what the phrases are to the decoder."""
        found: Tensor = self.model.get_conditional_embeddings(
            len(input_ids), input_ids=input_ids, attention_mask=attention_mask
        )
        return found

    def answer(self, encodings: Sequence[tuple[Tensor, ...]], phrases: Tensor, _: Tensor) -> ConceptAnswer:
        """Find B phrases of `read` in I pictures of `encode`."""
        logits = []
        for pictures, part in parts_of(len(encodings), len(phrases), MOST_PHRASES):
            layers = [gathered(list(layer), pictures) for layer in zip(*encodings, strict=True)]
            logits.append(self.model.decoder(layers, phrases[part]).logits)
        return ConceptAnswer(torch.cat(logits).float())
