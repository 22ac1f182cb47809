"""What would this structure do to these cells, and which drug does this change come from.

The two questions of report 07 for a user with a structure or a signature in hand, without the
notebook::

    from screenbook.checkpoints import Checkpoints
    from screenbook.expression import load_model, predict, rank_drugs

    model = load_model(Checkpoints("build/simulated/expression_model.pt"))
    predict(model, "CC(=O)Nc1ccc(O)cc1", dose=1.0, basal="SBL-03")
    rank_drugs(model, signature, basal="SBL-03", reverse=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from screenbook.chemistry import parent
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.expression.connectivity import score_connectivity
from screenbook.expression.forward import ForwardModel, ForwardSettings, Scales
from screenbook.expression.forward_net import ForwardNet, NetShape
from screenbook.expression.fusion import Fusion
from screenbook.expression.libraries import asked_conditions, candidates, line_mean
from screenbook.expression.predictor import Predictor
from screenbook.expression.split_study import SplitStudy
from screenbook.expression.training_rows import TrainingRows
from screenbook.fingerprints import morgan_fingerprints
from screenbook.training import History, Keeper, TrainSettings

KNOWN_DRUG = {True: ("pair", "line"), False: ("line", "pair")}
"""Rules to go by for a drug that was profiled: in a line that is known, or not."""

_FORM = 1
_FEWEST = 20  # genes that a signature must share with the model


@dataclass(frozen=True)
class ExpressionModel:
    """Fitted predictions with the drugs they know and the names of their genes.

    Attributes
    ----------
    predictors : dict of str to Predictor
        By what is new, as a rule of :mod:`screenbook.expression.splits`: the pair, the line or
        the structure (``scaffold``, ``drug``). All know the same conditions.
    genes : ndarray of str, shape (n_genes,)
    drugs : DataFrame
        ``compound_key``, ``compound``, ``SMILES``, ``moa``, ``targets``, ``dose`` (the highest that
        it was given at, uM): one row for each drug.
    """

    predictors: dict[str, Predictor]
    genes: np.ndarray
    drugs: pd.DataFrame

    @property
    def train(self) -> TrainingRows:
        """The conditions that all predictions know."""
        return next(iter(self.predictors.values())).train

    def predictor(self, new: Sequence[str]) -> Predictor:
        """Take the prediction that was fitted for the first of these rules that is there."""
        for rule in new:
            if rule in self.predictors:
                return self.predictors[rule]
        return next(iter(self.predictors.values()))


def ship(
    studies: Mapping[str, SplitStudy], everything: Mapping[str, TrainingRows], genes: np.ndarray
) -> ExpressionModel:
    """Make a model of what studies of splits have found, that knows all conditions.

    Weights of the joined baselines, the net and its share stay as they were found and judged;
    the baselines themselves are given the test conditions as well.

    Parameters
    ----------
    studies, everything : mapping of str to SplitStudy, and to TrainingRows
        By rule.
    genes : ndarray of str
    """
    predictors = {
        rule: replace(study.predictor, train=everything[rule]) for rule, study in studies.items()
    }
    train = next(iter(everything.values()))
    drugs = candidates(train.obs, train.obs).drop(columns="profiled")
    return ExpressionModel(predictors, genes, drugs)


def predict(model: ExpressionModel, smiles: str, dose: float, basal: str | pd.Series) -> pd.Series:
    """Predict what a drug does to the expression of a line.

    Parameters
    ----------
    model : ExpressionModel
    smiles : str
        Structure; salts and charges are taken off.
    dose : float
        uM.
    basal : str or Series
        A line that the model knows, or the expression of untreated cells by gene, on the scale
        of the model's profiles.

    Returns
    -------
    Series, shape (n_genes,)
        Expression change by gene.

    Raises
    ------
    InputError
        If the structure cannot be read, the dose is none, the line is not known, or genes are
        missing from `basal`.
    """
    found = parent(smiles)
    if found is None:
        raise InputError(f"SMILES {smiles!r} cannot be read; check it")
    _check_dose(dose)
    line, train = _with_line(model, basal)
    key = found[1]
    seen = key in set(train.obs["compound_key"])
    if key not in train.fingerprints.index:
        added = morgan_fingerprints([key], [found[0]]).bits
        train = replace(train, fingerprints=pd.concat([train.fingerprints, added]))
    new = ("scaffold", "drug") if not seen else KNOWN_DRUG[line in model.train.basal.index]
    asked = asked_conditions(pd.DataFrame({"compound_key": [key], "dose": [dose]}), line)
    change = _with(model.predictor(new), train).predict(asked)[0]
    return pd.Series(change, index=pd.Index(model.genes, name="gene"), name="change")


def rank_drugs(
    model: ExpressionModel,
    signature: pd.Series,
    *,
    basal: str | pd.Series,
    dose: float | None = None,
    reverse: bool = False,
    score: str = "cosine",
) -> pd.DataFrame:
    """Rank the drugs that a model knows by how well what they do matches a signature.

    Both are compared after the mean change of all drugs at their highest doses is taken off; of
    a signature that is to be reversed it is not, since that is a state and no drug made it.

    Parameters
    ----------
    model : ExpressionModel
    signature : Series
        Expression change by gene; genes that the model lacks are passed over.
    basal : str or Series
        As for :func:`predict`.
    dose : float, optional
        uM; by default the highest that each drug was given at.
    reverse : bool
        Look for drugs that undo the signature, as of a disease.
    score : str
        See :data:`screenbook.expression.connectivity.SCORES`.

    Returns
    -------
    DataFrame
        The drugs, best first: ``rank``, ``compound``, ``score``, ``moa``, ``targets``, ``SMILES``,
        ``compound_key``.

    Raises
    ------
    InputError
        If a gene comes twice, a value is not finite, or too few genes are shared.
    """
    line, train = _with_line(model, basal)
    values, known = _matched(model, signature)
    if dose is not None:
        _check_dose(dose)
    drugs = model.drugs if dose is None else model.drugs.assign(dose=dose)
    asked = asked_conditions(drugs, line)
    predictor = model.predictor(KNOWN_DRUG[line in model.train.basal.index])
    library = _with(predictor, train).predict(asked)
    shared = line_mean(train, line)
    wanted = (-values if reverse else values) - (0 if reverse else shared[known])
    scores = score_connectivity(wanted[None], (library - shared)[:, known], score)[0]
    ranked = model.drugs.assign(score=scores).sort_values(
        ["score", "compound"], ascending=[False, True], kind="stable"
    )
    ranked.insert(0, "rank", ranked["score"].rank(ascending=False, method="min").astype("Int64"))
    columns = ["rank", "compound", "score", "moa", "targets", "SMILES", "compound_key"]
    return ranked[columns].reset_index(drop=True)


def save_model(model: ExpressionModel, keeper: Keeper) -> None:
    """Write a model down as numbers and text."""
    train = model.train
    keeper.save(
        {
            "form": _FORM,
            "genes": [str(gene) for gene in model.genes],
            "drugs": _plain(model.drugs),
            "delta": torch.from_numpy(np.asarray(train.delta, dtype=np.float32)),
            "obs": _plain(train.obs[["compound_key", "cell_line", "dose", "moa", "n_cells"]]),
            "bits": _plain_index(train.fingerprints),
            "basal": _plain_index(train.basal),
            "weight": torch.from_numpy(np.array(train.weight, dtype=np.float64)),
            "predictors": {rule: _state(one) for rule, one in model.predictors.items()},
        }
    )


def _state(predictor: Predictor) -> dict[str, Any]:
    net = predictor.net
    return {
        "unit": [str(unit) for unit in predictor.train.unit],
        "fusion": {str(name): float(w) for name, w in predictor.fusion.weights.items()},
        "share": predictor.share,
        "net": net.net.state_dict(),
        "shape": asdict(net.net.shape),
        "settings": asdict(net.settings),
        "basis": torch.from_numpy(net.scales.basis),
        "size": net.scales.size,
        "basal_mean": torch.from_numpy(net.scales.basal_mean),
        "basal_sd": torch.from_numpy(net.scales.basal_sd),
        "tokens": [int(token) for token in net.scales.tokens],
        "lines": list(net.scales.lines),
    }


def load_model(keeper: Keeper) -> ExpressionModel:
    """Read a model that :func:`save_model` wrote.

    Raises
    ------
    InputError
        If there is none, or it is of another version.
    """
    where = getattr(keeper, "path", "model")
    state = keeper.load()
    if state is None:
        raise InputError(f"{where}: there is no model here; run report 07 of the run first")
    if state.get("form") != _FORM:
        raise InputError(f"{where}: a model of another version; run report 07 of the run again")
    genes = np.array(state["genes"], dtype=object)
    train = TrainingRows(
        delta=state["delta"].numpy(),
        obs=pd.DataFrame(state["obs"]),
        fingerprints=_framed(state["bits"]),
        basal=_framed(state["basal"]).set_axis(genes, axis=1),
        weight=state["weight"].numpy(),
        unit=np.full(len(state["delta"]), "", dtype=object),
    )
    predictors = {rule: _restored(one, train) for rule, one in state["predictors"].items()}
    return ExpressionModel(predictors, genes, pd.DataFrame(state["drugs"]))


def _restored(state: dict[str, Any], train: TrainingRows) -> Predictor:
    net = ForwardNet(NetShape(**state["shape"]))
    net.load_state_dict(state["net"])
    settings = dict(state["settings"])
    forward = ForwardModel(
        net=net.eval(),
        settings=ForwardSettings(**settings | {"training": TrainSettings(**settings["training"])}),
        scales=Scales(
            basis=state["basis"].numpy(),
            size=state["size"],
            basal_mean=state["basal_mean"].numpy(),
            basal_sd=state["basal_sd"].numpy(),
            tokens=np.array(state["tokens"]),
            lines=tuple(state["lines"]),
        ),
        fingerprints=train.fingerprints,
        history=History(),
    )
    fusion = Fusion(pd.Series(state["fusion"], name="weight"), np.empty(0))
    rows = replace(train, unit=np.array(state["unit"], dtype=object))
    return Predictor(rows, fusion, forward, state["share"])


def _with(predictor: Predictor, train: TrainingRows) -> Predictor:
    """Let a predictor know the lines and structures of other rows, its own units kept."""
    return replace(predictor, train=replace(train, unit=predictor.train.unit))


def _with_line(model: ExpressionModel, basal: str | pd.Series) -> tuple[str, TrainingRows]:
    """Name the line, and make sure its basal expression is among the rows."""
    train = model.train
    if isinstance(basal, str):
        if basal not in train.basal.index:
            raise InputError(
                f"cell line {basal!r} is not known{did_you_mean(basal, train.basal.index)}; the "
                f"model knows {listing(train.basal.index)}: or give its untreated expression"
            )
        return basal, train
    _refuse_copies(basal, "basal expression")
    row = pd.to_numeric(basal, errors="coerce").reindex(model.genes)
    bad = row.index[~np.isfinite(row.to_numpy(dtype=float))]
    if len(bad):
        raise InputError(
            f"basal expression has no number for gene {bad[0]!r} ({len(bad):,} in all); give all "
            "genes of the model, on the scale of its profiles"
        )
    name = "the line asked for"
    added = pd.DataFrame([row.to_numpy()], index=[name], columns=train.basal.columns)
    return name, replace(train, basal=pd.concat([train.basal, added]))


def _matched(model: ExpressionModel, signature: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Values of the genes that both have, and their positions in the model."""
    _refuse_copies(signature, "signature")
    values = pd.to_numeric(signature, errors="coerce").reindex(model.genes).to_numpy(dtype=float)
    given = np.isin(model.genes, signature.index)
    if (given & ~np.isfinite(values)).any():
        bad = model.genes[given & ~np.isfinite(values)][0]
        raise InputError(f"signature: gene {bad!r} is {signature[bad]!r}; give a finite number")
    if given.sum() < min(_FEWEST, len(model.genes)):
        raise InputError(
            f"signature: {int(given.sum())} of its {len(signature):,} genes are among the model's "
            f"{len(model.genes):,} (such as {listing(model.genes[:3])}); name genes as the model"
        )
    known = np.flatnonzero(given)
    return values[known], known


def _refuse_copies(values: pd.Series, what: str) -> None:
    if values.index.has_duplicates:
        twice = values.index[values.index.duplicated()][0]
        raise InputError(f"{what}: gene {twice!r} is there more than once; drop the copies")


def _check_dose(dose: float) -> None:
    if not (np.isfinite(dose) and dose > 0):
        raise InputError(f"dose {dose} is no dose; give uM above 0")


def _plain(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): table[name].tolist() for name in table}


def _plain_index(table: pd.DataFrame) -> dict[str, Any]:
    values = torch.from_numpy(table.to_numpy(copy=True))
    return {"index": [str(name) for name in table.index], "values": values}


def _framed(state: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(state["values"].numpy(), index=pd.Index(state["index"], dtype=object))
