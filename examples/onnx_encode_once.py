"""One picture read once, a mask for every sentence, with ONNX Runtime alone: no rs2sam, no torch.

pip install numpy pillow sentencepiece onnxruntime
rs2sam export FOLDER out/model --to onnx            # of a model that encodes pictures once
python onnx_encode_once.py out/model photo.jpg masks/ "the storage tanks" "the water"
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from sentencepiece import SentencePieceProcessor

folder, image, out, *sentences = sys.argv[1:]
settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())
if not (Path(folder) / "image.onnx").is_file() and (Path(folder) / "model.onnx").is_file():
    sys.exit(f"{folder} has one graph, model.onnx: use onnx_only.py, which reads this kind.")
read, answer = (
    onnxruntime.InferenceSession(str(Path(folder) / name), providers=["CPUExecutionProvider"])
    for name in ("image.onnx", "sentence.onnx")
)
picture = Image.open(image).convert("RGB")
scale = min(settings["image_size"] / max(picture.size), settings["max_enlargement"])
seen = picture.resize([max(1, round(side * scale / 32)) * 32 for side in picture.size], Image.Resampling.BILINEAR)
values = np.asarray(seen, np.float32) / 255
pixels = (values - np.float32(settings["image_mean"])) / np.float32(settings["image_std"])
names = [output.name for output in read.get_outputs()]
encoding = dict(zip(names, read.run(names, {"pixel_values": pixels.transpose(2, 0, 1)[None]}), strict=True))

tokens = SentencePieceProcessor(model_file=str(Path(folder) / "tokenizer.model"))
Path(out).mkdir(parents=True, exist_ok=True)
for number, sentence in enumerate(sentences, start=1):
    ids = np.array([[0, *tokens.encode(sentence), 2]])  # <s>, </s>
    inputs = {**encoding, "input_ids": ids, "attention_mask": np.ones_like(ids)}
    (logits,) = answer.run(["low_res_logits"], inputs)
    full = Image.fromarray(logits[0]).resize(picture.size, Image.Resampling.BILINEAR)
    Image.fromarray(np.asarray(full) > 0.5).save(Path(out) / f"{number}.png")  # logits above one half are the mask
