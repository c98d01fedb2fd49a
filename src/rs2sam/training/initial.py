"""Where a run starts: a model built anew or loaded, with the processor that makes its inputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rs2sam.backends.torch import load_model
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.weights.conversion import load_published, open_published
from rs2sam.models.weights.hub import KNOWN_MODELS, resolve_model
from rs2sam.models.weights.pretrained import initialize_from_beit3, initialize_from_sam2
from rs2sam.models.weights.published_tokenizer import load_published_tokenizer, published_processing_config
from rs2sam.processing import ProcessingConfig, Processor
from rs2sam.tokenizer import SentenceTokenizer
from rs2sam.training.recipes.recipe import Recipe

logger = logging.getLogger(__name__)


def check_start(recipe: Recipe) -> None:
    """Finds out at once, without reading anything, whether what a run starts from is there.

    Raises:
        DataNotFoundError: a file that the recipe names is missing.
        InvalidInputError: a new model has no tokenizer.
    """
    named = {"init_sam2": recipe.init_sam2, "init_beit3": recipe.init_beit3, "tokenizer": _tokenizer_path(recipe)}
    if recipe.init is None:
        named["token_embeddings"] = recipe.token_embeddings
    elif recipe.init not in KNOWN_MODELS and "/" not in recipe.init:  # else the hub may have it
        named["init"] = recipe.init
    require_present(named)
    if recipe.tokenizer is None and (recipe.init is None or Path(recipe.init).is_file()):
        start = f"built from the preset `{recipe.preset}`" if recipe.init is None else f"in the file `{recipe.init}`"
        raise InvalidInputError(
            f"a model {start} needs `tokenizer`: a folder with `tokenizer.model` and `preprocessor_config.json`, or "
            "BEiT-3's `beit3.spm`; set it, or `init` to a saved model"
        )


def require_present(named: Mapping[str, str | None]) -> None:
    """Raises for the first path of a recipe, by the name of its key, that is given and not there."""
    for name, path in named.items():
        if path is not None and not Path(path).exists():
            raise DataNotFoundError(
                f"`{name}` = `{path}` is not there; correct it in the recipe or with `--set {name}=`"
            )


def starting_point(recipe: Recipe) -> tuple[RS2SamModel, Processor]:
    """The model, in float32, and the processor that a run starts from.

    Raises:
        DataNotFoundError: `init` or another file that the recipe names is not there.
        CheckpointError: weights are damaged, incomplete, or of another size.
        InvalidInputError: the token embeddings have another shape than the model's table, or the tokenizer has more
            tokens than it has rows.
    """
    check_start(recipe)
    if recipe.init is not None:
        model, folder = _loaded(recipe)
        model = _changed(model, recipe.config)
        tokenizer, processing = _text_conventions(_tokenizer_path(recipe) or str(folder), model.config)
    else:
        config = RS2SamConfig.preset(recipe.preset, **recipe.config)
        tokenizer, processing = _text_conventions(str(_tokenizer_path(recipe)), config)
        config.vocab_size = max(config.vocab_size, len(tokenizer))
        model = _built(recipe, config)
    config = model.config
    num_tokens = len(tokenizer)
    if num_tokens > config.vocab_size:
        raise InvalidInputError(
            f"the tokenizer in `{recipe.tokenizer}` has {num_tokens} tokens, the model in `{recipe.init}` knows "
            f"{config.vocab_size}; leave `tokenizer` out to take the model's own"
        )
    sizes = replace(
        processing,
        image_size=config.image_size,
        union_image_size=config.union_image_size,
        min_presence=0.0,  # was found for other weights
        max_text_tokens=min(processing.max_text_tokens, config.max_text_tokens),
    )
    return model, Processor(sizes, tokenizer)


def planned_config(recipe: Recipe) -> RS2SamConfig:
    """The configuration of the model that a run trains, found without reading weights.

    A model built anew needs no file to be there yet; without its tokenizer, its vocabulary is the preset's.

    Raises:
        DataNotFoundError: `init` is not there.
        CheckpointError: `init` is no model.
    """
    if recipe.init is None:
        config = RS2SamConfig.preset(recipe.preset, **recipe.config)
        path_of_tokenizer = _tokenizer_path(recipe)
        if path_of_tokenizer is not None and Path(path_of_tokenizer).exists():
            tokenizer, _ = _text_conventions(path_of_tokenizer, config)
            config.vocab_size = max(config.vocab_size, len(tokenizer))
        return config
    path = Path(recipe.init)
    if not path.is_file():
        location = resolve_model(recipe.init, convert=False)
        path = location.folder
        if location.layout == "rs2sam":
            return _changed_config(RS2SamConfig.from_pretrained(str(path)), recipe.config)
    return _changed_config(open_published(path).config, recipe.config)


def _loaded(recipe: Recipe) -> tuple[RS2SamModel, Path | None]:
    """The model of `init`, and the folder of its tokenizer where it has one."""
    name = str(recipe.init)
    if Path(name).is_file():
        return load_published(name, dtype=torch.float32), None
    # Converting published weights needs a tokenizer beside them; with one of the recipe's they are read as they are.
    location = resolve_model(name, convert=recipe.tokenizer is None)
    if location.layout == "published":
        return load_published(location.folder, dtype=torch.float32), location.folder
    return load_model(location.folder), location.folder


def _built(recipe: Recipe, config: RS2SamConfig) -> RS2SamModel:
    """A model with random weights, and those of its parts that the recipe names."""
    model = RS2SamModel(config)
    if recipe.init_sam2 is not None:
        initialize_from_sam2(model, recipe.init_sam2)
    if recipe.init_beit3 is not None:
        initialize_from_beit3(model, recipe.init_beit3)
    if recipe.token_embeddings is not None:
        _load_token_embeddings(model, Path(recipe.token_embeddings))
    return model


def _changed(model: RS2SamModel, changes: Mapping[str, Any]) -> RS2SamModel:
    """A loaded model with changes to its configuration; parameters that it then has no weights for start anew."""
    if not changes:
        return model
    changed = RS2SamModel(_changed_config(model.config, changes))
    wanted = changed.state_dict()
    held = {name: tensor for name, tensor in model.state_dict().items() if name in wanted}
    fitting = {name: tensor for name, tensor in held.items() if wanted[name].shape == tensor.shape}
    changed.load_state_dict(fitting, strict=False)
    anew = sorted(wanted.keys() - fitting.keys())
    if anew:
        logger.warning(
            "`config` = %s: %d tensors have no weights in `init` and start anew, e.g. `%s`", changes, len(anew), anew[0]
        )
    return changed


def _changed_config(config: RS2SamConfig, changes: Mapping[str, Any]) -> RS2SamConfig:
    """The same configuration but for `changes`."""
    values = {name: getattr(config, name) for name in RS2SamConfig.__annotations__}
    return RS2SamConfig(**{**values, **changes})


def _tokenizer_path(recipe: Recipe) -> str | None:
    """Where the recipe's tokenizer is: a folder or file, or the folder of a model that comes with the package."""
    known = KNOWN_MODELS.get(recipe.tokenizer or "")
    if known is not None and known.address is None:
        return str(resolve_model(known.name).folder)
    return recipe.tokenizer


def _text_conventions(path: str, config: RS2SamConfig) -> tuple[SentenceTokenizer, ProcessingConfig]:
    """Tokenizer and conventions of a model folder, or of BEiT-3's SentencePiece file as the published code has them."""
    if Path(path).is_file():
        processing = published_processing_config(config.image_size, config.union_image_size, config.max_text_tokens)
        return load_published_tokenizer(path), processing
    processor = Processor.from_folder(path)
    return processor.tokenizer, processor.config


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
