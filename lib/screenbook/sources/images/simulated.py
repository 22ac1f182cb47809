"""The embedded images with a known truth; what they show is :mod:`screenbook.simulate.images`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screenbook.image_set import ImageSet, write_image_set
from screenbook.paths import replacing
from screenbook.simulate.images import ImageSpec, design_images, simulate_images
from screenbook.sources import config
from screenbook.sources.files import Progress
from screenbook.threads import cores, side_by_side

_FEW = 1000  # fields that are drawn before a second process has come up


def write(section: Mapping[str, Any], where: str, folder: Path) -> list[Path]:
    """Render the images that a params file asks for.

    Parameters
    ----------
    section : mapping
        Any field of :class:`screenbook.simulate.images.ImageSpec`.
    where : str
        File and section, quoted in errors.
    folder : Path
        Where ``images.zarr`` and ``truth/images.tsv`` go.

    Returns
    -------
    list of Path
        The files that were read: none.
    """
    spec = config.dataclass_of(ImageSpec, section, where, "simulated images")
    bar: list[Progress] = []

    def tell(done: int, total: int) -> None:
        if not bar:
            bar.append(Progress(total, "rendering fields", unit="field", lines=total > _FEW))
        bar[0].at(done)

    few = len(design_images(spec).obs) < _FEW
    made = simulate_images(spec, jobs=1 if few else max(1, cores() // side_by_side()), tell=tell)
    for started in bar:
        started.close()
    write_image_set(ImageSet(made.pixels, made.obs, tuple(made.channels)), folder / "images.zarr")
    with replacing(folder / "truth" / "images.tsv") as part:
        made.truth.rename_axis("field").to_csv(part, sep="\t", lineterminator="\n")
    return []
