"""The embedded expression screen with a known truth: :mod:`screenbook.simulate.expression`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np

from screenbook.expression_set import make_profiles, write_profiles
from screenbook.paths import replacing
from screenbook.simulate.expression import SCALE, ExpressionSpec, simulate_expression
from screenbook.sources import config

_WHAT = "simulated expression"


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Simulate the expression screen that a params file asks for.

    Parameters
    ----------
    section : mapping
        Any field of :class:`screenbook.simulate.expression.ExpressionSpec`.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``expression.zarr`` goes, and its truth: ``truth/expression_drugs.tsv``,
        ``truth/expression_lines.tsv`` and ``truth/expression_change.npy`` (the change without
        noise, float32, one row per profile, 0 for controls).

    Returns
    -------
    list of Path
        The files that were read: none.
    """
    made = simulate_expression(config.dataclass_of(ExpressionSpec, section, where, _WHAT))
    profiles: ad.AnnData = make_profiles(
        made.mean,
        made.obs,
        made.genes.tolist(),
        scale=SCALE,
        origin=_WHAT,
        layers={"variance": made.variance, "nonzero": made.nonzero},
    )
    write_profiles(profiles, folder / "expression.zarr")
    for name, table in (("drugs", made.drugs), ("lines", made.lines)):
        with replacing(folder / "truth" / f"expression_{name}.tsv") as part:
            table.to_csv(part, sep="\t", index=False, lineterminator="\n")
    with replacing(folder / "truth" / "expression_change.npy") as part, part.open("wb") as file:
        np.save(file, made.change, allow_pickle=False)
    return []
