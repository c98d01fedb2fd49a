"""Floating-point operations of one image and one sentence, from the sizes alone.

Matrix products and convolutions, a multiplication and an addition counted as two; norms, softmax and activations are
not in it. Without torch, so that the base install can say how close to the machine it runs; `tests/benchmarking`
compares it with torch's own counter.

n cells of a map, L text tokens, C decoder width, D union width, d block width, h adapter width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PATCH_KERNEL = 7
TRUNK_STRIDE = 4
DECODER_LAYERS = 2
DECODER_TOKENS = 7
"""Object score, IoU, four mask tokens and the sentence."""
MASK_TOKENS = 4

Sizes = Mapping[str, Any]


def count_flops(sizes: Sizes, num_tokens: int) -> dict[str, float]:
    """Operations of each stage.

    Args:
        sizes: the fields of `RS2SamConfig`.
        num_tokens: length of the sentence, `<s>` and `</s>` included.

    Returns:
        `union`, `trunk` (with the neck), `decoder` and `total`.
    """
    products = {
        "union": _union(sizes, num_tokens),
        "trunk": _trunk(sizes, num_tokens),
        "decoder": _decoder(sizes, num_tokens),
    }
    flops = {name: 2.0 * count for name, count in products.items()}
    return {**flops, "total": sum(flops.values())}


def _union(sizes: Sizes, num_tokens: int) -> float:
    """Multiplications of union encoder, projections and mask prompt."""
    width, ffn, patch = sizes["union_width"], sizes["union_ffn_width"], sizes["union_patch_size"]
    channels = sizes["decoder_width"]
    patches = (sizes["union_image_size"] // patch) ** 2
    tokens = 1 + patches + num_tokens
    layer = tokens * (4 * width**2 + 2 * width * ffn) + 2 * tokens**2 * width
    projections = num_tokens * width * channels + width**2 + width * channels + channels
    total = patches * 3 * patch**2 * width + sizes["union_layers"] * layer + projections
    if sizes["mask_prompt"] != "none":
        total += 2 * (1 + patches) * width**2 + 2 * patches * width + patches * width
    return float(total)


def _trunk(sizes: Sizes, num_tokens: int) -> float:
    """Multiplications of patch embedding, blocks and neck."""
    side = sizes["image_size"] // TRUNK_STRIDE
    total = float(side**2 * 3 * PATCH_KERNEL**2 * sizes["trunk_widths"][0])
    for block in _blocks(sizes):
        total += _block_attention(side, *block[:4])
        side //= 2 if block[3] else 1
        total += _block_rest(sizes, side**2, num_tokens, width=block[1], is_last=block[4])
    for stage, width in enumerate(sizes["trunk_widths"]):
        total += (sizes["image_size"] // TRUNK_STRIDE // 2**stage) ** 2 * width * sizes["decoder_width"]
    return total


def _blocks(sizes: Sizes) -> Iterator[tuple[int, int, int, bool, bool]]:
    """Of each block: width before, width, window (0: the whole map), whether it pools, whether it is the last."""
    windows, widths, last = sizes["trunk_windows"], sizes["trunk_widths"], sum(sizes["trunk_blocks"]) - 1
    index, before = 0, widths[0]
    for stage, count in enumerate(sizes["trunk_blocks"]):
        for number in range(count):
            pools = stage > 0 and number == 0
            # A block that pools still cuts its input into the windows of the stage before.
            window = 0 if index in sizes["trunk_global_blocks"] else windows[stage - 1 if pools else stage]
            yield before, widths[stage], window, pools, index == last
            before, index = widths[stage], index + 1


def _block_attention(side: int, before: int, width: int, window: int, pools: bool) -> float:
    """Multiplications of a block's attention over a square map, windows filled up where they do not tile it."""
    window = window or side
    num_windows, in_window = (-(-side // window)) ** 2, window**2
    queries = in_window // 4 if pools else in_window
    total = num_windows * (in_window * 3 * before * width + 2 * queries * in_window * width + queries * width**2)
    return float(total + (side**2 * before * width if before != width else 0))


def _block_rest(sizes: Sizes, cells: int, num_tokens: int, *, width: int, is_last: bool) -> float:
    """Multiplications of a block's MLP, fusion and adapter."""
    total = 2 * cells * width * int(width * sizes["trunk_mlp_ratio"])
    if not sizes["trunk_fusion"]:
        return float(total)
    hidden, channels = int(width * sizes["adapter_ratio"]), sizes["decoder_width"]
    total += 2 * cells * width * hidden  # the adapter beside the MLP
    if sizes["fusion"] == "none":
        return float(total)
    total += 2 * cells * width * hidden  # down and up
    one_way = 2 * cells * num_tokens * hidden + 2 * (cells + num_tokens) * hidden**2
    if sizes["fusion"] != "linear":
        total += num_tokens * channels * hidden + one_way
    if sizes["fusion"] == "bidirectional" and not is_last:
        total += num_tokens * channels * hidden + one_way
    return float(total)


def _decoder(sizes: Sizes, num_tokens: int) -> float:
    """Multiplications of fusion, mask embedding and mask decoder."""
    width, mlp = sizes["decoder_width"], sizes["decoder_mlp_width"]
    cells = (sizes["image_size"] // 16) ** 2
    half, tokens = width // 2, DECODER_TOKENS
    total = 16 * cells * width * (width // 8) + 4 * cells * width * (width // 4)  # conv_s0, conv_s1
    if sizes["decoder_fusion"]:
        total += 2 * (cells + num_tokens) * width**2 + 2 * cells * num_tokens * width
    if sizes["mask_prompt"] != "none":
        channels = sizes["mask_prompt_channels"]
        total += 4 * cells * 4 * (channels // 4) + cells * 4 * (channels // 4) * channels + cells * channels * width
    cross = 2 * (cells + tokens) * width * half + 2 * cells * tokens * half
    layer = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * mlp + 2 * cross
    total += DECODER_LAYERS * layer + cross
    total += cells * width * width + 4 * cells * width * (width // 8)  # the two steps of upscaling
    total += 16 * cells * MASK_TOKENS * (width // 8)
    return float(total)
