"""Ready shapes of simulated screens, and what a params file may change in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.simulate.spec import CellType, Experiment, ScreenSpec

_FAST: dict[str, Any] = {
    "cell_types": (CellType("renal", 12, 4), CellType("simian", 8, 3, infection=1.15)),
    "experiments": (
        Experiment("RENAL-1", "renal", 3),
        Experiment("RENAL-2", "renal", 3),
        Experiment("SIMIAN-1", "simian", 3),
    ),
    "n_rows": 8,
    "n_columns": 12,
    "n_mock": 8,
    "n_inactivated": 6,
    "n_blank": 2,
    "n_series": 11,
    "n_untreated": 14,
    "n_features": 64,
    "n_compounds": 15,
    "n_references": 3,
    "reference_classes": ("rescuer",),
    "n_rescuers": 2,
    "n_selective": 1,
    "n_aggravators": 1,
    "n_toxic": 2,
    "n_off_axis": 2,
    "n_fluorescent": 1,
    "n_aliases": 1,
    "n_chemaxon": 1,
    "rescue_emax": (0.8, 0.95),
    "rescue_ec50": (0.1, 0.5),
    # Few features mix many directions: what is to show must be longer.
    "infection": 8.0,
    "cell_loss": 16.0,
    "off_axis": (4.0, 8.0),
    "rescue_toxicity": 0.0,
    "n_glow_features": 3,
    "n_gradient_plates": 0,
}

_RXRX19A: dict[str, Any] = {
    "cell_types": (CellType("renal", 1638, 3), CellType("simian", 0, 0, infection=1.15)),
    "experiments": (
        Experiment("RENAL-1", "renal", 26),
        Experiment("RENAL-2", "renal", 27),
        Experiment("SIMIAN-1", "simian", 2),
        Experiment("SIMIAN-2", "simian", 2),
    ),
    "n_rows": 32,
    "n_columns": 48,
    "n_mock": 40,
    "n_inactivated": 40,
    "n_blank": 30,
    "n_series": 97,
    "n_untreated": 66,
    "n_extra_blank_plates": 16,
    "wells_per_dose": 2,
    "n_compounds": 1670,
    "n_references": 32,
    "reference_classes": (
        *("rescuer",) * 2,
        *("selective",) * 4,
        *("toxic",) * 5,
        *("off_axis",) * 4,
    ),
    "n_rescuers": 12,
    "n_selective": 4,
    "n_aggravators": 20,
    "n_toxic": 120,
    "n_off_axis": 170,
    "n_fluorescent": 30,
    "n_aliases": 12,
    "n_chemaxon": 40,
    "n_weak_plates": 2,
    "n_gradient_plates": 2,
}

SHAPES: dict[str, dict[str, Any]] = {"default": {}, "fast": _FAST, "rxrx19a": _RXRX19A}
"""What each shape changes in the defaults of :class:`ScreenSpec`."""

OPTIONS: dict[str, Any] = {
    field.name: field.default
    for field in dataclasses.fields(ScreenSpec)
    if field.name not in ("cell_types", "experiments")
}
"""What a params file may set beside the shape, and the default of shape ``default``."""

_WORDS = {int: "a whole number", float: "a number", str: "text"}


def screen_spec(shape: str = "default", **changes: Any) -> ScreenSpec:
    """Fill in a screen by the name of its shape.

    Parameters
    ----------
    shape : {"default", "fast", "rxrx19a"}
        ``default``: 24 plates of 384 wells; ``fast``: 9 plates of 96 wells and 64 features,
        for tests; ``rxrx19a``: the counts of RxRx19a, 57 plates of 1,340 wells.
    **changes
        Fields of :class:`ScreenSpec` that are to differ from the shape.

    Raises
    ------
    InputError
        If the shape or a field does not exist, a value has the wrong type or range, or the
        compounds do not fit on the plates.
    """
    if shape not in SHAPES:
        raise InputError(
            f"shape {shape!r} is not known{did_you_mean(shape, SHAPES)}: "
            f"take one of {listing(SHAPES)}"
        )
    for name in changes:
        if name not in OPTIONS:
            raise InputError(
                f"{name!r} is no option of a simulated screen"
                f"{did_you_mean(name, OPTIONS)}: take 'shape' or a field of ScreenSpec"
            )
    typed = {name: _typed(name, OPTIONS[name], value) for name, value in changes.items()}
    return ScreenSpec(**{**SHAPES[shape], **typed})


def spec_from_options(options: Mapping[str, Any], origin: str = "screen") -> ScreenSpec:
    """Read the ``screen:`` section of a params file: ``shape`` and :data:`OPTIONS`.

    Parameters
    ----------
    options : mapping
        The section; its ``source`` is passed over.
    origin : str
        The params file and its section, quoted in errors.

    Raises
    ------
    InputError
        As :func:`screen_spec`.
    """
    changes = {k: v for k, v in options.items() if k not in ("source", "shape")}
    try:
        return screen_spec(str(options.get("shape", "default")), **changes)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def _typed(name: str, default: Any, value: Any) -> Any:
    """Check a value against the type of the field's default, and make lists tuples."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise InputError(f"{name} is {value!r}: give a list, [...]")
        return tuple(_typed(name, default[0], item) for item in value)
    # type() and not isinstance(): True is an int to Python, and no number to a reader.
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is type(default):
        return value
    raise InputError(f"{name} is {value!r}: give {_WORDS[type(default)]}")
