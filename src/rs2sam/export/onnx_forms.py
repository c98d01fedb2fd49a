"""The model's parts written for ONNX Runtime: the same answers from fewer and cheaper operators.

`written_for_onnx` swaps the forwards of a model while it is exported. What changes, and nothing else:

- Cells stay in windows from block to block; the map's order is made where windows change and at the end of a stage.
- Attention is one operator of ONNX Runtime, which projects, splits heads and attends without copies in between.
- The MLP and its adapter are one pair of products: `[W1; A1]`, then `[W2, s A2]`.
- Attention between cells and a few text tokens multiplies its projections into the text's side, which is small: the
  cells are neither projected nor split into heads.
- In a model that encodes pictures once, attention of text and union layers is that operator too.
- A lateral convolution of the neck and the decoder's convolution behind it are one product.

I pictures, B sentences, n cells, L text tokens, d width of a block, h width of a fusion, H heads, e = h / H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rs2sam.models.attention import Attention, CrossAttention
from rs2sam.models.encode_once.model import EncodeOnceModel
from rs2sam.models.fusion import BidirectionalFusion, ProductFusion
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.sharing import one_per_sentence
from rs2sam.models.trunk import Levels, RS2SamBlock, RS2SamNeck, RS2SamTrunk
from rs2sam.models.weights.classes import AnyModel

_DOMAIN = "com.microsoft"


@contextmanager
def written_for_onnx(model: AnyModel) -> Iterator[None]:
    """Give a float32 model's parts their forms for ONNX Runtime while the context lasts.

    Inside, the model can be exported and not run: the operators of ONNX Runtime compute nothing in torch.
    """
    changed: dict[nn.Module, Callable[..., Any]] = {}
    for module in model.modules():
        if isinstance(module, BidirectionalFusion):
            changed[module] = partial(_fuse, module)
        elif isinstance(module, ProductFusion):
            changed[module] = partial(_gate, module)
    if isinstance(model, EncodeOnceModel):
        for layer in (*model.text_layers, *model.layers):
            attention = cast("Attention", layer.attention)
            changed[attention] = partial(_attend_tokens, attention)
    elif _windows_tile(model):
        changed[model.trunk] = partial(_run_trunk, model.trunk)
        changed[model.neck] = partial(_run_neck, model)
        # What they do is in the neck's form.
        changed[model.mask_decoder.conv_s0] = changed[model.mask_decoder.conv_s1] = lambda level: level
    try:
        for module, form in changed.items():
            module.forward = form
        yield
    finally:
        for module in changed:
            vars(module).pop("forward", None)


def _windows_tile(model: RS2SamModel) -> bool:
    """Whether no block's map has to be filled up to whole windows at the configured size, and pooling halves it."""
    side = model.config.low_res_size
    for block in model.trunk.blocks:
        window = int(cast("Any", block).window_size) or side
        if side % window or (block.query_stride and window % 2):
            return False
        side //= 2 if block.query_stride else 1
    return True


class _Cells:
    """The cells of a square map as rows, ordered by windows.

    Args:
        rows: (B * side * side, d), or of I pictures; sample by sample, window by window.
        side: of the map.
        window: side of a window; `side` is the map's own order.
    """

    def __init__(self, rows: Tensor, side: int, window: int) -> None:
        self.rows, self.side, self.window = rows, side, window

    def ordered(self, window: int) -> _Cells:
        """The same cells in windows of another side."""
        if window == self.window:
            return self
        across, width = self.side // self.window, self.rows.shape[-1]
        rows = self.rows
        if across > 1:
            parts = rows.view(-1, across, across, self.window, self.window, width)
            rows = parts.transpose(2, 3).reshape(-1, width)
        if window < self.side:
            across = self.side // window
            rows = rows.view(-1, across, window, across, window, width).transpose(2, 3).reshape(-1, width)
        return _Cells(rows, self.side, window)

    def pooled(self) -> _Cells:
        """The largest of every 2 x 2 cells, by channel."""
        width, half = self.rows.shape[-1], self.window // 2
        pairs = self.rows.view(-1, half, 2, self.window, width)
        lines = torch.maximum(pairs[:, :, 0], pairs[:, :, 1]).view(-1, half, half, 2, width)
        rows = torch.maximum(lines[:, :, :, 0], lines[:, :, :, 1]).view(-1, width)
        return _Cells(rows, self.side // 2, half)

    def with_rows(self, rows: Tensor) -> _Cells:
        """Other values at the same places."""
        return _Cells(rows, self.side, self.window)


def _run_trunk(trunk: RS2SamTrunk, pixel_values: Tensor, text: Tensor, text_key_mask: Tensor | None) -> list[_Cells]:
    """`RS2SamTrunk.forward`; the maps are given as `_Cells`."""
    embedded = trunk.patch_embed(pixel_values)  # (I, S/4, S/4, d)
    side = embedded.shape[1]
    embedded = embedded + trunk._positions(side, side)
    cells = _Cells(embedded.reshape(-1, embedded.shape[-1]), side, side)
    maps = []
    for index, block in enumerate(trunk.blocks):
        cells, text = _run_block(cast("RS2SamBlock", block), cells, text, text_key_mask)
        if index in trunk.stage_ends:
            maps.append(cells)
    return maps


def _run_block(block: RS2SamBlock, cells: _Cells, text: Tensor, text_key_mask: Tensor | None) -> tuple[_Cells, Tensor]:
    """`RS2SamBlock.forward` on cells in any order of windows."""
    if block.window_size or block.query_stride:
        cells = cells.ordered(block.window_size or cells.side)
    normed = cells.with_rows(block.layer_norm1(cells.rows))
    attended = _attend(block, normed)
    shortcut = cells
    if block.dim != block.dim_out:
        shortcut = normed.with_rows(_linear(block.proj, normed.rows))
        shortcut = shortcut.pooled() if block.query_stride else shortcut
    cells_of_map = (-1, attended.side**2, block.dim_out)
    rows = one_per_sentence((shortcut.rows + attended.rows).view(cells_of_map), text.shape[0])  # (B, n, d)
    if block.fusion is not None:
        fused, text = block.fusion(attended.rows.view(cells_of_map), text, text_key_mask)
        rows = rows + fused
    rows = rows.reshape(-1, block.dim_out)
    rows = rows + _feed_forward(block, block.layer_norm2(rows))
    return shortcut.with_rows(rows), text


def _attend(block: RS2SamBlock, normed: _Cells) -> _Cells:
    """A block's self-attention within windows or over the map."""
    attention, width, heads = block.attn, block.dim_out, block.attn.num_attention_heads
    num_cells = normed.window**2 if block.window_size else normed.side**2
    if block.window_size and not block.query_stride:
        tokens = normed.rows.view(-1, num_cells, block.dim)
        inputs = (tokens, attention.qkv.weight.t(), attention.qkv.bias)
        attended = _operator("Attention", inputs, (*tokens.shape[:2], width), num_heads=heads)
        return normed.with_rows(_linear(attention.proj, attended.reshape(-1, width)))
    query, key, value = _linear(attention.qkv, normed.rows).split(width, dim=-1)
    queries = normed.with_rows(query)
    if block.query_stride:
        queries = queries.pooled()
    tokens = queries.rows.view(-1, num_cells // (4 if block.query_stride else 1), width)
    inputs = (tokens, key.reshape(-1, num_cells, width), value.reshape(-1, num_cells, width))
    attended = _operator("MultiHeadAttention", inputs, tokens.shape, num_heads=heads)
    return queries.with_rows(_linear(attention.proj, attended.reshape(-1, width)))


def _feed_forward(block: RS2SamBlock, normed: Tensor) -> Tensor:
    """The MLP and the adapter beside it: (n, d) to (n, d)."""
    mlp, adapter = block.mlp, block.mlp_adapter
    if adapter is None:
        return _linear(mlp.proj_out, F.gelu(_linear(mlp.proj_in, normed)))
    first = torch.cat([mlp.proj_in.weight, adapter.down.weight])
    hidden = F.gelu(F.linear(normed, first, torch.cat([mlp.proj_in.bias, adapter.down.bias])))
    second = torch.cat([mlp.proj_out.weight, adapter.scale * adapter.up.weight], dim=1)
    return F.linear(hidden, second, mlp.proj_out.bias + adapter.scale * adapter.up.bias)


def _run_neck(model: RS2SamModel, maps: list[_Cells]) -> Levels:
    """`RS2SamNeck.forward`, with `conv_s0` and `conv_s1` of the decoder behind the two finest levels."""
    neck: RS2SamNeck = model.neck
    finest, second, third, coarsest = reversed(list(neck.convs))
    decoder = model.mask_decoder
    top_down = F.interpolate(_image(maps[3], *_matrix(coarsest)), scale_factor=2.0, mode="nearest")
    return Levels(
        _image(maps[0], *_composed(finest, decoder.conv_s0)),
        _image(maps[1], *_composed(second, decoder.conv_s1)),
        _image(maps[2], *_matrix(third)) + top_down,
    )


def _image(cells: _Cells, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer over cells, as a map (B, C, side, side)."""
    projected = cells.with_rows(F.linear(cells.rows, weight, bias)).ordered(cells.side)
    return projected.rows.view(-1, cells.side, cells.side, weight.shape[0]).permute(0, 3, 1, 2)


def _linear(layer: nn.Module, tokens: Tensor) -> Tensor:
    """A linear layer's forward."""
    return F.linear(tokens, cast("Tensor", layer.weight), cast("Tensor", layer.bias))


def _operator(name: str, inputs: tuple[Tensor | None, ...], shape: Any, **attributes: Any) -> Tensor:
    """An operator of ONNX Runtime on float32; attention's scale is the default, the root of the head's width."""
    return torch.onnx.ops.symbolic(
        f"{_DOMAIN}::{name}", inputs, attributes, dtype=torch.float32, shape=shape, version=1
    )


def _matrix(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 1 x 1 convolution as those of a linear layer."""
    return cast("Tensor", convolution.weight).flatten(1), cast("Tensor", convolution.bias)


def _composed(first: nn.Module, second: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of one 1 x 1 convolution behind another."""
    (inner, inner_bias), (outer, outer_bias) = _matrix(first), _matrix(second)
    return outer @ inner, outer @ inner_bias + outer_bias


def _fuse(
    fusion: BidirectionalFusion, image: Tensor, text: Tensor, text_key_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`BidirectionalFusion.forward`."""
    fused = one_per_sentence(F.gelu(fusion.down(image)), text.shape[0])  # (B, n, h)
    if fusion.text_in is None or fusion.text_to_image is None:
        return fusion.up(fused), text
    narrow_text = fusion.text_in(text)  # (B, L, h)
    fused = fused + _attend_to_few(fusion.text_to_image, fused, narrow_text, text_key_mask)
    if fusion.image_to_text is not None and fusion.text_out is not None:
        narrow_text = narrow_text + _few_attend(fusion.image_to_text, narrow_text, fused)
        text = (1.0 - fusion.rate) * text + fusion.rate * fusion.text_out(narrow_text)
    return fusion.up(fused), text


def _gate(
    fusion: ProductFusion,
    tokens: Tensor,
    source: Tensor,
    position: Tensor | None = None,
    key_mask: Tensor | None = None,
) -> Tensor:
    """`ProductFusion.forward`: cells that attend to text, or one token that attends to patches."""
    query = tokens if position is None else tokens + position
    attend = _few_attend if position is None and key_mask is None else partial(_attend_to_few, key_mask=key_mask)
    return tokens * attend(fusion.attention, query, source)


def _attend_tokens(layer: Attention, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None) -> Tensor:
    """`Attention.forward` on (B, Q, C), (B, K, C), (B, K, C) and an additive mask (B, 1, 1, K)."""
    inputs: tuple[Tensor | None, ...] = (query, key, value)
    if key_mask is not None:
        inputs = (*inputs, None, (key_mask[:, 0, 0] == 0).to(torch.int32))
    return _operator("MultiHeadAttention", inputs, query.shape, num_heads=layer.heads)


def _attend_to_few(layer: CrossAttention, query: Tensor, source: Tensor, key_mask: Tensor | None) -> Tensor:
    """`CrossAttention` of many queries (B, n, h) to few keys (B, L, h): (B, n, h).

    A score is `(Wq x + bq) . k`, which is `x . (Wq' k) + bq . k`; the keys carry the projection.
    """
    heads = layer.attention.heads
    wq, wk, wv = _by_head(layer.in_proj_weight, heads)  # (H, e, h) each
    bq, bk, bv = layer.in_proj_bias.view(3, heads, 1, -1).unbind()  # (H, 1, e) each
    key = source[:, None] @ wk.transpose(1, 2) + bk  # (B, H, L, e)
    value = source[:, None] @ wv.transpose(1, 2) + bv
    scale = key.shape[-1] ** -0.5
    absorbed = ((key * scale) @ wq).flatten(1, 2)  # (B, H * L, h)
    constant = (key * scale) @ bq.transpose(1, 2)  # (B, H, L, 1)
    if key_mask is not None:
        constant = constant + key_mask.transpose(2, 3)
    scores = query @ absorbed.transpose(1, 2) + constant.flatten(1)[:, None]  # (B, n, H * L)
    weights = scores.unflatten(2, (heads, -1)).softmax(dim=-1).flatten(2)
    out = layer.out_proj.weight.view(-1, heads, wq.shape[1]).permute(1, 2, 0)  # (H, e, h)
    return weights @ (value @ out).flatten(1, 2) + layer.out_proj.bias


def _few_attend(layer: CrossAttention, query: Tensor, source: Tensor) -> Tensor:
    """`CrossAttention` of few queries (B, L, h) to many keys (B, n, h): (B, L, h).

    The queries carry the projection of the keys, whose bias changes all scores of a query alike and so no weight; the
    values are projected behind the mean over them, where the weights' sum of one leaves their bias as it is.
    """
    heads = layer.attention.heads
    wq, wk, wv = _by_head(layer.in_proj_weight, heads)
    bq, _, bv = layer.in_proj_bias.view(3, heads, 1, -1).unbind()
    projected = (query[:, None] @ wq.transpose(1, 2) + bq) * wq.shape[1] ** -0.5  # (B, H, L, e)
    absorbed = (projected @ wk).flatten(1, 2)  # (B, H * L, h)
    weights = (absorbed @ source.transpose(1, 2)).softmax(dim=-1)  # (B, H * L, n)
    mean = (weights @ source).unflatten(1, (heads, -1))  # (B, H, L, h)
    attended = mean @ wv.transpose(1, 2) + bv  # (B, H, L, e)
    return layer.out_proj(attended.transpose(1, 2).flatten(2))


def _by_head(weight: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """The packed input projections (3 h, h) as three (H, e, h)."""
    query, key, value = weight.view(3, heads, -1, weight.shape[1]).unbind()
    return query, key, value
