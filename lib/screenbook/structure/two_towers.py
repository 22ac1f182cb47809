"""Learn which structure a profile belongs to: training and use of the two towers.

The loss finds the structure of each profile among those of the batch, and back (CLIP: Radford
et al. 2021, arXiv:2103.00020; for cell images CLOOME: Sanchez-Fernandez et al. 2023,
doi:10.1038/s41467-023-42328-w). A batch may hold several doses or wells of a compound: each is
drawn to the one structure, and none is a negative of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from screenbook.contrastive import contrast
from screenbook.errors import InputError, did_you_mean, listing
from screenbook.fingerprints import morgan_fingerprints
from screenbook.structure.smiles_tokens import encode, vocabulary, written_anew
from screenbook.structure.tower_nets import FingerprintTower, SmilesTower, TowerShape, TwoTowers
from screenbook.training import (
    History,
    Step,
    TrainSettings,
    epoch_rows,
    fixed_seed,
    torch_threads,
    train,
)

ENCODERS = {
    "fingerprint": "Morgan fingerprint, perceptron",
    "smiles": "SMILES string, convolutions",
}
"""How a structure is read, and by what."""


@dataclass(frozen=True)
class TowerSettings:
    """How two towers are trained.

    Attributes
    ----------
    shape : TowerShape
    batch_size : int
        Profiles of a step.
    n_written : int
        SMILES strings of each compound: the canonical one and random ones. In training one is
        drawn at each step; when asked, the places of all are averaged.
    n_steps, n_passes : dict of str to int
        For each encoder: steps at least, and how often it sees every profile at least.
    training : TrainSettings
        All but its `n_steps`.
    """

    shape: TowerShape = field(default_factory=TowerShape)
    batch_size: int = 64
    n_written: int = 8
    n_steps: dict[str, int] = field(default_factory=lambda: {"fingerprint": 40, "smiles": 100})
    n_passes: dict[str, int] = field(default_factory=lambda: {"fingerprint": 4, "smiles": 10})
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            learning_rate=1e-2, warmup_steps=10, weight_decay=0.2, clip=1.0
        )
    )


@dataclass(frozen=True)
class _Reader:
    """What a tower is given of a structure, settled on training compounds.

    Attributes
    ----------
    encoder : str
    bits : ndarray of bool, shape (n_bits,)
        Those that some training compounds have and some have not: others teach nothing.
    tokens : tuple of str
        Vocabulary of the SMILES strings of training compounds.
    n_written : int
    seed : int
    """

    encoder: str
    bits: np.ndarray
    tokens: tuple[str, ...]
    n_written: int
    seed: int

    def forms(self, smiles: Sequence[str]) -> torch.Tensor:
        """Give all forms of structures, (n, n_forms, bits or length)."""
        if self.encoder == "fingerprint":
            return torch.from_numpy(_bits(smiles)[:, self.bits])[:, None]
        written = written_anew(smiles, self.n_written, self.seed)
        flat = encode([text for forms in written for text in forms], self.tokens)
        return torch.from_numpy(flat).reshape(len(smiles), self.n_written, flat.shape[1])


@dataclass(frozen=True)
class TowerModel:
    """Trained towers with all they need to be asked.

    Attributes
    ----------
    net : TwoTowers
        On the CPU, in eval mode.
    reader : object
        What turns structures into input.
    scale : float
        Root mean square of the training profiles. One for all axes: those that vary little are
        mostly noise, and to scale each by itself would raise it.
    history : History
    """

    net: TwoTowers
    reader: _Reader
    scale: float
    history: History

    def see(self, points: np.ndarray) -> np.ndarray:
        """Place profiles, (n, k) to unit rows (n, n_space)."""
        with torch_threads(1), torch.no_grad():
            return np.asarray(self.net.see(_scaled(points, self.scale)).numpy())

    def read(self, smiles: Sequence[str]) -> np.ndarray:
        """Place readable structures, canonical SMILES of parents, as unit rows (n, n_space)."""
        forms = self.reader.forms(smiles)
        with torch_threads(1), torch.no_grad():
            n, m = forms.shape[:2]
            places = self.net.read(forms.reshape(n * m, -1)).reshape(n, m, -1).mean(dim=1)
            return np.asarray(torch.nn.functional.normalize(places, dim=1).numpy())


def train_towers(
    points: np.ndarray,
    compound: np.ndarray,
    smiles: Sequence[str],
    encoder: str,
    settings: TowerSettings | None = None,
) -> TowerModel:
    """Train a tower of profiles and one of structures.

    Parameters
    ----------
    points : ndarray, shape (n, k)
        Training profiles.
    compound : ndarray of int, shape (n,)
        Row of `smiles` that each is of.
    smiles : sequence of str
        Canonical SMILES of parents; those without a training profile are not looked at.
    encoder : {"fingerprint", "smiles"}
        Key of :data:`ENCODERS`.
    settings : TowerSettings, optional

    Returns
    -------
    TowerModel

    Raises
    ------
    InputError
        If the encoder is unknown, or all training structures are alike.
    """
    settings = settings or TowerSettings()
    if encoder not in ENCODERS:
        raise InputError(
            f"structure encoder {encoder!r} is none of {listing(ENCODERS)}"
            f"{did_you_mean(encoder, ENCODERS)}"
        )
    kept, code = np.unique(compound, return_inverse=True)
    texts, seed = [smiles[i] for i in kept], settings.training.seed
    reader = _new_reader(texts, encoder, settings)
    forms = reader.forms(texts)
    scale = max(float(np.sqrt(np.square(points, dtype=np.float64).mean())), 1e-12)
    x, which = _scaled(points, scale), torch.from_numpy(code)
    net = _new_net(points.shape[1], reader, settings)

    def loss_of(step: Step) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        rows = torch.from_numpy(epoch_rows(len(x), settings.batch_size, step.number, seed))
        there, at = which[rows].unique(return_inverse=True)
        drawn = torch.randint(forms.shape[1], (len(there),), generator=step.draws)
        placed = net.read(forms[there, drawn].to(step.device))[at]
        alike = (at[:, None] == at[None]).to(step.device)
        seen, weight = net.see(x[rows].to(step.device)), torch.ones(len(rows), device=step.device)
        loss = contrast(seen, placed, alike, weight, net.temperature)
        return loss, {"temperature": net.temperature.detach()}

    passes = settings.n_passes[encoder] * len(x) // settings.batch_size
    training = replace(settings.training, n_steps=max(settings.n_steps[encoder], passes))
    history = train(net, loss_of, training)
    return TowerModel(net.cpu(), reader, scale, history)


def _scaled(points: np.ndarray, scale: float) -> torch.Tensor:
    return torch.from_numpy(np.asarray(points / scale, dtype=np.float32))


def _new_reader(smiles: Sequence[str], encoder: str, settings: TowerSettings) -> _Reader:
    if len(set(smiles)) < 2:
        raise InputError("two towers: all training structures are alike; there is nothing to learn")
    seed, bits, tokens = settings.training.seed, np.zeros(0, dtype=bool), tuple[str, ...]()
    if encoder == "smiles":
        written = written_anew(smiles, settings.n_written, seed)
        tokens = vocabulary(text for forms in written for text in forms)
    else:
        known = _bits(smiles)
        differ = known.any(axis=0) & (known < 1).any(axis=0)
        bits = np.asarray(differ if differ.any() else known.any(axis=0))
    return _Reader(encoder, bits, tokens, settings.n_written, seed)


def _bits(smiles: Sequence[str]) -> np.ndarray:
    return morgan_fingerprints(map(str, range(len(smiles))), smiles).bits.to_numpy()


def _new_net(n_features: int, reader: _Reader, settings: TowerSettings) -> TwoTowers:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fixed_seed(settings.training.seed, 8))
        tower: torch.nn.Module
        if reader.encoder == "fingerprint":
            tower = FingerprintTower(int(reader.bits.sum()), settings.shape)
        else:
            tower = SmilesTower(len(reader.tokens), settings.shape)
        return TwoTowers(n_features, tower, settings.shape)
