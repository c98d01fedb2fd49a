"""SAM 3 (Carion et al., "SAM 3: Segment Anything with Concepts", 2025), transformers' `Sam3Model` and its tracker head.

The picture goes through the vision encoder once; for every phrase a transformer of object queries follows. A query's
score is the product of its own probability and of the presence of the phrase in the picture, as in transformers'
`post_process_instance_segmentation`, with that function's thresholds. Points and boxes go to `Sam3TrackerModel`, whose
neck reads what the same backbone left.

I pictures, B phrases, Q object queries, h w cells of the masks, S side of the input [px].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import Sam3Model, Sam3TrackerModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from rs2sam.models.concepts.answer import NOTHING, ConceptAnswer, gathered, parts_of

SCORE_THRESHOLD = 0.3
"""Least score of an object, transformers' default; its masks are cut at a probability of 0.5, as everywhere here."""
MOST_PHRASES = 8
"""Answered at once: their object queries' masks alone are 66 MB each."""


@dataclass
class Sam3Encoding:
    """What one picture left.

    Args:
        backbone: (1, h w, D), for the tracker's neck.
        levels: feature maps (1, C, h, w) from fine to coarse.
        positions: their position encodings, of the same sizes.
        prompted: what the tracker reads, made when first asked for.
    """

    backbone: Tensor
    levels: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    prompted: list[Tensor] = field(default_factory=list)


class Sam3Concepts:
    """SAM 3 asked phrase by phrase.

    Args:
        model: the detector.
        load_tracker: gives the tracker head, when points or boxes are first asked about.
    """

    has_presence, has_score = True, True

    def __init__(self, model: Sam3Model, load_tracker: Callable[[], Sam3TrackerModel] | None = None) -> None:
        self.model = model
        self._load_tracker = load_tracker
        self._tracker: Sam3TrackerModel | None = None

    @property
    def takes_prompts(self) -> bool:
        """Whether points and boxes can be asked about: a checkpoint of the detector alone has no head for them."""
        return self._load_tracker is not None

    def encode(self, pixel_values: Tensor) -> list[Sam3Encoding]:
        """Encode (I, 3, S, S) pictures together."""
        found = self.model.get_vision_features(pixel_values)
        return [
            Sam3Encoding(
                found.last_hidden_state[row : row + 1],
                tuple(level[row : row + 1] for level in found.fpn_hidden_states),
                tuple(level[row : row + 1] for level in found.fpn_position_encoding),
            )
            for row in range(len(pixel_values))
        ]

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, L, C) what the phrases are to the object queries."""
        found = self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)
        features: Tensor = found.pooler_output
        return features

    def answer(self, encodings: Sequence[Sam3Encoding], phrases: Tensor, attention_mask: Tensor) -> ConceptAnswer:
        """Find the objects of B phrases of `read` in I pictures of `encode`."""
        logits, presences, objects = [], [], []
        for pictures, part in parts_of(len(encodings), len(phrases), MOST_PHRASES):
            found = self.model(
                vision_embeds=_features([encodings[picture] for picture in pictures]),
                text_embeds=BaseModelOutputWithPooling(pooler_output=phrases[part]),
                attention_mask=attention_mask[part],
            )
            presence = found.presence_logits.float()  # (b, 1)
            scores = found.pred_logits.float().sigmoid() * presence.sigmoid()  # (b, Q)
            for masks, score in zip(found.pred_masks.float(), scores, strict=True):
                is_kept = score > SCORE_THRESHOLD
                kept = masks[is_kept]  # (N, h, w)
                objects.append((kept, score[is_kept]))
                logits.append(kept.amax(dim=0) if len(kept) else torch.full_like(masks[0], NOTHING))
            presences.append(presence[:, 0])
        surest = [scores.amax() if len(scores) else scores.new_zeros(()) for _, scores in objects]
        return ConceptAnswer(torch.stack(logits), torch.cat(presences), torch.stack(surest), tuple(objects))

    def prompt(
        self, encoding: Sam3Encoding, points_xy: Tensor, labels: Tensor, box_xyxy: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What lies at points or in a box.

        Args:
            encoding: of the picture.
            points_xy: (P, 2) in pixels of the input; P may be 0 where there is a box.
            labels: (P,) 1 for a point of the object, 0 for one outside it.
            box_xyxy: (4,) in pixels of the input, or None.

        Returns:
            (h, w) mask logits, and the predicted IoU of the mask in [0, 1].
        """
        assert self._load_tracker is not None
        if self._tracker is None:
            self._tracker = self._load_tracker()
        if not encoding.prompted:
            encoding.prompted = _prompted(self._tracker, encoding.backbone)
        # One point may mean a part or the whole: the best of three masks. More say which.
        is_ambiguous = len(points_xy) == 1 and box_xyxy is None
        found = self._tracker(
            image_embeddings=list(encoding.prompted),
            input_points=points_xy[None, None] if len(points_xy) else None,
            input_labels=labels[None, None] if len(points_xy) else None,
            input_boxes=None if box_xyxy is None else box_xyxy[None, None],
            multimask_output=is_ambiguous,
        )
        scores = found.iou_scores[0, 0].float()
        best = int(scores.argmax())
        return found.pred_masks[0, 0, best].float(), scores[best].clamp(0, 1)


def _features(encodings: Sequence[Sam3Encoding]) -> Sam3VisionEncoderOutput:
    """Those of one phrase each, as the model takes them; of a single picture no copy is made."""
    places: dict[int, int] = {}
    order = [places.setdefault(id(one), len(places)) for one in encodings]
    unique = [encodings[order.index(place)] for place in range(len(places))]

    def joined(name: str) -> tuple[Tensor, ...]:
        by_level = zip(*(getattr(one, name) for one in unique), strict=True)
        return tuple(gathered(list(level), order) for level in by_level)

    return Sam3VisionEncoderOutput(
        last_hidden_state=gathered([one.backbone for one in unique], order),
        fpn_hidden_states=joined("levels"),
        fpn_position_encoding=joined("positions"),
    )


def _prompted(tracker: Sam3TrackerModel, backbone: Tensor) -> list[Tensor]:
    """Feature maps (1, C, h, w) for the tracker's decoder, from fine to coarse; as its `get_image_embeddings`."""
    height, width = tracker.prompt_encoder.image_embedding_size
    cells = backbone.reshape(1, height, width, -1).permute(0, 3, 1, 2)
    levels = list(tracker.vision_encoder.neck(cells)[0][: len(tracker.backbone_feature_sizes)])
    levels[0], levels[1] = tracker.mask_decoder.conv_s0(levels[0]), tracker.mask_decoder.conv_s1(levels[1])
    levels[-1] = levels[-1] + tracker.no_memory_embedding.reshape(1, -1, 1, 1)
    return levels
