"""One sentence, one picture, one mask, no rs2sam, no torch (pip install numpy pillow sentencepiece onnxruntime).

rs2sam export compact out/compact --to onnx         # once, where rs2sam[export] is installed
python onnx_only.py out/compact photo.jpg "the storage tanks" mask.png
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from sentencepiece import SentencePieceProcessor

folder, image, sentence, out = sys.argv[1:]
settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())
if not (Path(folder) / "model.onnx").is_file() and (Path(folder) / "image.onnx").is_file():
    sys.exit(f"{folder} has two graphs, image.onnx and sentence.onnx: use onnx_encode_once.py, which reads this kind.")
session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"), providers=["CPUExecutionProvider"])
picture = Image.open(image).convert("RGB")


def _pixels(side: int) -> np.ndarray:  # (1, 3, side, side) as the model takes it
    resized = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), np.float32) / 255
    return ((resized - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])).transpose(2, 0, 1)[None]


ids = [0, *SentencePieceProcessor(model_file=str(Path(folder) / "tokenizer.model")).encode(sentence), 2]  # <s>, </s>
batch, length = session.get_inputs()[2].shape  # numbers where the export fixed them, names where they are free
padding = length - len(ids) if isinstance(length, int) else 0
inputs = {
    "pixel_values": _pixels(settings["image_size"]),
    "union_pixel_values": _pixels(settings["union_image_size"]),
    "input_ids": np.array([ids + [settings["pad_token_id"]] * padding]),
    "attention_mask": np.array([[1] * len(ids) + [0] * padding]),
}
inputs = {name: np.repeat(array, batch if isinstance(batch, int) else 1, axis=0) for name, array in inputs.items()}
full = Image.fromarray(session.run(["low_res_logits"], inputs)[0][0]).resize(picture.size, Image.Resampling.BILINEAR)
Image.fromarray(np.asarray(full) > 0.5).save(out)  # logits above one half are the mask
