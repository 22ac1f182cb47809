"""The biology knobs of a simulated cell image, and the four cell types as settings of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Knob:
    """One number that shapes cells.

    Attributes
    ----------
    unit : str
        ``"1"`` for a pure number.
    share : bool
        Whether it lies between 0 and 1, so that effects add on its log odds; effects on all
        other knobs add on the logarithm.
    meaning : str
    """

    unit: str
    share: bool
    meaning: str


KNOBS: dict[str, Knob] = {
    "density": Knob("cells / mm2", False, "cells seeded"),
    "clustering": Knob("1", True, "share of cells that sit in islands"),
    "alignment": Knob("1", True, "how far cells of a field point the same way"),
    "cell_radius": Knob("um", False, "how far a cell spreads if no neighbour is in its way"),
    "cell_aspect": Knob("1", False, "long over short axis of a cell"),
    "cell_ruffle": Knob("1", False, "depth of bays and protrusions of the outline"),
    "thickness": Knob("1", False, "light of the cytoplasm over that of a flat cell"),
    "nucleus_radius": Knob("um", False, "of the circle of the same area"),
    "nucleus_aspect": Knob("1", False, "long over short axis of a nucleus"),
    "nucleus_lobes": Knob("1", False, "depth of the dents of a nucleus"),
    "chromatin_contrast": Knob("1", False, "SD of the DNA stain within a nucleus over its mean"),
    "chromatin_grain": Knob("um", False, "period of chromatin texture"),
    "nucleoli": Knob("1", False, "nucleoli of a nucleus, on average"),
    "nucleolus_radius": Knob("um", False, "of a nucleolus"),
    "nucleolus_contrast": Knob("1", False, "RNA stain of nucleoli over that of the cytoplasm"),
    "er_decay": Knob("um", False, "distance from the nucleus at which ER falls to 1/e"),
    "er_texture": Knob("1", False, "SD of the ER stain over its local mean"),
    "mito_grain": Knob("um", False, "spacing of mitochondria"),
    "mito_decay": Knob("um", False, "distance from the nucleus at which mitochondria thin out"),
    "mito_fragments": Knob("1", True, "share of the mitochondrial network that is broken"),
    "actin_fibres": Knob("1", False, "stress fibres over diffuse actin"),
    "actin_cortex": Knob("1", False, "actin of cell borders over diffuse actin"),
    "golgi_amount": Knob("1", False, "Golgi stain over membrane stain"),
    "golgi_dispersal": Knob("1", True, "0: one ribbon beside the nucleus, 1: specks everywhere"),
    "mitotic": Knob("1", True, "share of cells in mitosis"),
    "multinucleate": Knob("1", True, "share of cells with two or three nuclei"),
}
"""Every biology knob, by name."""

Biology = Mapping[str, float]
"""A value for every knob."""

CELL_TYPES: dict[str, dict[str, float]] = {
    # Endothelium: elongated, aligned, with stress fibres.
    "HUVEC": {
        **{"density": 760, "clustering": 0.05, "alignment": 0.88},
        **{"cell_radius": 22, "cell_aspect": 3.2, "cell_ruffle": 0.08, "thickness": 1.0},
        **{"nucleus_radius": 7.4, "nucleus_aspect": 1.45, "nucleus_lobes": 0.03},
        **{"chromatin_contrast": 0.16, "chromatin_grain": 4.5},
        **{"nucleoli": 2.5, "nucleolus_radius": 1.4, "nucleolus_contrast": 1.5},
        **{"er_decay": 10, "er_texture": 0.25},
        **{"mito_grain": 5.0, "mito_decay": 14, "mito_fragments": 0.2},
        **{"actin_fibres": 1.0, "actin_cortex": 0.65},
        **{"golgi_amount": 3.4, "golgi_dispersal": 0.10, "mitotic": 0.02, "multinucleate": 0.01},
    },
    # Pigment epithelium: a confluent cobblestone with actin belts.
    "RPE": {
        **{"density": 1080, "clustering": 0.03, "alignment": 0.1},
        **{"cell_radius": 22, "cell_aspect": 1.12, "cell_ruffle": 0.04, "thickness": 0.9},
        **{"nucleus_radius": 7.0, "nucleus_aspect": 1.18, "nucleus_lobes": 0.02},
        **{"chromatin_contrast": 0.12, "chromatin_grain": 4.0},
        **{"nucleoli": 2.0, "nucleolus_radius": 1.5, "nucleolus_contrast": 1.4},
        **{"er_decay": 11, "er_texture": 0.2},
        **{"mito_grain": 4.0, "mito_decay": 16, "mito_fragments": 0.3},
        **{"actin_fibres": 0.22, "actin_cortex": 1.4},
        **{"golgi_amount": 3.0, "golgi_dispersal": 0.15, "mitotic": 0.015, "multinucleate": 0.03},
    },
    # Hepatoma: small round cells in islands, crowded with organelles.
    "HEPG2": {
        **{"density": 1600, "clustering": 0.9, "alignment": 0.05},
        **{"cell_radius": 13, "cell_aspect": 1.15, "cell_ruffle": 0.06, "thickness": 1.2},
        **{"nucleus_radius": 6.0, "nucleus_aspect": 1.12, "nucleus_lobes": 0.03},
        **{"chromatin_contrast": 0.20, "chromatin_grain": 3.6},
        **{"nucleoli": 1.6, "nucleolus_radius": 1.7, "nucleolus_contrast": 1.9},
        **{"er_decay": 9, "er_texture": 0.3},
        **{"mito_grain": 3.6, "mito_decay": 10, "mito_fragments": 0.5},
        **{"actin_fibres": 0.2, "actin_cortex": 1.5},
        **{"golgi_amount": 3.4, "golgi_dispersal": 0.35, "mitotic": 0.04, "multinucleate": 0.06},
    },
    # Osteosarcoma: large, flat, spread apart.
    "U2OS": {
        **{"density": 640, "clustering": 0.10, "alignment": 0.1},
        **{"cell_radius": 24, "cell_aspect": 1.45, "cell_ruffle": 0.16, "thickness": 1.05},
        **{"nucleus_radius": 8.3, "nucleus_aspect": 1.28, "nucleus_lobes": 0.04},
        **{"chromatin_contrast": 0.15, "chromatin_grain": 5.0},
        **{"nucleoli": 3.2, "nucleolus_radius": 1.6, "nucleolus_contrast": 1.6},
        **{"er_decay": 12, "er_texture": 0.3},
        **{"mito_grain": 5.5, "mito_decay": 13, "mito_fragments": 0.25},
        **{"actin_fibres": 0.65, "actin_cortex": 0.8},
        **{"golgi_amount": 3.2, "golgi_dispersal": 0.15, "mitotic": 0.04, "multinucleate": 0.03},
    },
}
"""Untreated cells of the four types of RxRx1."""


def shifted(biology: Biology, effects: Mapping[str, float]) -> dict[str, float]:
    """Turn some knobs.

    Parameters
    ----------
    biology : mapping of str to float
    effects : mapping of str to float
        By how much, on the logarithm of a knob or the log odds of a share.

    Returns
    -------
    dict of str to float
        All knobs of `biology`.
    """
    turned = dict(biology)
    for name, effect in effects.items():
        value = turned[name]
        if KNOBS[name].share:
            odds = np.log(value / (1 - value)) + effect
            turned[name] = float(1 / (1 + np.exp(-odds)))
        else:
            turned[name] = float(value * np.exp(effect))
    return turned
