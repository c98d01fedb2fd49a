"""A picture is encoded once, and any number of sentences is answered from what that left.

The four ideas are those of RS2-SAM 2 (Rong et al., AAAI 2026, arXiv 2503.07266): a union encoder over picture and
sentence, fusion in both directions from coarse to fine, a generated mask prompt, SAM 2's mask decoder. Two things
differ. The trunk is a convolutional one that reads no text, so it and the pyramid behind it run once a picture, and the
union encoder reads the trunk's cells, 2 x 2 of them as one. And the mask prompt is a whole mask at 1/4 of the input,
`<pixel embedding, m>` with one vector m a sentence and one term a cell, which the decoder refines behind a gate;
without a decoder the prompt is the answer.

I pictures, B sentences (B a multiple of I, sentence b is about picture b * I // B), H W sides [px], h w = H/64, W/64
rounded up, N = h * w cells, L text tokens, D union width, C decoder width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2MaskEmbedding, Sam2PositionalEmbedding

from rs2sam.errors import InvalidInputError
from rs2sam.models.attention import additive_key_mask
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.efficientnet import ConvNorm, EfficientNetTrunk
from rs2sam.models.encode_once.pyramid import Pyramid, enlarged
from rs2sam.models.encode_once.reading import ReadSentence, TextLayer, embed_tokens, read_text
from rs2sam.models.fusion import BidirectionalFusion, ProductFusion
from rs2sam.models.initialization import initialize, start_at
from rs2sam.models.positions import position_encoding
from rs2sam.models.rs2sam import RS2SamOutput
from rs2sam.models.sharing import one_per_sentence
from rs2sam.models.union_encoder import UnionLayer
from rs2sam.models.weights.writing import follow_umask

GATE_START = 0.05
"""What the decoder's logits are multiplied by at first: the prompt is learned before it is refined."""
EVIDENCE = (4, 16, 64)
"""Numbers of the strongest cells whose mean logits tell the presence; the smallest picture has 64 cells at 1/4."""


class ImageEncoding(NamedTuple):
    """What pictures leave for their sentences; None is what a decoder alone would read."""

    fine: Tensor
    """(I, C, H/4, W/4) pixel embedding."""
    cells: Tensor
    """(I, D, h, w) of the union encoder, with positions."""
    middle: Tensor | None = None
    """(I, C, H/8, W/8)."""
    coarse: Tensor | None = None
    """(I, C, H/16, W/16)."""
    detail: Tensor | None = None
    """(I, C/8, H/4, W/4) of the pixel embedding, as the mask decoder takes it."""

    def each(self, change: Callable[[Tensor], Tensor]) -> ImageEncoding:
        """This with something done to every part."""
        return ImageEncoding(**{name: change(part) for name, part in self.given().items()})

    def given(self) -> dict[str, Tensor]:
        """The parts that are there, by name."""
        return {name: part for name, part in self._asdict().items() if part is not None}


class Agreement(NamedTuple):
    """What the union of a picture and a sentence comes to."""

    cls: Tensor
    """(B, 1, D) summary token."""
    cells: Tensor
    """(B, N, D), row by row."""
    text: Tensor
    """(B, L, D)."""
    prompt: Tensor
    """(B, 1, H/4, W/4) ordinary logits of the mask prompt, float32."""


@dataclass
class EncodeOnceOutput(RS2SamOutput):
    """What `EncodeOnceModel` returns: as `RS2SamOutput`, whose `pseudo_mask` is the prompt at 1/4 of the input."""

    known_logits: Tensor | None = None
    """(B,) logit of "the sentence names something the model was taught", or None where the head is untrained."""


class EncodeOnceModel(PreTrainedModel):
    """The whole model: `encode` a picture, `answer` sentences about it.

    Args:
        config: sizes; see `EncodeOnceConfig.preset`.
    """

    config_class = EncodeOnceConfig
    base_model_prefix = "encode_once"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules: ClassVar[list[str]] = ["UnionLayer", "TextLayer", "Sam2TwoWayAttentionBlock"]

    def __init__(self, config: EncodeOnceConfig) -> None:
        super().__init__(config)
        union_width, width = config.union_width, config.decoder_width
        self.trunk = EfficientNetTrunk()
        self.pyramid = Pyramid(self.trunk.level_channels, width)
        self.cell_projection = nn.Linear(self.trunk.level_channels[-1] + width, union_width)
        self.cell_norm = nn.LayerNorm(union_width)
        self.cell_positions = Sam2PositionalEmbedding(config.prompt_config())
        self.position_projection = nn.Linear(width, union_width)
        self.token_embedding = nn.Embedding(config.vocab_size, union_width)
        self.text_positions = nn.Embedding(config.max_text_positions, union_width)
        self.text_layers = nn.ModuleList(TextLayer(config) for _ in range(config.text_layers))
        self.cls_token = nn.Parameter(torch.empty(1, 1, union_width))
        self.cls_from_text = nn.Linear(union_width, union_width)
        self.layers = nn.ModuleList(UnionLayer(config) for _ in range(config.union_layers))
        self.image_norm, self.text_norm = nn.LayerNorm(union_width), nn.LayerNorm(union_width)
        self.cls_attention = ProductFusion(config, union_width, config.mask_prompt_heads)
        self.mask_linear = start_at(nn.Linear(union_width, width + 1), std=1.0 / math.sqrt(union_width))
        self.text_mask = start_at(nn.Linear(union_width, width + 1), std=0.01)
        self.cell_term = start_at(nn.Linear(union_width, 1), std=0.01)
        if config.has_decoder:
            self._add_decoder(config)
        self.known = nn.Linear(union_width, 1)
        self.presence = nn.Sequential(nn.Linear(union_width + len(EVIDENCE) + 1, 64), nn.ReLU(), nn.Linear(64, 1))
        if config.folded:
            self.trunk.fold()
        self.post_init()

    def _add_decoder(self, config: EncodeOnceConfig) -> None:
        """Fusion and mask decoder."""
        union_width, width = config.union_width, config.decoder_width
        self.text_projection = nn.Linear(union_width, width)
        self.cell_to_image = nn.Linear(union_width, width)
        self.fuse16 = BidirectionalFusion(config, width, is_last=False)
        self.fuse8 = BidirectionalFusion(config, width, is_last=True)
        self.sentence_projection = nn.Sequential(
            nn.Linear(union_width, union_width), nn.ReLU(), nn.Linear(union_width, width)
        )
        self.image_positions = Sam2PositionalEmbedding(config.prompt_config())
        self.mask_embed = Sam2MaskEmbedding(config.prompt_config())
        start_at(self.mask_embed.conv1, std=0.5, bias_std=0.5)
        self.decoder_fusion = ProductFusion(config, width, config.decoder_heads)
        self.mask_decoder = Sam2MaskDecoder(config.mask_decoder_config())
        for tokens in (self.mask_decoder.iou_token, self.mask_decoder.mask_tokens, self.mask_decoder.obj_score_token):
            start_at(tokens, std=1.0)
        self.gate = nn.Parameter(torch.tensor(GATE_START))

    def forward(
        self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> EncodeOnceOutput:
        """Encode pictures and answer sentences about them.

        Args:
            pixel_values: (I, 3, H, W) as `encode` takes them.
            input_ids: (B, L) as `answer` takes them.
            attention_mask: (B, L) likewise.

        Returns:
            As `answer`, with `mask_logits` (B, 1, H, W) at the input's size.
        """
        output = self.answer(self.encode(pixel_values), input_ids, attention_mask)
        assert output.low_res_logits is not None
        size_hw = tuple(pixel_values.shape[-2:])
        output.mask_logits = F.interpolate(output.low_res_logits, size=size_hw, mode="bilinear")  # (B, 1, H, W)
        return output

    def encode(self, pixel_values: Tensor) -> ImageEncoding:
        """What depends on no sentence, made once a picture.

        Args:
            pixel_values: (I, 3, H, W) RGB, `(value - 127) / 128` of values in [0, 255]; sides multiples of 32.

        Raises:
            InvalidInputError: a side is no such multiple.
        """
        levels = self.trunk(pixel_values)  # (I, H/k, W/k, d) of k = 4, 8, 16, 32
        fine, middle, coarse, coarsest = self.pyramid(levels)  # (I, C, H/k, W/k)
        cells = torch.cat([levels[-1].permute(0, 3, 1, 2), coarsest], dim=1)  # (I, d + C, H/32, W/32)
        # Attention over every cell of 1/32 took most of a sentence's time.
        cells = F.avg_pool2d(cells, 2, ceil_mode=True, count_include_pad=False).permute(0, 2, 3, 1)  # (I, h, w, d + C)
        positions = position_encoding(self.cell_positions, *cells.shape[1:3])  # (1, C, h, w)
        cells = self.cell_norm(self.cell_projection(cells)) + self.position_projection(positions.permute(0, 2, 3, 1))
        cells = cells.permute(0, 3, 1, 2)  # (I, D, h, w)
        if not self.config.has_decoder:
            return ImageEncoding(fine, cells)
        return ImageEncoding(fine, cells, middle, coarse, self.mask_decoder.conv_s0(fine))

    def answer(
        self, encoding: ImageEncoding, input_ids: Tensor, attention_mask: Tensor | None = None
    ) -> EncodeOnceOutput:
        """Segment what sentences name in encoded pictures.

        Args:
            encoding: of I pictures; B is a multiple of I, and sentence b is about picture b * I // B.
            input_ids: (B, L) int64, `<s> ... </s>`, padded at the end.
            attention_mask: (B, L), 1 = attend; by default every token but `config.text_pad_id`.

        Returns:
            Logits at 1/4 of the input, the mask prompt, and what trained heads say. The convention of the logits is
            that of `RS2SamOutput`: with ordinary logits z (mask where z > 0) they are (z + 1) / 2.

        Raises:
            InvalidInputError: B is no multiple of I, or a sentence is too long.
        """
        # (1) The sentence alone.
        sentence = self.read(input_ids, attention_mask)  # (B, L, D), pooled (B, D)

        # (2) Union encoder over [CLS, cells, text]; (3) mask prompt at 1/4: one vector and a bias a sentence.
        agreement = self.agree(encoding, sentence)  # prompt (B, 1, H/4, W/4)

        # (4, 5) Fusion and decoder, whose logits correct the prompt's; heads.
        return self.conclude(encoding, sentence, agreement)  # low_res_logits (B, 1, H/4, W/4)

    def conclude(self, encoding: ImageEncoding, sentence: ReadSentence, agreement: Agreement) -> EncodeOnceOutput:
        """Steps 4 and 5: what `answer` returns; half precision leaves them in float32."""
        config, logits, iou_scores = self.config, agreement.prompt, None
        if config.has_decoder:
            correction, iou_scores = self.refine(encoding, agreement, sentence.padding)  # (B, 1, H/4, W/4), (B,)
            logits = logits + self.gate * correction
        return EncodeOnceOutput(
            low_res_logits=(logits + 1.0) / 2.0,
            pseudo_mask=agreement.prompt.sigmoid(),
            presence_logits=self.presence_of(logits, agreement.cls) if config.has_presence else None,
            known_logits=self.known(sentence.pooled)[:, 0] if config.has_known else None,
            iou_scores=iou_scores if config.has_score else None,
        )

    def read(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> ReadSentence:
        """Step 1: (B, L) and (B, L) to text tokens, padding and pooled text."""
        # An exported graph has no such check of its own: it would have to fix the range of lengths.
        if not torch.compiler.is_exporting() and input_ids.shape[1] > self.config.max_text_tokens:
            raise InvalidInputError(
                f"A sentence has at most {self.config.max_text_tokens} tokens; got {input_ids.shape[1]}. "
                "Shorten it, or let the model's processor cut it."
            )
        padding = input_ids == self.config.text_pad_id
        if attention_mask is not None:
            padding = padding | (attention_mask == 0)
        text = embed_tokens(self.token_embedding, self.text_positions, input_ids, padding)
        return read_text(text, padding, self.text_layers)

    def agree(self, encoding: ImageEncoding, sentence: ReadSentence) -> Agreement:
        """Steps 2 and 3: union encoder and mask prompt."""
        batch = sentence.text.shape[0]
        cells = one_per_sentence(encoding.cells.flatten(2).transpose(1, 2), batch)  # (B, N, D)
        cls = self.cls_token + self.cls_from_text(sentence.pooled)[:, None]  # (B, 1, D)
        image, text = torch.cat([cls, cells], dim=1), sentence.text
        # Image tokens are never padding.
        key_mask = additive_key_mask(F.pad(sentence.padding, (image.shape[1], 0), value=False), image.dtype)
        for layer in self.layers:
            image, text = layer(image, text, key_mask)
        image, text = self.image_norm(image), self.text_norm(text)
        cls, cells = image[:, :1], image[:, 1:]
        # What the words mean anywhere, and what they mean in this picture.
        vector = self.text_mask(sentence.pooled) + self.mask_linear(self.cls_attention(cls, cells))[:, 0]  # (B, C + 1)
        term = self.cell_term(cells).transpose(1, 2).unflatten(2, tuple(encoding.cells.shape[2:]))  # (B, 1, h, w)
        prompt = self.prompt(encoding.fine, vector.float()) + enlarged(term.float(), encoding.fine)
        return Agreement(cls, cells, text, prompt)

    def prompt(self, fine: Tensor, vector: Tensor) -> Tensor:
        """Step 3: `<pixel embedding, m> / sqrt(C) + bias` of (I, C, H/4, W/4) and (B, C + 1): (B, 1, H/4, W/4)."""
        width = fine.shape[1]
        directions = vector[:, :width] / math.sqrt(width)
        if torch.compiler.is_exporting():  # one picture: see `rs2sam.export.onnx_once`
            products = directions @ fine.squeeze(0).flatten(1).float()  # (B, cells)
        else:
            pictures = fine.flatten(2).float()  # (I, C, cells)
            products = (directions.unflatten(0, (fine.shape[0], -1)) @ pictures).flatten(0, 1)
        return (products + vector[:, width:]).unflatten(1, (1, *fine.shape[2:]))

    def refine(self, encoding: ImageEncoding, agreement: Agreement, padding: Tensor) -> tuple[Tensor, Tensor]:
        """Step 4: fusion and mask decoder, to what corrects the prompt (B, 1, H/4, W/4) and the predicted IoU (B,)."""
        assert encoding.coarse is not None
        assert encoding.middle is not None
        assert encoding.detail is not None
        batch = agreement.text.shape[0]
        text = self.text_projection(agreement.text)  # (B, L, C)
        key_mask = additive_key_mask(padding, text.dtype)

        cells = self.cell_to_image(agreement.cells).transpose(1, 2)  # (B, C, N)
        cells = cells.unflatten(2, tuple(encoding.cells.shape[2:]))  # (B, C, h, w)
        coarse = one_per_sentence(encoding.coarse, batch) + enlarged(cells, encoding.coarse)
        coarse, changed_text = _fused(self.fuse16, coarse, text, key_mask)  # (B, C, H/16, W/16)
        middle = one_per_sentence(encoding.middle, batch) + enlarged(coarse, encoding.middle)
        middle, _ = _fused(self.fuse8, middle, changed_text, key_mask)  # (B, C, H/8, W/8)

        position = position_encoding(self.image_positions, *coarse.shape[2:])  # (1, C, H/16, W/16)
        tokens, places = coarse.flatten(2).transpose(1, 2), position.flatten(2).transpose(1, 2)
        gated = self.decoder_fusion(tokens, text, position=places, key_mask=key_mask)
        masks, iou_scores, _, _ = self.mask_decoder(
            image_embeddings=gated.transpose(1, 2).unflatten(2, tuple(coarse.shape[2:])),
            image_positional_embeddings=position.expand(batch, -1, -1, -1),
            sparse_prompt_embeddings=self.sentence_projection(agreement.cls)[:, None],  # (B, 1, 1, C)
            dense_prompt_embeddings=self.mask_embed(agreement.prompt.sigmoid().to(self.gate.dtype)),
            multimask_output=False,
            high_resolution_features=[
                one_per_sentence(encoding.detail, batch),
                self.mask_decoder.conv_s1(middle),
            ],
        )
        return masks[:, 0].float(), iou_scores[:, 0, 0].float()

    def presence_of(self, logits: Tensor, cls: Tensor) -> Tensor:
        """Step 5: presence logits (B,) of ordinary mask logits (B, 1, H/4, W/4) and the summary token (B, 1, D).

        What the presence says must not shape the mask or the union, so its loss ends here.
        """
        flat = logits.detach().flatten(1)  # (B, cells)
        strongest = flat.topk(EVIDENCE[-1], dim=1).values
        evidence = [strongest[:, :count].mean(1) for count in EVIDENCE]
        share = flat.sigmoid().mean(1) * 10.0
        # Scaled to about one.
        read = torch.stack([*evidence, share], dim=1).float() / 3.0
        return self.presence(torch.cat([read, cls[:, 0].detach().float()], dim=1).to(self.known.weight.dtype))[
            :, 0
        ].float()

    def fold(self) -> None:
        """Make the trunk's norms part of its convolutions; a saved model then says so in its configuration."""
        self.trunk.fold()
        self.config.folded = True

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write a model folder, as transformers does, with files that others can read where the umask lets them."""
        super().save_pretrained(save_directory, *args, **kwargs)
        follow_umask(Path(save_directory))

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        """Choose the attention implementation, e.g. `"sdpa"` or `"eager"`, for every part of the model."""
        super().set_attn_implementation(*args, **kwargs)
        for module in self.modules():
            if module is not self and hasattr(module, "config"):
                # SAM 2's modules hold configurations of their own, which the base class does not know.
                module.config._attn_implementation = self.config._attn_implementation

    def _init_weights(self, module: nn.Module) -> None:
        """Start weights as `initialization.initialize` says; transformers calls this for every module."""
        super()._init_weights(module)
        if isinstance(module, ConvNorm):
            module.start()
        else:
            initialize(module, self.config)


def _fused(layer: BidirectionalFusion, image: Tensor, text: Tensor, key_mask: Tensor) -> tuple[Tensor, Tensor]:
    """A map (B, C, h, w) with what fusing it with the text adds, and the text."""
    added, text = layer(image.flatten(2).transpose(1, 2), text, key_mask)
    return image + added.transpose(1, 2).unflatten(2, tuple(image.shape[2:])), text
