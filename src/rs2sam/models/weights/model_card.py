"""The README.md that lies beside converted weights: what they are, where they come from, what may be done with them."""

from __future__ import annotations

from dataclasses import dataclass

from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.weights.classes import AnyConfig

USE = """\
```python
from rs2sam import Segmenter

segmenter = Segmenter.load("this folder")
result = segmenter.segment("image.tif", "the white plane on the left")
```"""

_CARD = """\
{front_matter}

# {title}

One sentence and one aerial or satellite image in, the mask of what the sentence names out: RS2-SAM 2 (Rong et al.,
"Customized SAM 2 for Referring Remote Sensing Image Segmentation", AAAI 2026, arXiv 2503.07266), in the format of
`rs2sam`.

| | |
|---|---|
| converted from | {source} |
| parameters | {num_parameters:,} |
| weights | {dtype}, {size_mb:,.0f} MB |
{sizes}

## Use

{use}

## Terms

{terms}

## What differs from the published code

- Padding is masked in the attentions between image and text, so the result for a sentence does not depend on the other
  sentences of its batch. Alone, a sentence gives the published result.
- The mask is where the logit exceeds 0.5, as argmax over [1 - x, x] has it.
- Dropped: {num_dropped} tensors that never change the mask.
"""

PUBLISHED_TERMS = (
    "The authors of the published weights state no licence for them. They derive from SAM 2 (Apache-2.0) and BEiT-3 "
    "(MIT) and were trained on data for research. Ask the authors before any use beyond research."
)


@dataclass(frozen=True)
class CardFacts:
    """What a model card says.

    Args:
        title: its heading.
        source: where the weights come from.
        dtype: of the weights.
        num_parameters: numbers in the weights.
        size_bytes: of the weights on disk.
        num_dropped: tensors of the source that were left out.
        terms: under which terms they may be used.
        license: the hub's name for those terms.
    """

    title: str
    source: str
    dtype: str
    num_parameters: int
    size_bytes: int
    num_dropped: int
    terms: str = PUBLISHED_TERMS
    license: str = "unknown"


def model_card(facts: CardFacts, config: AnyConfig) -> str:
    """The text of the README.md of a converted model."""
    return _CARD.format(
        front_matter=front_matter(facts.license, "sam2", "beit3"),
        title=facts.title,
        source=facts.source,
        dtype=facts.dtype,
        num_parameters=facts.num_parameters,
        size_mb=facts.size_bytes / 1e6,
        sizes=size_rows(config),
        use=USE,
        num_dropped=facts.num_dropped,
        terms=facts.terms,
    )


def front_matter(license_name: str, *tags: str) -> str:
    """What the hub reads at the top of every card of this project.

    Args:
        license_name: the hub's name for the terms.
        tags: further ones.
    """
    lines = "\n".join(f"- {tag}" for tag in ("remote-sensing", "referring-segmentation", *tags))
    return f"---\nlibrary_name: rs2sam\npipeline_tag: image-segmentation\ntags:\n{lines}\nlicense: {license_name}\n---"


def size_rows(config: AnyConfig) -> str:
    """Rows of a card's table: what the model takes and what it reports."""
    sides = (
        f"{config.image_size} px along the longer side, in its own aspect"
        if isinstance(config, EncodeOnceConfig)
        else f"{config.image_size} x {config.image_size} px; union encoder {config.union_image_size} x "
        f"{config.union_image_size} px"
    )
    trained = [name for name, has in (("presence", config.has_presence), ("score", config.has_score)) if has]
    return (
        f"| image | {sides} |\n"
        f"| longest sentence | {config.max_text_tokens} tokens |\n"
        f"| presence, score | {', '.join(trained) or 'not trained, so not reported'} |"
    )
