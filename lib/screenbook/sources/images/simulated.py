"""The embedded images with a known truth; what they show is :mod:`screenbook.simulate.images`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.image_set import ImageSet, write_image_set
from screenbook.paths import replacing
from screenbook.simulate.images import ImageSpec, design_images, simulate_images
from screenbook.sources.files import Progress
from screenbook.threads import cores, side_by_side

_FEW = 1000  # fields that are drawn before a second process has come up

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


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
    spec = _spec(section, where)
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


def _spec(section: Mapping[str, Any], where: str) -> ImageSpec:
    defaults = {f.name: f.default for f in dataclasses.fields(ImageSpec)}
    given = {name: value for name, value in section.items() if name != "source"}
    for name in given:
        if name not in defaults:
            raise InputError(
                f"{where}: {str(name)!r} is no option of simulated images"
                f"{did_you_mean(str(name), defaults)}; they take {listing(defaults, 99)}"
            )
    try:
        return ImageSpec(**{k: _typed(k, defaults[k], value) for k, value in given.items()})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _typed(name: str, default: Any, value: Any) -> Any:
    """Check a value against the type of the field's default, and make lists tuples."""
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise InputError(f"{name} is {value!r}; give a list, [...]")
        return tuple(_typed(name, default[0], item) for item in value)
    if type(default) is float and type(value) is int:
        return float(value)
    # type() and not isinstance(): True is an int to Python, and no number to a reader.
    if type(value) is not type(default):
        raise InputError(f"{name} is {value!r}; give {_WORDS[type(default)]}")
    return value
