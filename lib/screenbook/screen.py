"""What a screen is: an AnnData with checked metadata and named roles.

``X``
    float32, rows (sites or wells) by features.
``obs``
    one row per site or well, indexed by a unique id. Fixed columns, as RxRx19a names them:
    ``cell_type experiment plate well site disease_condition treatment treatment_conc SMILES``;
    further columns (``moa``, say) are kept. :func:`make_screen` adds ``batch`` (the plate
    within its experiment), ``row`` and ``column`` on the plate (from 0), ``role`` (see
    :data:`ROLES`), ``compound`` (one display name per structure) and ``compound_key``.
``uns``
    ``roles`` (a :class:`Roles`, as JSON), ``name``, ``level`` (``"site"`` or ``"well"``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from anndata.experimental import read_elem_lazy

from screenbook.chemistry import name_compounds
from screenbook.errors import InputError
from screenbook.paths import replacing

ROLES = ("healthy", "diseased", "vehicle", "treated", "treated_healthy", "blank")
"""Values of ``obs["role"]``.

healthy, diseased
    untreated controls of a disease screen.
vehicle
    the negative control of a screen without a disease (DMSO, say).
treated
    a compound on diseased cells, or on any cells where there is no disease.
treated_healthy
    a compound on healthy cells.
blank
    the metadata do not say: shown as its own class, never used as a control.
"""


@dataclass(frozen=True)
class Roles:
    """Which metadata values mean what; the user names them in ``params/<run>.yml``.

    Attributes
    ----------
    healthy, diseased : tuple of str
        Values of ``disease_condition``. Both empty: a screen without a disease.
    vehicle : tuple of str
        Names in ``treatment`` that mean *no compound* (DMSO, PBS, ...).
    references : tuple of str
        Reference compounds, by name.
    batch : tuple of str
        Metadata columns that together name one plate.
    """

    healthy: tuple[str, ...] = ()
    diseased: tuple[str, ...] = ()
    vehicle: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    batch: tuple[str, ...] = ("experiment", "plate")

    @property
    def has_disease(self) -> bool:
        """Whether this screen asks for rescue (or only for activity against a control)."""
        return bool(self.diseased)

    @property
    def controls(self) -> tuple[str, ...]:
        """The values of ``obs["role"]`` that are controls in this screen."""
        return ("healthy", "diseased") if self.has_disease else ("vehicle",)


def roles_of(screen: ad.AnnData) -> Roles:
    """The named roles of a screen."""
    return Roles(**{name: tuple(values) for name, values in json.loads(screen.uns["roles"]).items()})
