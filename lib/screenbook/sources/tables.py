"""Your own screen: a metadata table and a feature table, or one table with both.

Everything is said in the ``screen:`` section of ``params/<run>.yml``; see
``params/my_screen.yml.example`` for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from screenbook.errors import InputError, did_you_mean, listing
from screenbook.metadata import COLUMNS, check_ids
from screenbook.screen import DERIVED
from screenbook.sources import config
from screenbook.sources.files import AnnDataTable, TextTable, open_table
from screenbook.sources.staging import (
    JOIN,
    NONFINITE,
    Found,
    join_features,
    joined_key,
    take_features,
)

OPTIONS = (
    *("source", "name", "metadata", "features", "key", "join", "layer", "columns", "constants"),
    *("feature_columns", "roles", "level", "dose_unit", "missing", "nonfinite"),
)
"""What the ``screen:`` section takes when its source is ``tables``."""

MICROMOLAR = {"pM": 1e-6, "nM": 1e-3, "uM": 1.0, "µM": 1.0, "mM": 1e3, "M": 1e6}
"""Dose units, in µM."""

_WAYS = ("prefix", "pattern", "all_but", "names")


def find(section: Mapping[str, Any], where: str, scratch: Path) -> Found:
    """Read the tables of a run.

    Parameters
    ----------
    section : mapping
        The ``screen:`` section.
    where : str
        File and section, quoted in errors.
    scratch : Path
        Folder for the staged features.

    Raises
    ------
    InputError
        If an option is unknown or cannot be followed, or the tables do not fit.
    """
    config.check_options(section, OPTIONS, where, required=["metadata"])
    layer = config.text(section, "layer", where) or None
    metadata = open_table(config.path(section, "metadata", where), layer)
    apart = section.get("features") is not None
    table = open_table(config.path(section, "features", where), layer) if apart else metadata
    meta_keys, feature_keys = _keys(section, where, apart)
    metadata.require(meta_keys)
    table.require(feature_keys)
    mapped = {
        name: config.text({name: column}, name, f"{where} columns")
        for name, column in config.mapping(section, "columns", where).items()
    }
    taken = {*feature_keys, *(() if apart else (*meta_keys, *mapped.values(), *COLUMNS))}
    features = choose_features(section, table, taken, where, apart)
    beside = set() if apart else set(features)

    raw = metadata.read_text([c for c in metadata.columns if c not in _own(metadata) | beside])
    if raw.empty:
        raise InputError(f"{metadata.name}: there are no rows; check that the file is complete")
    raw = _blank(raw, config.texts(section, "missing", where))
    notes: list[str] = []
    obs = _name_columns(raw, mapped, section, metadata.name, where, notes)
    if meta_keys:
        ids = pd.Index(joined_key(raw[list(meta_keys)], metadata.name), dtype=object)
        check_ids(ids, metadata.name, "+".join(meta_keys))
        obs.index = ids
    elif isinstance(metadata, AnnDataTable):
        obs.index = pd.Index(raw[AnnDataTable.INDEX], dtype=object)
    if apart:
        join = config.choice(section, "join", JOIN, where, "exact")
        kept, X, note = join_features(
            obs.index, table, feature_keys, features, scratch, origin=metadata.name, join=join
        )
        obs = obs[kept]
        notes += [note] if note else []
    else:
        X = take_features(table, features, len(obs), scratch)
    return Found(
        obs=obs,
        X=X,
        features=list(features),
        roles=config.roles(section, where),
        name=config.text(section, "name", where) or Path(metadata.name).stem,
        origin=metadata.name,
        key="+".join(meta_keys) or "id",
        inputs=list(dict.fromkeys([metadata.path, table.path])),
        notes=notes,
        nonfinite=config.choice(section, "nonfinite", NONFINITE, where, "refuse"),
    )


def choose_features(
    section: Mapping[str, Any],
    table: TextTable | AnnDataTable,
    taken: set[str],
    where: str,
    apart: bool,
) -> list[str]:
    """Name the columns of a table that are features, in their order there.

    Parameters
    ----------
    section, where
        See :func:`find`.
    table : table
        Where the features are.
    taken : set of str
        Columns that are ids or metadata.
    apart : bool
        Whether the table holds nothing but features and ids.
    """
    ways = section.get("feature_columns")
    columns = [c for c in table.columns if c not in taken]
    if ways is None:
        if isinstance(table, AnnDataTable):
            return table.features
        if apart:
            return columns
        raise InputError(
            f"{where}: 'feature_columns' is missing; metadata and features are in one table, so "
            "say which are features: `feature_columns: {prefix: ...}`, `{pattern: ...}` or "
            "`{all_but: Metadata_}`"
        )
    where = f"{where} feature_columns"
    ways = {"names": ways} if isinstance(ways, list) else ways
    ways = config.mapping({"it": ways}, "it", where)
    config.check_options(ways, _WAYS, where)
    if len(ways) != 1:
        raise InputError(f"{where}: give one of {', '.join(_WAYS)}, not {len(ways)}")
    way = next(iter(ways))
    values = config.texts(ways, way, where)
    if way == "names":
        table.require(values)
        chosen = list(values)
    elif way == "prefix":
        chosen = [c for c in columns if c.startswith(values)]
    elif way == "all_but":
        chosen = [c for c in columns if not c.startswith(values)]
    else:
        chosen = [c for c in columns if any(_regex(v, where).search(c) for v in values)]
    if not chosen:
        raise InputError(
            f"{where}: no column of {table.name} fits {way} {listing(values)}; "
            f"found {listing(columns)}"
        )
    return chosen


def _regex(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"{where}: pattern {pattern!r} is no regular expression: {error}"
        ) from None


def _own(table: TextTable | AnnDataTable) -> set[str]:
    """Columns that an AnnData knows to be features."""
    return set(table.features) if isinstance(table, AnnDataTable) else set()


def _keys(
    section: Mapping[str, Any], where: str, apart: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Id columns in the metadata and in the feature table."""
    given = section.get("key")
    if given is None:
        if apart:
            raise InputError(
                f"{where}: 'key' is missing; name the id column that both tables share, or "
                "`key: {metadata: ..., features: ...}` if it has two names"
            )
        return (), ()
    if not isinstance(given, dict):
        keys = config.texts(section, "key", where)
        return keys, keys if apart else ()
    where = f"{where} key"
    config.check_options(given, ("metadata", "features"), where, ("metadata", "features"))
    meta, features = (config.texts(given, side, where) for side in ("metadata", "features"))
    if len(meta) != len(features):
        raise InputError(f"{where}: {len(meta)} columns of one table and {len(features)} of other")
    return meta, features


def _name_columns(
    raw: pd.DataFrame,
    mapped: Mapping[str, str],
    section: Mapping[str, Any],
    origin: str,
    where: str,
    notes: list[str],
) -> pd.DataFrame:
    """Bring the user's columns under the fixed names."""
    known = (*COLUMNS, "moa")
    for name, column in mapped.items():
        if name not in known:
            raise InputError(
                f"{where} columns: {name!r} is no column of a screen{did_you_mean(name, known)}; "
                f"name any of {', '.join(known)} (other columns keep their own names)"
            )
        if column not in raw:
            raise InputError(
                f"{origin}: there is no column {column!r}, which `columns:` gives for {name!r}"
                f"{did_you_mean(column, raw.columns)}; found {listing(raw.columns)}"
            )
    obs = raw.drop(columns=[c for c in mapped.values() if c not in mapped])
    clashes = {c: f"{c}_given" for c in obs if c in DERIVED}
    if clashes:
        notes.append(
            f"columns {listing(clashes)} of {origin} are kept as {listing(clashes.values())}"
        )
    obs = obs.rename(columns=clashes).assign(**{name: raw[c] for name, c in mapped.items()})
    for name, value in config.mapping(section, "constants", where).items():
        if name in obs:
            raise InputError(
                f"{where} constants: {name!r} is a column of {origin} already; drop one of them"
            )
        if name not in known:
            raise InputError(
                f"{where} constants: {name!r} is no column of a screen{did_you_mean(name, known)}"
            )
        obs[name] = config.text({name: value}, name, f"{where} constants")
    level = config.choice(section, "level", ("auto", "site", "well"), where, "auto")
    if level == "well":
        obs["site"] = "0"
    elif level == "site" and "site" not in obs:
        raise InputError(f"{where}: level is 'site' and there is no column 'site'; map one")
    factor = MICROMOLAR[config.choice(section, "dose_unit", list(MICROMOLAR), where, "uM")]
    if factor != 1.0 and "treatment_conc" in obs:
        obs["treatment_conc"] = _in_micromolar(obs["treatment_conc"], factor)
    return obs


def _blank(raw: pd.DataFrame, missing: tuple[str, ...]) -> pd.DataFrame:
    """Empty the cells that hold a file's own code for *not given*, such as -666."""
    if not missing:
        return raw
    codes = pd.to_numeric(pd.Series(missing), errors="coerce").dropna()

    def is_code(column: pd.Series) -> pd.Series:
        # A code may be written -666 in the params and -666.0 in the table.
        return column.isin(missing) | pd.to_numeric(column, errors="coerce").isin(codes)

    return raw.mask(raw.apply(is_code), "")


def _in_micromolar(dose: pd.Series, factor: float) -> pd.Series:
    """Convert what reads as a number; the rest is left for the check that names its row."""
    number = pd.to_numeric(dose, errors="coerce") * factor
    # Six digits, so that 30 nM becomes 0.03 and not 0.030000000000000002.
    return dose.where(~np.isfinite(number), number.map("{:.6g}".format))
