"""The methods of self-distillation: which ingredients each has, and how all are trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from screenbook.errors import InputError, did_you_mean
from screenbook.images.collapse import CollapseLimits
from screenbook.images.views import ViewSettings
from screenbook.training import TrainSettings


@dataclass(frozen=True)
class Variant:
    """What a method is made of.

    Attributes
    ----------
    loss : {"dino", "byol", "supervised"}
    cross_batch : bool
        Partners from another batch; this and the supervised loss use treatment names.
    batch_centres : bool
        A teacher centre for every batch.
    redundancy : bool
        The redundancy term.
    """

    loss: str
    cross_batch: bool = False
    batch_centres: bool = False
    redundancy: bool = False


VARIANTS = {
    "DINO": Variant("dino"),
    "BYOL": Variant("byol"),
    "DINO-CB": Variant("dino", cross_batch=True),
    "BYOL-CB": Variant("byol", cross_batch=True),
    "CDCL": Variant("dino", cross_batch=True, batch_centres=True, redundancy=True),
    "supervised": Variant("supervised"),
}
ABLATION = {
    "DINO": VARIANTS["DINO"],
    "DINO + centres": Variant("dino", batch_centres=True),
    "DINO + redundancy": Variant("dino", redundancy=True),
    "DINO-CB": VARIANTS["DINO-CB"],
    "DINO-CB + centres": Variant("dino", cross_batch=True, batch_centres=True),
    "DINO-CB + redundancy": Variant("dino", cross_batch=True, redundancy=True),
    "CDCL": VARIANTS["CDCL"],
}


@dataclass(frozen=True)
class DistillationSettings:
    """How the variants are built and trained; the same for all of them.

    Attributes
    ----------
    training : TrainSettings
    views : ViewSettings
    encoder : {"cnn", "vit"}
    encoder_options : dict
        See :func:`screenbook.images.encoders.build_encoder`.
    batch_size : int
        Fields of a step.
    n_prototypes, bottleneck, hidden : int
        Outputs of a head, the unit vector before them, and the width of its layers.
    student_temperature : float
    teacher_temperature : tuple of float
        At the first and the last step; cosine between.
    teacher_momentum : tuple of float
        What the teacher keeps of itself in a step, first and last; cosine between.
    centre_momentum : float
    redundancy_weight, redundancy_off_diagonal : float
        Share of the redundancy term in the loss, and of its off-diagonal part in it. CDCL has
        0.75 of it, for trainings of 200 epochs; in the first minute so much of it keeps DINO's
        term from being learned.
    limits : CollapseLimits
    """

    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            n_steps=300, learning_rate=4e-3, warmup_steps=20, weight_decay=4e-3, clip=3.0
        )
    )
    views: ViewSettings = field(default_factory=ViewSettings)
    encoder: str = "cnn"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 96
    n_prototypes: int = 128
    bottleneck: int = 64
    hidden: int = 256
    student_temperature: float = 0.1
    teacher_temperature: tuple[float, float] = (0.04, 0.04)
    teacher_momentum: tuple[float, float] = (0.97, 0.97)
    centre_momentum: float = 0.9
    redundancy_weight: float = 0.05
    redundancy_off_diagonal: float = 0.95
    limits: CollapseLimits = field(default_factory=CollapseLimits)


def quick(settings: DistillationSettings, **training: Any) -> DistillationSettings:
    """Change settings of the training alone, say ``quick(settings, n_steps=50)``."""
    return replace(settings, training=replace(settings.training, **training))


def find_variant(name: str) -> Variant:
    """Look a variant up by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = VARIANTS | ABLATION
    if name not in known:
        raise InputError(
            f"variant {name!r} is none of {', '.join(known)}{did_you_mean(name, known)}"
        )
    return known[name]
