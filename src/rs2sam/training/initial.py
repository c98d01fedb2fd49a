"""Where a run starts: a model built anew or loaded, with the processor that makes its inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rs2sam.backends.torch import load_model
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.processing import Processor
from rs2sam.training.recipe import Recipe


def starting_point(recipe: Recipe) -> tuple[RS2SamModel, Processor]:
    """The model and processor that a run starts from.

    Raises:
        DataNotFoundError: `init` or `tokenizer` is no model folder.
        CheckpointError: the weights of `init` are damaged or incomplete.
        InvalidInputError: the token embeddings have another shape than the model's table, or the tokenizer has more
            tokens than it has rows.
    """
    folder = require_tokenizer(recipe)
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


def require_tokenizer(recipe: Recipe) -> str:
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
