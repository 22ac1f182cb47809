"""Ways to compare expression signatures: a space, a score, and what is done about crowds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata

from screenbook.errors import InputError
from screenbook.expression.connectivity import score_connectivity
from screenbook.expression.spaces import Components, Space, centre_on_treated, learn_components

_NEIGHBOURS = 10
"""Neighbours that a crowded part of the library is known by, as Conneau et al. take."""


_SYMMETRIC = ("cosine", "pearson")
"""Scores that do not tell query from library: for these a crowd in the library can be found."""


@dataclass(frozen=True)
class SignatureRows:
    """Signatures with what choosing a method needs to know of them.

    Attributes
    ----------
    delta : ndarray, shape (n, n_genes)
        Change of expression against matched controls.
    compound : ndarray of str, shape (n,)
        Parent structure.
    batch : ndarray of str, shape (n,)
        Plate and cell line.
    """

    delta: np.ndarray
    compound: np.ndarray
    batch: np.ndarray


@dataclass(frozen=True)
class RetrievalTask:
    """Queries that are to find their compounds in a library.

    Attributes
    ----------
    query, library : SignatureRows
    controls : ndarray, shape (n_controls, n_genes), optional
        What like wells differ by: controls less their plate's mean.
    line : str
        Cell line of all of them, where that is told.
    """

    query: SignatureRows
    library: SignatureRows
    controls: np.ndarray | None = None
    line: str = ""


@dataclass(frozen=True)
class Method:
    """A way to compare signatures: space, score, and what is done about crowds.

    Attributes
    ----------
    space : Space
    score : str
        Name in :data:`screenbook.expression.connectivity.SCORES`.
    centre : bool
        Subtract the mean of the treated wells of each plate first. Of the queries' plate too:
        a single query without its plate cannot be centred.
    local : bool
        Take off each candidate's mean score with its nearest others in the library, so that
        signatures which are near to everything do not answer every query (cross-domain
        similarity local scaling: Conneau et al. 2018, arXiv:1710.04087). Correlations only.
    """

    space: Space = field(default_factory=Space)
    score: str = "cosine"
    centre: bool = False
    local: bool = False

    def __post_init__(self) -> None:
        if self.local and self.score not in (*_SYMMETRIC, "spearman"):
            raise InputError(f"crowds are corrected for correlations, not for {self.score!r}")

    def __str__(self) -> str:
        centred = ", plate-centred" if self.centre else ""
        return f"{self.score} of {self.space}{centred}" + (", crowds corrected" * self.local)


def candidate_methods(*, with_controls: bool = True) -> list[Method]:
    """List the methods to choose from.

    Correlations in every space; scores of gene sets, which weigh genes by themselves, in the
    spaces that keep genes apart. The list was drawn up with two L1000 sets at hand (A375, HT115):
    a choice within it is free of the queries that judge it, the list itself is not free of them.

    Parameters
    ----------
    with_controls : bool
        Include those that learn from control wells.
    """
    turned = [(0, 0.0), (1, 0.0), (3, 0.0), (8, 0.0), (0, 0.5), (0, 1.0)]
    spaces = [Space(scale, *turn) for scale in ("none", "control", "ranks") for turn in turned]
    spaces += [Space("none", 3, 0.0, "control"), Space("none", 0, 1.0, "control")]
    methods = [
        Method(space, score, centre, local)
        for space in spaces
        for score in ("cosine", "spearman")
        for centre in (False, True)
        for local in (False, True)
    ] + [
        Method(Space(scale), score, centre)
        for scale in ("none", "control")
        for score in ("wtcs", "xsum", "xcos", "zhang")
        for centre in (False, True)
    ]
    return [m for m in methods if with_controls or not m.space.needs_controls]


def score_library(
    method: Method,
    query: SignatureRows,
    library: SignatureRows,
    controls: np.ndarray | None = None,
) -> np.ndarray:
    """Compare queries with a library.

    Parameters
    ----------
    method : Method
    query, library : SignatureRows, q and c rows
    controls : ndarray, shape (m, n_genes), optional
        Control wells about the mean of their plate.

    Returns
    -------
    ndarray, shape (q, c)
        Higher is more alike; NaN where a score is undefined.

    Raises
    ------
    InputError
        As :func:`screenbook.expression.spaces.fit_space` and the scores do.
    """
    return Comparison(query, library, controls).scores(method)


def combine_methods(
    methods: Sequence[Method],
    query: SignatureRows,
    library: SignatureRows,
    controls: np.ndarray | None = None,
) -> np.ndarray:
    """Average several methods' scores, each standardised over the candidates of a query.

    Parameters
    ----------
    methods : sequence of Method
    query, library, controls
        As in :func:`score_library`.

    Returns
    -------
    ndarray, shape (q, c)
        In standard deviations above the query's mean candidate. What some methods cannot score
        has the mean of the others; NaN if none can.
    """
    comparison = Comparison(query, library, controls)
    total, known = np.zeros((2, len(query.delta), len(library.delta)))
    for method in methods:
        z = _standardised(comparison.scores(method))
        total += np.nan_to_num(z)
        known += ~np.isnan(z)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


class Comparison:
    """Queries against a library, by many methods: what the last ones shared is kept.

    Parameters
    ----------
    query, library : SignatureRows, q and c rows
    controls : ndarray, shape (m, n_genes), or None
        Control wells about the mean of their plate.
    """

    def __init__(
        self, query: SignatureRows, library: SignatureRows, controls: np.ndarray | None
    ) -> None:
        self.query, self.library, self.controls = query, library, controls
        self._centred: dict[bool, tuple[np.ndarray, np.ndarray]] = {}
        self._components: dict[tuple[bool, str, str], Components] = {}
        self._last: dict[str, tuple[object, tuple[np.ndarray, np.ndarray]]] = {}

    def scores(self, method: Method) -> np.ndarray:
        """Compare by a method, (q, c)."""
        score, crowding = self._scored(method)
        return 2 * score - crowding if method.local else score

    def _scored(self, method: Method) -> tuple[np.ndarray, np.ndarray]:
        key = (method.centre, method.space, method.score)
        if self._last.get("score", (None,))[0] != key:
            q, c = self._pair(method)
            score = method.score
            if score == "spearman":  # ranked once, for the queries and for the crowds
                q, c, score = rankdata(q, axis=1), rankdata(c, axis=1), "pearson"
            crowding = np.zeros(len(c))
            if score in _SYMMETRIC:
                crowding = _crowding(score_connectivity(c, c, score), self.library.compound)
            self._last["score"] = (key, (score_connectivity(q, c, score), crowding))
        return self._last["score"][1]

    def _pair(self, method: Method) -> tuple[np.ndarray, np.ndarray]:
        key = (method.centre, method.space)
        if self._last.get("pair", (None,))[0] != key:
            q, c = self._sides(method.centre)
            space, what = method.space, (method.centre, method.space.scale, method.space.basis)
            if what not in self._components:
                self._components[what] = learn_components(
                    space.scale, space.basis, c, self.controls
                )
            fitted = self._components[what].fit(space)
            self._last["pair"] = (key, (fitted.transform(q), fitted.transform(c)))
        return self._last["pair"][1]

    def _sides(self, centre: bool) -> tuple[np.ndarray, np.ndarray]:
        if centre not in self._centred:
            q, c = (
                centre_on_treated(side.delta, side.batch) if centre else side.delta
                for side in (self.query, self.library)
            )
            self._centred[centre] = (q, c)
        return self._centred[centre]


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Scores of each query less their mean, over their standard deviation; 0 if all are equal."""
    known = ~np.isnan(scores)
    n = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, scores, 0.0).sum(axis=1, keepdims=True) / n
    gap = np.where(known, scores - mean, 0.0)
    spread = np.sqrt((gap**2).sum(axis=1, keepdims=True) / n)
    return np.where(known, gap / np.where(spread > 0, spread, 1.0), np.nan)


def _crowding(scores: np.ndarray, compound: np.ndarray) -> np.ndarray:
    """Mean score of each signature with its nearest others, (c,); its own compound's apart.

    Else a compound with several doses in the library would be held to be in a crowd.
    """
    compound = np.asarray(compound)
    scores = np.where((compound[:, None] == compound) | np.isnan(scores), -np.inf, scores)
    near = -np.sort(-scores, axis=0)[:_NEIGHBOURS]
    there = np.isfinite(near)
    return np.where(there, near, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
