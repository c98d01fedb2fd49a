"""How weights start.

| weights | start |
|---|---|
| linear layers and convolutions | truncated normal, standard deviation `initializer_gain` / sqrt(fan-in); bias 0 |
| token, position and summary embeddings, position tables | the same, the width taken as fan-in |
| mask decoder's own tokens, prompt position frequencies | standard normal, as in SAM 2 |
| input projections of cross attentions | Xavier uniform over the packed matrix; bias 0 |
| output projection of a product fusion | small, bias 1: the product starts near the identity and not near zero |
| output layers of the trunk's adapters | deviation `adapter_init_std`: a trained trunk is little disturbed |
| text update in the trunk | gain `TEXT_OUT_GAIN`, so that 0.8 T + 0.2 text_out(...) neither fades nor explodes |
| norms | weight 1, bias 0 |

The gain follows the fan-in: one fixed deviation of 0.02 is right at width 1024 and silences a block of width 48.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from transformers import initialization as init
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2PositionalEmbedding

from rs2sam.models.attention import CrossAttention
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.fusion import BidirectionalFusion, MlpAdapter, ProductFusion
from rs2sam.models.trunk import RS2SamTrunk
from rs2sam.models.union_encoder import UnionEncoder

TEXT_OUT_GAIN = 2.0
"""Standard deviation of `text_out` times the root of its fan-in; 3 explodes over 48 blocks, 1 fades over ten."""
PRODUCT_STD = 0.02
"""Standard deviation of a product fusion's output projection."""


def initialize(module: nn.Module, config: RS2SamConfig) -> None:
    """Start the weights that `module` itself holds, and those of its children that the table above singles out.

    Children come before their parents, so a parent may overrule what its children started as.

    Args:
        module: any module of the model.
        config: gives the gain and the adapters' deviation.
    """
    gain = config.initializer_gain
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        _truncated(module.weight, gain / math.sqrt(module.weight[0].numel()))
    elif isinstance(module, nn.ConvTranspose2d):
        # Kernel and stride are equal in SAM 2's upscaling: every output pixel sees each input channel once.
        _truncated(module.weight, gain / math.sqrt(module.in_channels))
    elif isinstance(module, nn.Embedding):
        _truncated(module.weight, gain / math.sqrt(module.embedding_dim))
    elif isinstance(module, CrossAttention):
        init.xavier_uniform_(module.in_proj_weight)
        init.zeros_(module.in_proj_bias)
    elif isinstance(module, ProductFusion):
        _truncated(module.attention.out_proj.weight, PRODUCT_STD)
        init.ones_(module.attention.out_proj.bias)
    elif isinstance(module, (BidirectionalFusion, MlpAdapter)):
        _initialize_adapter(module, config)
    elif isinstance(module, UnionEncoder):
        _truncated(module.cls_token, gain / math.sqrt(module.cls_token.shape[-1]))
    elif isinstance(module, RS2SamTrunk):
        _truncated(module.pos_embed, gain / math.sqrt(module.pos_embed.shape[1]))
        _truncated(module.pos_embed_window, gain / math.sqrt(module.pos_embed_window.shape[1]))
    elif isinstance(module, Sam2PositionalEmbedding):
        init.normal_(module.positional_embedding, std=module.scale)
    elif isinstance(module, Sam2MaskDecoder):
        for tokens in (module.iou_token, module.mask_tokens, module.obj_score_token):
            init.normal_(tokens.weight)
    if hasattr(module, "no_memory_embedding"):
        init.zeros_(module.no_memory_embedding)


def _initialize_adapter(adapter: BidirectionalFusion | MlpAdapter, config: RS2SamConfig) -> None:
    """The output layers of a trunk adapter, and the text's way through it."""
    _truncated(adapter.up.weight, config.adapter_init_std)
    if isinstance(adapter, BidirectionalFusion):
        _truncated(adapter.text_in.weight, 1.0 / math.sqrt(adapter.text_in.in_features))
        if adapter.text_out is not None:
            _truncated(adapter.text_out.weight, TEXT_OUT_GAIN / math.sqrt(adapter.text_out.in_features))


def _truncated(weight: Tensor, std: float) -> None:
    """Normal of deviation `std`, cut at two deviations."""
    init.trunc_normal_(weight, std=std, a=-2.0 * std, b=2.0 * std)
