"""Draw docs/images/way.png: what `compact` makes of one image and one sentence, step by step, with the real shapes.

    python tools/draw_way.py docs/images/way.png        # needs rs2sam[torch]

Maps with many channels are shown by their three strongest directions, as colours.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from rs2sam.cli.demo import write_demo_scene
from rs2sam.imaging import read_image
from rs2sam.models.weights.hub import resolve_model
from rs2sam.models.weights.loading import load_encode_once
from rs2sam.processing import Processor, logits_to_mask, resize_logits

SENTENCE = "the storage tanks"
_PANEL_PX, _GAP_PX, _CAPTION_PX, _COLUMNS = 232, 12, 50, 5


def steps() -> list[tuple[str, str, np.ndarray]]:
    """Name, shape and picture (H, W, 3) uint8 of every step, of one forward."""
    with tempfile.TemporaryDirectory() as name:
        write_demo_scene(Path(name) / "scene.tif")
        image = read_image(Path(name) / "scene.tif")
    folder = resolve_model("compact").folder
    model, processor = load_encode_once(folder, torch.float32).eval(), Processor.from_folder(folder)
    picture, text = processor.picture(image), processor.sentences([SENTENCE])
    levels: list[torch.Tensor] = []
    model.trunk.register_forward_hook(lambda _, __, output: levels.extend(output))
    with torch.no_grad():
        encoding = model.encode(torch.from_numpy(picture)[None])
        sentence = model.read(torch.from_numpy(text.input_ids), torch.from_numpy(text.attention_mask))
        found = model.agree(encoding, sentence)
        out = model.conclude(encoding, sentence, found)
    cells = found.cells.transpose(1, 2).unflatten(2, tuple(encoding.cells.shape[2:]))
    mask = logits_to_mask(resize_logits(out.low_res_logits[0, 0].numpy(), image.shape[:2]))
    shown = image.copy()
    shown[mask] = (0.4 * shown[mask] + 0.6 * np.array([255, 120, 0])).astype(np.uint8)
    return [
        (f'image and "{SENTENCE}"', f"{image.shape}, {text.input_ids.shape[1]} tokens", image),
        *(
            (f"trunk, stride {stride}", str(tuple(level.shape)), _coloured(level[0]))
            for stride, level in zip((4, 8, 16, 32), levels, strict=True)
        ),
        ("pyramid: pixel embedding", str(tuple(encoding.fine.shape)), _coloured(encoding.fine[0].permute(1, 2, 0))),
        ("cells", str(tuple(encoding.cells.shape)), _coloured(encoding.cells[0].permute(1, 2, 0))),
        ("(2) union encoder: cells", str(tuple(cells.shape)), _coloured(cells[0].permute(1, 2, 0))),
        ("(3) mask prompt", str(tuple(found.prompt.shape)), _grey(found.prompt[0, 0].sigmoid().numpy())),
        ("mask", str(mask.shape), shown),
    ]


def _coloured(features: torch.Tensor) -> np.ndarray:
    """(H, W, C) as colours: the three directions in which it varies most."""
    flat = features.flatten(0, 1).double()
    flat = flat - flat.mean(0)
    _, _, directions = torch.linalg.svd(flat, full_matrices=False)
    colours = (flat @ directions[:3].T).reshape(*features.shape[:2], 3).numpy()
    low, high = np.percentile(colours, [2, 98], axis=(0, 1))
    return (255 * np.clip((colours - low) / (high - low), 0, 1)).astype(np.uint8)


def _grey(values: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] as grey."""
    return np.repeat((255 * values)[..., None], 3, 2).astype(np.uint8)


def draw(path: Path) -> None:
    """Put all steps side by side."""
    panels = steps()
    rows = -(-len(panels) // _COLUMNS)
    tallest = max(_PANEL_PX * picture.shape[0] // picture.shape[1] for _, _, picture in panels)
    size = (_COLUMNS * (_PANEL_PX + _GAP_PX) + _GAP_PX, rows * (tallest + _CAPTION_PX) + _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for number, (name, shape, picture) in enumerate(panels):
        x = _GAP_PX + number % _COLUMNS * (_PANEL_PX + _GAP_PX)
        y = _GAP_PX + number // _COLUMNS * (tallest + _CAPTION_PX)
        height = _PANEL_PX * picture.shape[0] // picture.shape[1]
        sheet.paste(Image.fromarray(picture).resize((_PANEL_PX, height), Image.Resampling.NEAREST), (x, y))
        pen.text((x, y + tallest + 4), name, "black", ImageFont.load_default(14))
        pen.text((x, y + tallest + 22), shape, "#555555", ImageFont.load_default(13))
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
