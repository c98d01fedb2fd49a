"""Losses: the published one, and what our recipes add (DESIGN section 3).

The published head is a softmax over two channels [1 - x, x], so the logit of the foreground is 2x - 1, its probability
sigmoid(2x - 1), and the mask is x > 0.5 (`rs2sam.processing.MASK_LOGIT_THRESHOLD`). The published boundary term
compares *thresholded* masks, and at x > 0: it gives the mask no gradient and only drives the sentence's weight to zero.
It is here under its name; `soft` is the form that reaches the mask.

Source: RS2-SAM 2 (arXiv 2503.07266), section 3; the values of its released code.

B batch, H W pixels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from rs2sam.errors import InvalidInputError
from rs2sam.models.rs2sam import RS2SamOutput
from rs2sam.processing import MASK_LOGIT_THRESHOLD
from rs2sam.training.recipes.loss_settings import DiceReduction, LossSettings

CLASS_WEIGHTS = (0.9, 1.1)
"""Weights of background and foreground pixels in the cross entropy."""
DICE_SMOOTH = 1e-6
PUBLISHED_BOUNDARY_THRESHOLD = 0.0
"""Where the published boundary term cuts its logits; not the threshold of the mask."""


@dataclass(frozen=True)
class LossParts:
    """The loss and its terms before weighting; a term of weight 0 is not computed and reads 0."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    boundary: Tensor
    presence: Tensor
    score: Tensor

    def values(self) -> dict[str, float]:
        """Every part as a number, for a log."""
        return {name: float(value.detach()) for name, value in vars(self).items()}


def rs2sam_loss(
    output: RS2SamOutput,
    target: Tensor,
    settings: LossSettings | None = None,
    sample_weight: Tensor | None = None,
    ignore: Tensor | None = None,
) -> LossParts:
    """The loss of one batch.

    Args:
        output: of the model. Its logits of the target's size are used: `mask_logits` or `low_res_logits`.
        target: (B, H, W) masks, 0 or 1 of any dtype; all 0 where nothing is there.
        settings: weights and forms; the published loss by default.
        sample_weight: (B,) at least 0, a weight for every sample; 1 by default. With the scope `batch` they count
            relative to the others of the batch, with `sample` a loss is multiplied by its weight.
        ignore: (B, H, W) bool, pixels that no term looks at; None: none.

    Returns:
        The weighted sum and its terms.

    Raises:
        InvalidInputError: if no logits have the target's size, or a head that has a weight is not reported.
    """
    settings = settings or LossSettings()
    if settings.scope == "sample":
        return _mean_of_samples(output, target, settings, sample_weight, ignore)
    logits = _logits_of_size(output, target).float()
    target = target.to(logits.dtype)
    weight = torch.ones_like(logits[:, 0, 0, 0]) if sample_weight is None else sample_weight.to(logits.dtype)
    zero = logits.new_zeros(())
    keep = None if ignore is None else (~ignore.bool()).to(logits.dtype)
    if keep is not None:
        target = target * keep
    terms = {
        "cross_entropy": cross_entropy(logits, target, weight, keep) if settings.cross_entropy else zero,
        "dice": _reduced(dice(logits, target, keep), weight, settings.dice_reduction) if settings.dice else zero,
        "boundary": _boundary(output, logits, target, weight, settings, keep) if settings.boundary else zero,
        "presence": presence_loss(_head(output, "presence_logits"), target, weight) if settings.presence else zero,
        "score": score_loss(_head(output, "iou_scores"), logits, target, weight, keep) if settings.score else zero,
    }
    weights: dict[str, float] = asdict(settings)
    total = sum((weights[name] * term for name, term in terms.items()), zero)
    return LossParts(total=total, **terms)


def _mean_of_samples(
    output: RS2SamOutput,
    target: Tensor,
    settings: LossSettings,
    sample_weight: Tensor | None,
    ignore: Tensor | None,
) -> LossParts:
    """The loss of every sample as a batch of its own, multiplied by its weight, averaged."""
    alone = replace(settings, scope="batch")
    reported = {name: value for name, value in vars(output).items() if value is not None}
    count = target.shape[0]
    parts = [
        rs2sam_loss(
            RS2SamOutput(**{name: value[index : index + 1] for name, value in reported.items()}),
            target[index : index + 1],
            alone,
            ignore=None if ignore is None else ignore[index : index + 1],
        )
        for index in range(count)
    ]
    weights = [1.0] * count if sample_weight is None else list(sample_weight)
    names = vars(parts[0])
    return LossParts(
        **{
            name: torch.stack([w * getattr(p, name) for w, p in zip(weights, parts, strict=True)]).mean()
            for name in names
        }
    )


def cross_entropy(logits: Tensor, target: Tensor, sample_weight: Tensor, keep: Tensor | None = None) -> Tensor:
    """Cross entropy over [1 - x, x], mean weighted by class and sample.

    Args:
        logits: (B, 1, H, W).
        target: (B, H, W) float, 0 or 1.
        sample_weight: (B,).
        keep: (B, H, W) float, 0 at pixels that are left out, else 1; None: all count.

    Returns:
        A scalar; 0 where nothing counts.
    """
    # Over two channels this is the binary cross entropy of their difference.
    per_pixel = F.binary_cross_entropy_with_logits(2.0 * logits[:, 0] - 1.0, target, reduction="none")  # (B, H, W)
    background, foreground = CLASS_WEIGHTS
    weight = (background + (foreground - background) * target) * sample_weight[:, None, None]
    if keep is None:
        return (weight * per_pixel).sum() / weight.sum()
    weight = weight * keep
    return (weight * per_pixel).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def dice(logits: Tensor, target: Tensor, keep: Tensor | None = None) -> Tensor:
    """Dice loss of every sample, summed over background and foreground: (B, 1, H, W), (B, H, W) to (B,) in [0, 2].

    Pixels where `keep` (B, H, W) is 0 belong to neither class, in both masks.
    """
    foreground = foreground_probability(logits).flatten(1)  # (B, H * W)
    target = target.flatten(1)
    classes = (foreground, target), (1.0 - foreground, 1.0 - target)
    if keep is not None:
        kept = keep.flatten(1)
        classes = (foreground * kept, target * kept), ((1.0 - foreground) * kept, (1.0 - target) * kept)
    return _dice_of_class(*classes[0]) + _dice_of_class(*classes[1])


def boundary_error(masks: Tensor, target: Tensor, keep: Tensor | None = None) -> Tensor:
    """Mean squared difference of the two masks' edge maps: (B, H, W), (B, H, W) to (B,).

    With `keep` (B, H, W), the mean over the pixels that count and whose neighbours above and to the left do; 0 where
    there is none.
    """
    error = (edges(masks) - edges(target)).square()
    if keep is None:
        return error.mean(dim=(1, 2))
    counts = keep * F.pad(keep[:, :-1], (0, 0, 1, 0), value=1.0) * F.pad(keep[:, :, :-1], (1, 0, 0, 0), value=1.0)
    return (error * counts).sum(dim=(1, 2)) / counts.sum(dim=(1, 2)).clamp(min=1.0)


def edges(masks: Tensor) -> Tensor:
    """|m[i, j] - m[i-1, j]| + |m[i, j] - m[i, j-1]|, nothing before the first row and column: (B, H, W) to the same."""
    from_above = F.pad(masks.diff(dim=1).abs(), (0, 0, 1, 0))
    from_left = F.pad(masks.diff(dim=2).abs(), (1, 0, 0, 0))
    return from_above + from_left


def published_boundary_loss(
    logits: Tensor, target: Tensor, sentence_weight: Tensor, sample_weight: Tensor, keep: Tensor | None = None
) -> Tensor:
    """The published boundary term: mean(w^2) mean(error) with masks cut at x > 0. No gradient reaches the logits.

    Args:
        logits: (B, 1, H, W).
        target: (B, H, W) float.
        sentence_weight: (B,) w.
        sample_weight: (B,).
        keep: as in `boundary_error`.

    Returns:
        A scalar. Two means and not the mean of w^2 error, since the published weights broadcast over the whole batch.
    """
    masks = (logits[:, 0] > PUBLISHED_BOUNDARY_THRESHOLD).to(logits.dtype)
    error = boundary_error(masks, target, keep)
    return sentence_weight.float().square().mean() * _reduced(error, sample_weight, "mean")


def soft_boundary_loss(logits: Tensor, target: Tensor, sample_weight: Tensor, keep: Tensor | None = None) -> Tensor:
    """The boundary term on probabilities, which the mask can follow; its weight is 1, which cannot vanish."""
    return _reduced(boundary_error(foreground_probability(logits)[:, 0], target, keep), sample_weight, "mean")


def presence_loss(presence_logits: Tensor, target: Tensor, sample_weight: Tensor) -> Tensor:
    """Binary cross entropy of "something is there": (B,) logits, (B, H, W) targets."""
    present = target.flatten(1).amax(dim=1)
    per_sample = F.binary_cross_entropy_with_logits(presence_logits.float(), present, reduction="none")
    return _reduced(per_sample, sample_weight, "mean")


def score_loss(
    iou_scores: Tensor, logits: Tensor, target: Tensor, sample_weight: Tensor, keep: Tensor | None = None
) -> Tensor:
    """Absolute error of the predicted IoU, as SAM 2 trains it; no gradient to the mask through the true IoU."""
    return _reduced((iou_scores.float() - mask_iou(logits, target, keep)).abs(), sample_weight, "mean")


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor, keep: Tensor | None = None) -> Tensor:
    """IoU of the thresholded masks, 1 where prediction and target are both empty: (B, 1, H, W), (B, H, W) to (B,)."""
    masks = (logits[:, 0] > MASK_LOGIT_THRESHOLD).flatten(1)
    wanted = target.flatten(1) > 0
    if keep is not None:
        masks, wanted = masks & (keep.flatten(1) > 0), wanted & (keep.flatten(1) > 0)
    intersection = (masks & wanted).sum(dim=1)
    union = (masks | wanted).sum(dim=1)
    return torch.where(union == 0, 1.0, intersection / union.clamp(min=1))


def foreground_probability(logits: Tensor) -> Tensor:
    """sigmoid(2x - 1), the second channel of the published softmax; any shape."""
    return torch.sigmoid(2.0 * logits - 1.0)


def _dice_of_class(probability: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |A B| / (|A| + |B|) of (B, H * W) each, smoothed: (B,)."""
    overlap = 2.0 * (probability * target).sum(dim=1) + DICE_SMOOTH
    return 1.0 - overlap / (probability.sum(dim=1) + target.sum(dim=1) + DICE_SMOOTH)


def _boundary(
    output: RS2SamOutput, logits: Tensor, target: Tensor, weight: Tensor, settings: LossSettings, keep: Tensor | None
) -> Tensor:
    """The boundary term in the form that the settings name."""
    if settings.boundary_form == "soft":
        return soft_boundary_loss(logits, target, weight, keep)
    return published_boundary_loss(logits, target, _head(output, "sentence_weight"), weight, keep)


def _reduced(per_sample: Tensor, sample_weight: Tensor, reduction: DiceReduction) -> Tensor:
    """Weighted sum or weighted mean of (B,) values."""
    total = (per_sample * sample_weight).sum()
    return total if reduction == "sum" else total / sample_weight.sum()


def _head(output: RS2SamOutput, name: str) -> Tensor:
    """One of the model's outputs that a term needs."""
    value: Tensor | None = getattr(output, name)
    if value is None:
        raise InvalidInputError(
            f"The loss has a weight for `{name}`, but the model does not report it. Set `has_presence` / `has_score` "
            "in its configuration, or the weight to 0."
        )
    return value


def _logits_of_size(output: RS2SamOutput, target: Tensor) -> Tensor:
    """The logits (B, 1, H, W) whose size is that of the target (B, H, W)."""
    candidates = [logits for logits in (output.mask_logits, output.low_res_logits) if logits is not None]
    for logits in candidates:
        if logits.shape[0] == target.shape[0] and logits.shape[-2:] == target.shape[-2:]:
            return logits
    sizes = " or ".join(str(tuple(logits[:, 0].shape)) for logits in candidates)
    raise InvalidInputError(f"Targets must have shape {sizes}, that of the logits; got {tuple(target.shape)}.")
