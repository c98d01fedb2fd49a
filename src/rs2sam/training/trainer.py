"""The training loop: `transformers.Trainer` with our loss, two learning rates and a moving average.

What is trained is a `TrainingModel`: the model, its training-time heads and its moving average in one module, so that
Trainer's checkpoints hold all of it and a resumed run continues where it was.

Shapes: B batch, S image side, h w cells of a map, d width of a map, g patches along a side, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, get_scheduler

from rs2sam.backends.torch import load_model
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.trunk import Levels
from rs2sam.models.union_encoder import UnionFeatures
from rs2sam.processing import Processor
from rs2sam.training.auxiliary import DistillationHead, MovingAverage, SemanticHead, UnionHead, semantic_loss
from rs2sam.training.examples import ReferringDataset, TrainingDraw
from rs2sam.training.groups import parameter_groups
from rs2sam.training.losses import rs2sam_loss
from rs2sam.training.recipe import Recipe
from rs2sam.training.teacher import CHANNELS, EfficientNetLite0

__all__ = [
    "RS2SamTrainer",
    "TrainingModel",
    "check_run",
    "starting_point",
    "train",
]


class Observed(NamedTuple):
    """What the model makes on the way to the mask, which the heads read."""

    union: UnionFeatures
    maps: list[Tensor]
    """The trunk's four maps, (B, h, w, d) each."""
    levels: Levels
    """The neck's three levels."""


class TrainingModel(nn.Module):
    """A model with what it needs while it is trained; its output is the loss.

    All of a step is in `forward`, since that is what mixed precision and training on several GPUs wrap.

    Args:
        model: the model that is kept.
        recipe: decides which heads and terms exist.
        num_classes: K of the semantic head.
    """

    def __init__(self, model: RS2SamModel, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        config: RS2SamConfig = model.config
        self.recipe = recipe
        self.rs2sam = model
        self.semantic = SemanticHead((config.decoder_width,) * 3, num_classes) if recipe.auxiliary.semantic else None
        weights = recipe.auxiliary
        needs_union = weights.patch_semantic or weights.sentence_class
        self.union = UnionHead(config.union_width, num_classes) if needs_union else None
        # Stride 16 and 32 of the trunk, stride 16 of the union encoder.
        widths = (config.trunk_widths[2], config.trunk_widths[3], config.union_width)
        targets = (*CHANNELS, CHANNELS[0])
        pairs = list(zip(widths, targets, strict=True))
        self.distillation = DistillationHead(pairs) if weights.distillation else None
        self.average = MovingAverage(model, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None

    @property
    def result(self) -> RS2SamModel:
        """The weights to keep: the moving average where there is one."""
        return cast("RS2SamModel", self.average.model) if self.average is not None else self.rs2sam

    def forward(self, inputs: Mapping[str, Tensor], features: tuple[Tensor, Tensor] | None = None) -> dict[str, Tensor]:
        """The recipe's loss of one batch.

        Args:
            inputs: a batch of `ReferringDataset.collate`.
            features: the teacher's, where distillation is on.

        Returns:
            `total`, the weighted sum of all terms, and every term before weighting; scalars.
        """
        with self._observed() as seen:
            output = self.rs2sam(
                pixel_values=inputs["pixel_values"],
                union_pixel_values=inputs["union_pixel_values"],
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
            )
        parts = rs2sam_loss(output, inputs["target"], self.recipe.loss)
        extra = self.auxiliary_losses(Observed(**seen), output.pseudo_mask, inputs, features)
        weights = asdict(self.recipe.auxiliary)
        added = sum((weights[name] * value for name, value in extra.items()), parts.total.new_zeros(()))
        return vars(parts) | extra | {"total": parts.total + added}

    def auxiliary_losses(
        self,
        seen: Observed,
        pseudo_mask: Tensor,
        inputs: Mapping[str, Tensor],
        features: tuple[Tensor, Tensor] | None,
    ) -> dict[str, Tensor]:
        """The objectives beside the loss that have a weight, by the names of `AuxiliaryRecipe`.

        Args:
            seen: what the model made on the way.
            pseudo_mask: (B, 1, g, g).
            inputs: a batch of `ReferringDataset.collate`.
            features: the teacher's, where distillation is on.
        """
        losses = {}
        if self.recipe.auxiliary.pseudo_mask:
            shares = F.interpolate(inputs["target"][:, None].float(), pseudo_mask.shape[-2:], mode="area")
            # Mixed precision forbids this function, even on float32.
            with torch.autocast(pseudo_mask.device.type, enabled=False):
                losses["pseudo_mask"] = F.binary_cross_entropy(pseudo_mask.float().clamp(1e-6, 1 - 1e-6), shares)
        if self.semantic is not None:
            logits = self.semantic((seen.levels.feat_s0, seen.levels.feat_s1, seen.levels.image_embedding))
            losses["semantic"] = semantic_loss(logits, inputs["labels"], inputs["known"])
        if self.union is not None:
            logits = self.union.semantic(seen.union.patches)
            losses["patch_semantic"] = semantic_loss(logits, inputs["labels"], inputs["known"])
            losses["sentence_class"] = self.union.class_loss(seen.union.cls, inputs["category"])
        if self.distillation is not None:
            assert features is not None
            maps = [seen.maps[stage].permute(0, 3, 1, 2) for stage in (2, 3)]
            patches = seen.union.patches.transpose(1, 2).unflatten(2, pseudo_mask.shape[-2:])
            losses["distillation"] = self.distillation.loss([*maps, patches], [*features, features[0]])
        return losses

    @contextmanager
    def _observed(self) -> Iterator[dict[str, Any]]:
        """Collects what the model makes on the way to the mask, the fields of `Observed`."""
        seen: dict[str, Any] = {}
        handles = [
            self.rs2sam.union_encoder.register_forward_hook(lambda _, __, union: seen.update(union=union)),
            self.rs2sam.trunk.register_forward_hook(lambda _, __, maps: seen.update(maps=maps)),
            self.rs2sam.neck.register_forward_hook(lambda _, __, levels: seen.update(levels=levels)),
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


class RS2SamTrainer(Trainer):
    """Trainer with the recipe's loss, parameter groups and schedule.

    Args:
        recipe: the run.
        model: what is trained.
        dataset: where examples come from.
        teacher: EfficientNet-lite0, where `auxiliary.distillation` is above 0.
        output_dir: folder of checkpoints and logs.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: Any

    def __init__(
        self,
        recipe: Recipe,
        model: TrainingModel,
        dataset: ReferringDataset,
        teacher: EfficientNetLite0 | None,
        output_dir: Path,
    ) -> None:
        self.recipe = recipe
        self._seen: dict[str, list[Tensor]] = {}
        super().__init__(
            model=model,
            args=_arguments(recipe, output_dir),
            train_dataset=dataset,
            data_collator=dataset.collate,
            callbacks=[_AverageCallback()] if model.average is not None else [],
        )
        self.teacher = None if teacher is None else teacher.to(self.args.device)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Tensor | tuple[Tensor, Any]:
        """The recipe's loss of one batch."""
        features = None if self.teacher is None else self.teacher(inputs["rgb"].float())
        terms: dict[str, Tensor] = model(inputs, features)
        total = terms.pop("total")
        for name, value in terms.items():
            self._seen.setdefault(name, []).append(value.detach())
        return (total, terms) if return_outputs else total

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Adds the mean of every loss term since the last log."""
        if "loss" in logs:
            logs = logs | {name: float(torch.stack(values).mean()) for name, values in self._seen.items()}
            self._seen.clear()
        super().log(logs, *arguments, **keywords)

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        """In order: draws are random by their number already, and the two sentences of a pair stay in one batch."""
        return SequentialSampler(cast("ReferringDataset", self.train_dataset))

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW over new, pretrained and training-time parameters; vectors and embedding tables do not decay."""
        if self.optimizer is None:
            recipe, training = self.recipe.optimizer, self.model
            groups = parameter_groups(training.rs2sam, freeze_trunk=False)
            kept = {id(parameter) for parameter in (*groups.new, *groups.pretrained)}
            heads = [p for p in training.parameters() if p.requires_grad and id(p) not in kept]
            embeddings = {id(m.weight) for m in training.rs2sam.modules() if isinstance(m, nn.Embedding)}
            members = []
            for parameters, rate in (
                (groups.new, recipe.new_learning_rate),
                (groups.pretrained, recipe.learning_rate),
                (heads, recipe.new_learning_rate),
            ):
                for decays in (True, False):
                    chosen = [p for p in parameters if (p.dim() > 1 and id(p) not in embeddings) == decays]
                    if chosen:
                        decay = recipe.weight_decay if decays else 0.0
                        members.append({"params": chosen, "lr": rate, "weight_decay": decay})
            self.optimizer = torch.optim.AdamW(members)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Linear warm-up, then cosine or constant."""
        if self.lr_scheduler is None:
            recipe = self.recipe.optimizer
            name = "cosine" if recipe.schedule == "cosine" else "constant_with_warmup"
            warmup = min(recipe.warmup_steps, num_training_steps)
            self.lr_scheduler = get_scheduler(name, optimizer or self.optimizer, warmup, num_training_steps)
        return self.lr_scheduler


class _AverageCallback(TrainerCallback):
    """Updates the moving average after every optimisation step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Takes in the current parameters."""
        training = keywords["model"]
        training.average.update(training.rs2sam)


def train(
    recipe: Recipe,
    draw: Callable[[int], TrainingDraw],
    num_classes: int,
    output_dir: Path,
    resume: bool = False,
) -> RS2SamModel:
    """Trains and saves a model.

    Args:
        recipe: the run.
        draw: index -> example at `recipe.data.side`.
        num_classes: K of the examples' labels.
        output_dir: receives checkpoints, and in `model/` the result with its processor.
        resume: continue from the last checkpoint in `output_dir`; with the same recipe the result is that of a run
            that was never interrupted.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
        InvalidInputError: `output_dir` holds another run, or parts of the recipe do not fit each other.
    """
    check_run(recipe, output_dir, resume)
    torch.manual_seed(recipe.seed)
    model, processor = starting_point(recipe)
    if recipe.data.side > model.config.image_size:
        raise InvalidInputError(
            f"`data.side` must be at most the model's own {model.config.image_size} px, received {recipe.data.side}"
        )
    training = TrainingModel(model, recipe, num_classes)
    sized = Processor(replace(processor.config, image_size=recipe.data.side), processor.tokenizer)
    dataset = ReferringDataset(draw, sized, recipe.steps * recipe.batch_size)
    teacher = EfficientNetLite0(Path(str(recipe.teacher))) if recipe.auxiliary.distillation else None
    trainer = RS2SamTrainer(recipe, training, dataset, teacher, output_dir)
    trainer.train(resume_from_checkpoint=resume or None)
    result = training.result.eval()
    if trainer.is_world_process_zero():
        result.save_pretrained(output_dir / "model")
        processor.save(output_dir / "model")
    return result


def check_run(recipe: Recipe, output_dir: Path, resume: bool) -> None:
    """Finds out at once what would stop a run only after its images were read.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
        InvalidInputError: a new run would mix with the checkpoints of another, or a new model has no tokenizer.
    """
    named = {"init": recipe.init, "tokenizer": recipe.tokenizer}
    if recipe.auxiliary.distillation:
        named["teacher"] = recipe.teacher
    if recipe.init is None:
        named["token_embeddings"] = recipe.token_embeddings
    for name, path in named.items():
        if path is not None and not Path(path).exists():
            raise DataNotFoundError(
                f"`{name}` = `{path}` is not there; correct it in the recipe or with `--set {name}=`"
            )
    _require_tokenizer(recipe)
    begun = any(output_dir.glob("checkpoint-*"))
    if resume and not begun:
        raise DataNotFoundError(f"no checkpoint in `{output_dir}` to resume from; start without resuming")
    if begun and not resume:
        # Trainer keeps the checkpoints with the highest numbers: it would delete the new run's.
        raise InvalidInputError(f"`{output_dir}` holds the checkpoints of a run; resume it, or give another folder")


def starting_point(recipe: Recipe) -> tuple[RS2SamModel, Processor]:
    """The model and processor that a run starts from.

    Raises:
        DataNotFoundError: `init` or `tokenizer` is no model folder.
        CheckpointError: the weights of `init` are damaged or incomplete.
        InvalidInputError: the token embeddings have another shape than the model's table, or the tokenizer has more
            tokens than it has rows.
    """
    folder = _require_tokenizer(recipe)
    if recipe.init is not None and not Path(recipe.init).is_dir():
        raise DataNotFoundError(f"`init` = `{recipe.init}` is no folder; give the folder of a saved model")
    processor = Processor.from_folder(folder)
    num_tokens = processor.tokenizer.get_vocab_size()
    if recipe.init is not None:
        model = load_model(recipe.init)
    else:
        config = RS2SamConfig.preset(recipe.preset)
        config.vocab_size = max(config.vocab_size, num_tokens)
        model = RS2SamModel(config)
        if recipe.token_embeddings is not None:
            _load_token_embeddings(model, Path(recipe.token_embeddings))
    config = model.config
    if num_tokens > config.vocab_size:
        raise InvalidInputError(
            f"the tokenizer in `{folder}` has {num_tokens} tokens, the model in `{recipe.init}` knows "
            f"{config.vocab_size}; leave `tokenizer` out to take the model's own"
        )
    sizes = replace(
        processor.config,
        image_size=config.image_size,
        union_image_size=config.union_image_size,
        max_text_tokens=min(processor.config.max_text_tokens, config.max_text_tokens),
    )
    return model, Processor(sizes, processor.tokenizer)


def _require_tokenizer(recipe: Recipe) -> str:
    """The folder that the tokenizer is read from."""
    folder = recipe.tokenizer or recipe.init
    if folder is None:
        raise InvalidInputError(
            f"a model built from the preset `{recipe.preset}` needs `tokenizer`, a folder with `tokenizer.json` and "
            "`preprocessor_config.json`; set it, or `init` to a saved model"
        )
    return folder


def _load_token_embeddings(model: RS2SamModel, path: Path) -> None:
    """Copies a `.npy` table, which `tools/init_token_embeddings.py` makes, into the token embeddings."""
    if not path.is_file():
        raise DataNotFoundError(f"no token embeddings `{path}`; `tools/init_token_embeddings.py` makes them")
    table = torch.from_numpy(np.load(path))
    weight = model.union_encoder.token_embedding.weight
    if table.shape != weight.shape:
        raise InvalidInputError(
            f"`{path}` must have shape {tuple(weight.shape)}, received {tuple(table.shape)}; make it for this model"
        )
    with torch.no_grad():
        weight.copy_(table)


def _arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """What Trainer needs to know."""
    return TrainingArguments(
        output_dir=str(output_dir),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.optimizer.learning_rate,
        max_grad_norm=recipe.optimizer.max_grad_norm,
        dataloader_num_workers=recipe.data.num_workers,
        dataloader_persistent_workers=recipe.data.num_workers > 0,
        dataloader_pin_memory=torch.cuda.is_available(),
        save_steps=recipe.save_every,
        save_total_limit=2,
        logging_steps=10,
        seed=recipe.seed,
        remove_unused_columns=False,
        label_names=["target"],
        report_to=[],
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
    )
