"""The embedded screen with a known truth; what it is made of is :mod:`screenbook.simulate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screenbook.simulate import simulate_screen, spec_from_options
from screenbook.sources.files import Progress
from screenbook.sources.staging import Found, as_blocks, scratch_array


def find(section: Mapping[str, Any], where: str, scratch: Path) -> Found:
    """Simulate the screen that a params file asks for, plate by plate.

    Parameters
    ----------
    section : mapping
        ``shape``, ``seed`` and any field of :class:`screenbook.simulate.ScreenSpec`.
    where : str
        File and section, quoted in errors.
    scratch : Path
        Folder for the staged features.
    """
    simulated = simulate_screen(spec_from_options(section, where))
    staged = scratch_array(scratch, simulated.n_sites, simulated.spec.n_features)
    progress = Progress(simulated.n_plates, "simulating plates", unit="plate")
    start = 0
    for index, (_, X) in enumerate(simulated.plates(), start=1):
        staged[start : start + len(X)] = X
        start += len(X)
        progress.at(index)
    progress.close()
    return Found(
        obs=simulated.obs,
        X=as_blocks(staged),
        features=[f"feature_{i}" for i in range(simulated.spec.n_features)],
        roles=simulated.roles,
        name=f"simulated ({section.get('shape', 'default')})",
        origin=where,
        key="site_id",
        truth=simulated.truth,
        library=simulated.truth["library"][["compound", "smiles"]],
    )
