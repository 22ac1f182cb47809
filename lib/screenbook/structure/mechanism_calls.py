"""Which mechanism a compound's profile points to, and how sure that is.

A compound ranks all *other* compounds of known mechanism by cosine. A mechanism is called where
its compounds stand together at the top of that ranking, more so than groups of as many random
compounds would (how many mechanisms were tried is paid for), and where the compound is as near to
them as they are to each other. The first alone is not enough: what lies anywhere near a tight
cluster has that cluster at the top, also where its own mechanism is not in the library at all.
How often that still happens is counted by taking each compound's mechanism out.

Average precision: Kalinin et al. 2025, doi:10.1038/s41467-025-60306-2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from screenbook.structure.compound_profiles import CompoundProfiles, unit_rows

N_NEAREST = 3
"""Known compounds that are listed for each."""

_FEWEST = 2  # known compounds of a mechanism that can be named


def call_mechanisms(
    compounds: CompoundProfiles,
    *,
    fdr: float = 0.05,
    without_own: bool = False,
    null_size: int = 9999,
    seed: int = 0,
) -> pd.DataFrame:
    """Name the likeliest mechanism of every compound, its own annotation set aside.

    Parameters
    ----------
    compounds : CompoundProfiles
        Known are those that are active and annotated. A compound whose own mechanism is known
        is asked as if it were not, which shows how far calls can be trusted.
    fdr : float
        Largest q of a call.
    without_own : bool
        Ask every compound as if no compound of its mechanism were known: every call is wrong.
    null_size : int
        Random groups of each size.
    seed : int

    Returns
    -------
    DataFrame
        One row for each compound, unannotated ones first, then by q: ``compound_key compound
        moa active``, ``mechanism`` (the likeliest), ``p`` (Šidák over the mechanisms tried),
        ``q`` (Benjamini-Hochberg over active compounds, annotated and others apart),
        ``support`` (share of the plates on which its likeliest mechanism by that plate alone
        is the same), ``n_plates``, ``nearest`` (known compounds with mechanism and cosine
        distance), ``distance`` (to the nearest of that mechanism), ``reach`` (the largest
        distance of another known compound of that mechanism to the nearest such), ``verdict``
        (``called``: q of `fdr` or less and within reach,
        ``no call``, ``inactive``, ``not testable``: no mechanism has two other known compounds).
    """
    table = compounds.table
    names, moa = (table[c].astype(str).to_numpy() for c in ("compound", "moa"))
    active = table["active"].to_numpy(dtype=bool)
    known = np.flatnonzero(active & (moa != ""))
    cosine = unit_rows(compounds.profiles) @ unit_rows(compounds.profiles[known]).T
    on_plate = unit_rows(compounds.plate_profiles) @ unit_rows(compounds.profiles[known]).T
    owner = compounds.on_plates["compound"].to_numpy()
    mechanisms = moa[known]
    unit = unit_rows(compounds.profiles[known])
    nulls = _Nulls(null_size, seed)
    rows = []
    for i in range(len(table)):
        others = (known != i) & ~(without_own & (mechanisms == moa[i]))
        likeliest, p = _likeliest(cosine[i, others], mechanisms[others], nulls)
        plates = [
            _likeliest(on_plate[s, others], mechanisms[others], nulls)[0] == likeliest
            for s in np.flatnonzero(owner == i)
        ]
        near = _nearest(names[known[others]], mechanisms[others], cosine[i, others], likeliest)
        support = float(np.mean(plates)) if plates else float("nan")
        reach = _reach(unit[others & (mechanisms == likeliest)])
        rows.append((likeliest, p, support, len(plates), *near, reach))
    columns = ["mechanism", "p", "support", "n_plates", "nearest", "distance", "reach"]
    calls = table[["compound_key", "compound", "moa", "active"]].reset_index(drop=True)
    return _verdicts(calls.join(pd.DataFrame(rows, columns=columns)), fdr)


def calls_checked(calls: pd.DataFrame, without_own: pd.DataFrame) -> pd.DataFrame:
    """Count how calls of compounds of known mechanism turned out.

    A compound whose mechanism fewer than two other active compounds share cannot be called
    rightly, and counts all the same: nobody knows beforehand which these are.

    Parameters
    ----------
    calls, without_own : DataFrame
        Of :func:`call_mechanisms`, plain and with `without_own`.

    Returns
    -------
    DataFrame
        Rows *called*, *likeliest, called or not*, and *called though its mechanism is not known*
        (of all that were asked so): ``which n right share``; in the last row ``right`` counts
        calls, which are all wrong.
    """
    asked = calls[calls["active"] & calls["moa"].ne("") & calls["verdict"].ne("not testable")]
    right = asked["mechanism"].eq(asked["moa"])
    called = asked["verdict"].eq("called")
    rows = [
        {"which": name, "n": int(some.sum()), "right": int((right & some).sum())}
        for name, some in (("called", called), ("likeliest, called or not", called | True))
    ]
    lost = without_own[without_own["active"] & without_own["moa"].ne("")]
    lost = lost[lost["verdict"].ne("not testable")]
    n_wrong = int(lost["verdict"].eq("called").sum())
    rows.append(
        {"which": "called though its mechanism is not known", "n": len(lost), "right": n_wrong}
    )
    out = pd.DataFrame(rows)
    return out.assign(share=out["right"] / out["n"].where(out["n"] > 0))


class _Nulls:
    """Average precision of random groups among n candidates, by (n, size of the group)."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._rng = size, np.random.default_rng(seed)
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def p(self, precision: float, n: int, group: int) -> float:
        """Share of random groups that stand as high, (b + 1) / (m + 1)."""
        if (n, group) not in self._kept:
            ranks = np.sort(np.argsort(self._rng.random((self._size, n)), axis=1)[:, :group]) + 1
            self._kept[n, group] = np.sort((np.arange(1, group + 1) / ranks).mean(axis=1))
        null = self._kept[n, group]
        as_good = len(null) - np.searchsorted(null, precision - 1e-12)
        return float((as_good + 1) / (len(null) + 1))


def _likeliest(cosine: np.ndarray, mechanisms: np.ndarray, nulls: _Nulls) -> tuple[str, float]:
    """Find the mechanism with the smallest p, paid for all that were tried."""
    names, sizes = np.unique(mechanisms, return_counts=True)
    names, sizes = names[sizes >= _FEWEST], sizes[sizes >= _FEWEST]
    ranked = mechanisms[np.argsort(-cosine, kind="stable")]
    found = []
    for name, size in zip(names, sizes, strict=True):
        at = np.flatnonzero(ranked == name) + 1
        precision = float((np.arange(1, size + 1) / at).mean())
        p = nulls.p(precision, len(ranked), int(size))
        found.append((1 - (1 - p) ** len(names), -precision, str(name)))
    if not found:
        return "", float("nan")
    p, _, likeliest = min(found)
    return likeliest, p


def _reach(unit: np.ndarray) -> float:
    """Largest distance of a compound to the nearest other one; NaN for fewer than two."""
    if len(unit) < 2:
        return float("nan")
    distance = 1 - unit @ unit.T
    np.fill_diagonal(distance, np.inf)
    return float(distance.min(axis=1).max())


def _nearest(
    names: np.ndarray, mechanisms: np.ndarray, cosine: np.ndarray, mechanism: str
) -> tuple[str, float]:
    """Describe the nearest known compounds, and the distance to the nearest of one mechanism."""
    order = np.argsort(-cosine, kind="stable")[:N_NEAREST]
    words = [f"{names[j]} ({mechanisms[j]}) {1 - cosine[j]:.2f}" for j in order]
    mine = cosine[mechanisms == mechanism]
    return "; ".join(words), float(1 - mine.max()) if len(mine) else float("nan")


def _verdicts(calls: pd.DataFrame, fdr: float) -> pd.DataFrame:
    calls["q"] = np.nan
    asked = calls["active"] & calls["p"].notna()
    for family in (calls["moa"].eq(""), calls["moa"].ne("")):
        some = asked & family
        if some.any():
            calls.loc[some, "q"] = false_discovery_control(calls.loc[some, "p"])
    calls["verdict"] = np.select(
        [
            ~calls["active"],
            calls["p"].isna(),
            (calls["q"] <= fdr) & (calls["distance"] <= calls["reach"]),
        ],
        ["inactive", "not testable", "called"],
        "no call",
    )
    calls.loc[calls["verdict"] == "inactive", "p"] = np.nan
    order = np.lexsort((calls["compound"], calls["q"].fillna(2), calls["moa"].ne("")))
    return calls.iloc[order].reset_index(drop=True)
