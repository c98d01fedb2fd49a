"""Where a run starts: a model built anew or loaded, with the processor that makes its inputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from rs2sam.backends.torch import load_model
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import EncodeOnceConfig, EncodeOnceModel, RS2SamConfig, RS2SamModel
from rs2sam.models.encode_once.efficientnet import PIXEL_DEVIATION, PIXEL_MEAN
from rs2sam.models.weights.classes import AnyConfig, read_config
from rs2sam.models.weights.conversion import load_published, open_published
from rs2sam.models.weights.hub import KNOWN_MODELS, resolve_model
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, model_type, refuse_concepts
from rs2sam.models.weights.loading import load_encode_once
from rs2sam.models.weights.pretrained import initialize_from_beit3, initialize_from_sam2
from rs2sam.models.weights.published_tokenizer import load_published_tokenizer, published_processing_config
from rs2sam.processing import ProcessingConfig, Processor
from rs2sam.tokenizer import SentenceTokenizer
from rs2sam.training.recipes.presets import PRESETS, fields_of, require_fitting
from rs2sam.training.recipes.settings import Recipe
from rs2sam.training.recipes.strict import require_known

logger = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", RS2SamModel, EncodeOnceModel)
ConfigT = TypeVar("ConfigT", RS2SamConfig, EncodeOnceConfig)


def check_start(recipe: Recipe) -> None:
    """Finds out at once, without reading anything, whether what a run starts from is there.

    Raises:
        DataNotFoundError: a file that the recipe names is missing.
        InvalidInputError: a new model has no tokenizer.
    """
    named = {name: getattr(recipe, name) for name in ("init_sam2", "init_beit3", "init_lite0")}
    named |= {"tokenizer": _tokenizer_path(recipe), "encode_once.class_maps": recipe.encode_once.class_maps}
    named["data.marked"] = recipe.data.marked
    # What has a slash may be on the hub.
    if recipe.init is not None and recipe.init not in KNOWN_MODELS and "/" not in recipe.init:
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


def encodes_once(recipe: Recipe) -> bool:
    """Whether the model that a run trains encodes an image once; found without reading weights.

    Raises:
        WeightsNotFoundError: `init` is not there.
        CheckpointError: `init` is a concept model, which is not trained.
        InvalidInputError: the recipe says something about the other kind of model.
    """
    if recipe.init is None:
        return isinstance(PRESETS[recipe.preset](), EncodeOnceConfig)
    once = False
    if not Path(recipe.init).is_file():
        folder = resolve_model(recipe.init, convert=False).folder
        refuse_concepts(folder, "trained")
        once = model_type(folder) == ENCODE_ONCE_MODEL_TYPE
    require_fitting(recipe, encodes_once=once)
    return once


def encode_once_start(recipe: Recipe) -> tuple[EncodeOnceModel, Processor]:
    """The model that encodes an image once, in float32, and the processor that a run starts from.

    Raises:
        DataNotFoundError: a file that the recipe names is not there.
        CheckpointError: weights are damaged, incomplete, or of another size.
        InvalidInputError: the tokenizer has more tokens than the model's table has rows.
    """
    check_start(recipe)
    if recipe.init is not None:
        folder = resolve_model(recipe.init).folder
        model = _changed(load_encode_once(folder, torch.float32), recipe.config)
        found = Processor.from_folder(_tokenizer_path(recipe) or folder)
    else:
        found = Processor.from_folder(str(_tokenizer_path(recipe)))
        config = PRESETS[recipe.preset](**recipe.config)
        assert isinstance(config, EncodeOnceConfig)
        config.vocab_size = max(config.vocab_size, len(found.tokenizer))
        model = EncodeOnceModel(config)
        if recipe.init_lite0 is not None:
            model.trunk.load_pretrained(recipe.init_lite0)
    _require_room(recipe, found.tokenizer, model.config)
    conventions = _one_picture(found.config, model.config)
    if recipe.data.dataset is not None:  # whose sentences may name what `init` was not taught
        conventions = replace(conventions, min_known=0.0, classes=None)
    return model, Processor(conventions, found.tokenizer)


def starting_point(recipe: Recipe) -> tuple[RS2SamModel, Processor]:
    """The model whose trunk reads the sentence, in float32, and the processor that a run starts from.

    Raises:
        DataNotFoundError: `init` or another file that the recipe names is not there.
        CheckpointError: weights are damaged, incomplete, or of another size.
        InvalidInputError: the tokenizer has more tokens than the model's table has rows.
    """
    check_start(recipe)
    if recipe.init is not None:
        model, folder = _loaded(recipe)
        model = _changed(model, recipe.config)
        tokenizer, processing = _text_conventions(_tokenizer_path(recipe) or str(folder), model.config)
    else:
        config = _preset(recipe)
        tokenizer, processing = _text_conventions(str(_tokenizer_path(recipe)), config)
        config.vocab_size = max(config.vocab_size, len(tokenizer))
        model = _built(recipe, config)
    config = model.config
    _require_room(recipe, tokenizer, config)
    if processing.keeps_aspect:  # of the other kind, from which the tokenizer alone is taken
        processing = ProcessingConfig(
            config.image_size, config.union_image_size, config.max_text_tokens, processing.pad_token_id
        )
    sizes = replace(
        processing,
        image_size=config.image_size,
        union_image_size=config.union_image_size,
        min_presence=0.0,  # this and the next two were found for other weights
        calibration=None,
        first_pass=None,
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
        config = _preset(recipe)
        path_of_tokenizer = _tokenizer_path(recipe)
        if path_of_tokenizer is not None and Path(path_of_tokenizer).exists():
            tokenizer, _ = _text_conventions(path_of_tokenizer, config)
            config.vocab_size = max(config.vocab_size, len(tokenizer))
        return config
    path = Path(recipe.init)
    if not path.is_file():
        location = resolve_model(recipe.init, convert=False)
        path = location.folder
        refuse_concepts(path, "trained")
        if location.layout == "rs2sam":
            found = read_config(path)
            assert isinstance(found, RS2SamConfig)
            return _changed_config(found, recipe.config)
    return _changed_config(open_published(path).config, recipe.config)


def _preset(recipe: Recipe) -> RS2SamConfig:
    """The configuration of a model built anew whose trunk reads the sentence."""
    config = PRESETS[recipe.preset](**recipe.config)
    if not isinstance(config, RS2SamConfig):
        raise InvalidInputError(
            f"the preset must be of a model whose trunk reads the sentence, received `{recipe.preset}`, which encodes "
            "an image once; name another preset"
        )
    return config


def _require_room(recipe: Recipe, tokenizer: SentenceTokenizer, config: AnyConfig) -> None:
    """Raise where a tokenizer has more tokens than a loaded model knows."""
    if len(tokenizer) > config.vocab_size:
        raise InvalidInputError(
            f"the tokenizer in `{recipe.tokenizer}` has {len(tokenizer)} tokens, the model in `{recipe.init}` knows "
            f"{config.vocab_size}; leave `tokenizer` out to take the model's own"
        )


def _one_picture(found: ProcessingConfig, config: EncodeOnceConfig) -> ProcessingConfig:
    """Conventions of a model that takes a picture once: its own, or new ones beside another kind's tokenizer."""
    if not found.keeps_aspect:
        mean, deviation = PIXEL_MEAN / 255, PIXEL_DEVIATION / 255
        found = ProcessingConfig(
            image_size=config.image_size,
            union_image_size=0,
            max_text_tokens=config.max_text_tokens,
            pad_token_id=config.text_pad_id,
            image_mean=(mean, mean, mean),
            image_std=(deviation, deviation, deviation),
            keeps_aspect=True,
        )
    return replace(
        found,
        image_size=config.image_size,
        min_presence=0.0,  # this and the next three were found for other weights
        calibration=None,
        first_pass=None,
        closer_look=None,
        max_text_tokens=min(found.max_text_tokens, config.max_text_tokens),
    )


def _loaded(recipe: Recipe) -> tuple[RS2SamModel, Path | None]:
    """The model of `init`, and the folder of its tokenizer where it has one."""
    name = str(recipe.init)
    if Path(name).is_file():
        return load_published(name, dtype=torch.float32), None
    # Converting published weights needs a tokenizer beside them; with one of the recipe's they are read as they are.
    location = resolve_model(name, convert=recipe.tokenizer is None)
    refuse_concepts(location.folder, "trained")
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
    return model


def _changed(model: ModelT, changes: Mapping[str, Any]) -> ModelT:
    """A loaded model with changes to its configuration; parameters that it then has no weights for start anew."""
    if not changes:
        return model
    changed = type(model)(_changed_config(model.config, changes))
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


def _changed_config(config: ConfigT, changes: Mapping[str, Any]) -> ConfigT:
    """The same configuration but for `changes`."""
    known = fields_of(type(config))
    for name in changes:
        require_known(name, known, "config.")
    return type(config)(**{**{name: getattr(config, name) for name in known if name != "model_type"}, **changes})


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
