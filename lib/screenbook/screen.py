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
    ``roles`` (a :class:`Roles`, as JSON), ``name``, ``level`` (``"site"`` or ``"well"``),
    ``compounds`` (a table of them), ``notes`` (what was decided on the way in, as JSON).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from anndata.experimental import read_elem_lazy
from scipy import sparse

from screenbook.blocks import Array, row_blocks
from screenbook.chemistry import name_compounds
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.metadata import tidy, well_address
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
    """Read the named roles of a screen."""
    return Roles(
        **{name: tuple(values) for name, values in json.loads(screen.uns["roles"]).items()}
    )


def notes_of(screen: ad.AnnData) -> list[str]:
    """Read what was decided while the screen was made, one sentence each."""
    return list(json.loads(screen.uns.get("notes", "[]")))


def add_note(screen: ad.AnnData, note: str) -> None:
    """Add a sentence to what :func:`notes_of` gives."""
    screen.uns["notes"] = json.dumps([*notes_of(screen), note])


DERIVED = ("batch", "row", "column", "role", "compound", "compound_key", "n_sites")
"""Columns that are worked out from the others; a file cannot bring them."""

_CATEGORIES = ("batch", "role", "compound", "compound_key")
_CHUNK_BYTES = 16 << 20


def make_screen(
    X: Array,
    obs: pd.DataFrame,
    roles: Roles,
    *,
    name: str,
    features: Sequence[str] | None = None,
    origin: str,
    key: str = "id",
) -> ad.AnnData:
    """Check metadata and features, derive what every analysis asks for, and join both.

    Parameters
    ----------
    X : ndarray or dask.array.Array, shape (n, n_features)
        Features of sites or wells; kept as float32.
    obs : DataFrame, n rows
        Metadata under the fixed names (see the text of this module). ``cell_type experiment
        plate well treatment`` must be there, and ``disease_condition`` if `roles` names
        conditions; ``site``, ``treatment_conc`` (µM) and ``SMILES`` may be absent. The index
        holds the ids of the rows; if it only counts, ids are made from the address on the plate.
    roles : Roles
        Which values mean what.
    name : str
        Name of the screen.
    features : sequence of str, optional
        Names of the columns of `X`; ``feature_0 ...`` by default.
    origin : str
        The file or files the rows came from, quoted in errors.
    key : str
        What those files call the ids, quoted in errors.

    Returns
    -------
    AnnData
        The screen. ``uns["compounds"]`` has one row per compound (key, name, all spellings,
        SMILES of the parent); :func:`notes_of` gives what the reader should be told.

    Raises
    ------
    InputError
        If a column is missing or holds what it should not, ids repeat, features are not
        finite, a role names what is not there, or there are no controls.
    """
    conditions = roles.healthy + roles.diseased
    needed = (*roles.batch, *(("disease_condition",) if conditions else ()))
    table = tidy(obs, origin, needed, key)
    X = X.toarray() if sparse.issparse(X) else X
    features = [f"feature_{i}" for i in range(X.shape[1])] if features is None else list(features)
    _check_features(X, table.index, features, origin)
    _check_roles(table, roles, origin)

    untreated = _untreated(table, roles)
    table["treatment_conc"] = table["treatment_conc"].where(~untreated)
    batch = table[list(roles.batch)].astype(str).agg("/".join, axis=1)
    table["batch"] = pd.Categorical(batch, categories=pd.unique(batch))
    table["row"], table["column"] = well_address(table["well"])
    table["role"] = pd.Categorical(_role(table, roles, untreated), categories=ROLES)
    naming = name_compounds(table["treatment"].where(~untreated, ""), table["SMILES"])
    table["compound"] = pd.Categorical(naming.compound)
    table["compound_key"] = pd.Categorical(naming.compound_key)
    _check_controls(table, roles, origin)
    _check_references(table, naming.names, roles, origin)
    return ad.AnnData(
        X=X.astype(np.float32, copy=False) if isinstance(X, np.ndarray) else X.astype(np.float32),
        obs=table,
        var=pd.DataFrame(index=pd.Index(features, dtype=object)),
        uns={
            "roles": json.dumps(asdict(roles)),
            "name": name,
            "level": "site" if (table["site"] > 0).any() else "well",
            "compounds": naming.names.reset_index(),
            "notes": json.dumps(_notes(table, roles, naming.unreadable)),
        },
    )


def read_screen(path: str | Path, *, lazy: bool = False) -> ad.AnnData:
    """Read a screen from Zarr.

    Parameters
    ----------
    path : path
        What :func:`write_screen` wrote.
    lazy : bool
        Leave ``X`` on disk, as a Dask array in blocks of rows; everything else is read.

    Raises
    ------
    InputError
        If there is no screen, or it is damaged.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: there is no screen here; run the command that makes it first")
    try:
        # zarr 3.1 loses columns from consolidated metadata if names differ by case only.
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        parts = {part: ad.io.read_elem(group[part]) for part in group if part not in ("X", "raw")}
        parts["X"] = read_elem_lazy(group["X"]) if lazy else ad.io.read_elem(group["X"])
        screen = ad.AnnData(**parts)
    except Exception as error:  # zarr, its codecs and anndata fail in ways of their own
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: cannot be read ({cause}); delete it and make it again"
        ) from error
    # On disk repeated text is stored as categories; only some columns are meant as such.
    for column in screen.obs.select_dtypes("category").columns.difference(_CATEGORIES):
        screen.obs[column] = screen.obs[column].astype(object)
    return screen


def write_screen(screen: ad.AnnData, path: str | Path) -> None:
    """Write a screen as Zarr, in chunks of rows, whole or not at all.

    A Dask ``X`` is written block by block and never held in memory as a whole.
    """
    rows = max(1, _CHUNK_BYTES // (4 * max(screen.n_vars, 1)))
    lazy = not isinstance(screen.X, np.ndarray) and not sparse.issparse(screen.X)
    # A second container of the same arrays, since writing turns its text into categories.
    copy = ad.AnnData(
        X=screen.X.rechunk((rows, -1)) if lazy else screen.X,
        obs=screen.obs.copy(),
        var=screen.var.copy(),
        **{part: dict(getattr(screen, part)) for part in ("uns", "obsm", "varm", "layers")},
    )
    with replacing(Path(path)) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="zarr|anndata")
        copy.write_zarr(part, chunks=(min(rows, max(screen.n_obs, 1)), max(screen.n_vars, 1)))


def _untreated(table: pd.DataFrame, roles: Roles) -> pd.Series:
    return table["treatment"].isin(["", *roles.vehicle])


def _role(table: pd.DataFrame, roles: Roles, untreated: pd.Series) -> np.ndarray:
    """One of `ROLES` for every row."""
    if not roles.has_disease:
        vehicle = table["treatment"].isin(roles.vehicle)
        return np.select([vehicle, untreated], ["vehicle", "blank"], default="treated")
    healthy = table["disease_condition"].isin(roles.healthy)
    diseased = table["disease_condition"].isin(roles.diseased)
    return np.select(
        [healthy & untreated, diseased & untreated, diseased, healthy],
        ["healthy", "diseased", "treated", "treated_healthy"],
        default="blank",
    )


def _notes(table: pd.DataFrame, roles: Roles, unreadable: tuple[str, ...]) -> list[str]:
    """Say what was decided about these rows that their reader should know."""
    notes = []
    if unreadable:
        notes.append(
            f"{len(unreadable)} SMILES cannot be read (first: {unreadable[0]!r}); "
            "their compounds are known by name only"
        )
    if roles.has_disease:
        named = table["disease_condition"].isin(["", *roles.healthy, *roles.diseased])
        if not named.all():
            others = listing(sorted(table.loc[~named, "disease_condition"].unique()))
            notes.append(
                f"{int((~named).sum()):,} rows have conditions that no role names ({others}); "
                "they are treated as blank"
            )
    off_plate = int((table["row"] < 0).sum())
    if off_plate:
        first = table.loc[table["row"] < 0, "well"].iloc[0]
        notes.append(f"{off_plate:,} rows have a well name that is no address (first: {first!r})")
    return notes


def _check_features(X: Array, ids: pd.Index, features: list[str], origin: str) -> None:
    """Refuse a matrix that does not fit its rows, or holds what is no finite number."""
    if X.ndim != 2 or X.shape[0] != len(ids):
        raise InputError(
            f"{origin}: {len(ids):,} rows of metadata and {X.shape[0]:,} rows of features; "
            "give both the same rows, or a key to join them by"
        )
    if len(features) != X.shape[1] or not features:
        raise InputError(
            f"{origin}: {len(features):,} feature names for {X.shape[1]:,} columns of features; "
            "say under `feature_columns:` which columns are features"
        )
    if len(set(features)) < len(features):
        twice = pd.Index(features)[pd.Index(features).duplicated()][0]
        raise InputError(f"{origin}: feature {twice!r} is there twice; rename or drop one")
    if not np.issubdtype(X.dtype, np.number):
        raise InputError(
            f"{origin}: the features are {X.dtype}, not numbers; say under `feature_columns:` "
            "which columns are features"
        )
    n_rows, bad_features, first = 0, np.zeros(X.shape[1], dtype=bool), None
    for rows, block in row_blocks(X):
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            bad = ~np.isfinite(block.astype(np.float32, copy=False))
        if bad.any():
            n_rows += int(bad.any(axis=1).sum())
            bad_features |= bad.any(axis=0)
            i, j = np.argwhere(bad)[0]
            first = first or (rows.start + int(i), int(j), float(block[i, j]))
    if first is not None:
        row, column, value = first
        raise InputError(
            f"{origin}: feature {features[column]!r} is {value} in row {row + 1} "
            f"(id {ids[row]!r}); {int(bad_features.sum()):,} of {X.shape[1]:,} features and "
            f"{n_rows:,} of {X.shape[0]:,} rows are not finite: set `nonfinite: drop_features` "
            "or `nonfinite: drop_rows` in the run's `screen:` section"
        )


def _check_roles(table: pd.DataFrame, roles: Roles, origin: str) -> None:
    """Refuse roles that contradict each other, or name what the screen does not hold."""
    if roles.healthy and not roles.diseased:
        raise InputError(
            f"{origin}: roles name a healthy condition and no diseased one; add `diseased:`, or "
            "name the negative control under `vehicle:` if the screen has no disease"
        )
    both = sorted(set(roles.healthy) & set(roles.diseased))
    if both:
        raise InputError(f"{origin}: {both[0]!r} is both healthy and diseased; choose one role")
    for role, column in (
        ("healthy", "disease_condition"),
        ("diseased", "disease_condition"),
        ("vehicle", "treatment"),
    ):
        found = table[column].value_counts()
        for value in getattr(roles, role):
            if value not in found.index:
                raise InputError(
                    f"{origin}: roles.{role} names {value!r}, which is not in column {column!r}"
                    f"{did_you_mean(value, found.index)}; found {listing(found.index)}"
                )


def _check_controls(table: pd.DataFrame, roles: Roles, origin: str) -> None:
    """Refuse a screen in which a class of controls is empty."""
    present = set(table["role"])
    for role in roles.controls:
        if role not in present:
            column = "disease_condition" if roles.has_disease else "treatment"
            found = table[column].replace("", "(blank)").value_counts().index
            raise InputError(
                f"{origin}: there are no {role} control wells; {column!r} holds {listing(found)}: "
                f"name the controls under `roles:` ({role}: [...])"
                + (", and names that mean no compound under `vehicle:`" * roles.has_disease)
            )


def _check_references(table: pd.DataFrame, names: pd.DataFrame, roles: Roles, origin: str) -> None:
    known = {*names["compound"].str.casefold(), *table["treatment"].str.casefold()}
    for value in roles.references:
        if value.casefold() not in known:
            raise InputError(
                f"{origin}: roles.references names {value!r}, which is no treatment"
                f"{did_you_mean(value, names['compound'])}; found {listing(names['compound'])}"
            )
