"""SMILES as tokens: cut into atoms, bonds and rings, written anew in random order.

One molecule has many SMILES. A net that reads only the canonical one learns the habits of the
algorithm that wrote it; random ones (Bjerrum 2017, arXiv:1703.07076) leave only the molecule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from rdkit import Chem

from screenbook.errors import InputError

PADDING, UNKNOWN = 0, 1
"""Numbers of what fills a short row, and of a token that training did not have."""

_TOKEN = re.compile(r"\[[^\]]+\]|Br|Cl|%\d\d|[A-Za-z]|\d|[-=#$:/\\.()+~*]")


def tokenise(smiles: str) -> list[str]:
    r"""Cut a SMILES string into tokens.

    A bracket atom is one token (``[nH]``, ``[C@@H]``), and so are ``Br``, ``Cl`` and a ring
    number of two digits (``%12``). The cut is that of Schwaller et al. 2019
    (doi:10.1021/acscentsci.9b00576).

    Raises
    ------
    InputError
        If a character belongs to no token.
    """
    tokens = _TOKEN.findall(smiles)
    if "".join(tokens) != smiles:
        rest = next(c for c in _TOKEN.sub("", smiles))
        raise InputError(f"SMILES {smiles!r}: {rest!r} is no part of a SMILES string")
    return tokens


def vocabulary(smiles: Iterable[str]) -> tuple[str, ...]:
    """List the tokens of some strings, sorted."""
    return tuple(sorted({token for text in smiles for token in tokenise(text)}))


def encode(smiles: Sequence[str], tokens: Sequence[str]) -> np.ndarray:
    """Turn strings into numbers of their tokens.

    Parameters
    ----------
    smiles : sequence of str, length n
    tokens : sequence of str
        The vocabulary; its first token is number 2.

    Returns
    -------
    ndarray of int64, shape (n, longest)
        :data:`PADDING` after the end, :data:`UNKNOWN` for what is not in the vocabulary.
    """
    number = {token: i + 2 for i, token in enumerate(tokens)}
    rows = [[number.get(token, UNKNOWN) for token in tokenise(text)] for text in smiles]
    out = np.full((len(rows), max(map(len, rows), default=0)), PADDING)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def written_anew(smiles: Sequence[str], n: int, seed: int) -> list[list[str]]:
    """Write each molecule as `n` SMILES: the one given, and random ones.

    Parameters
    ----------
    smiles : sequence of str
        Readable structures.
    n : int
        Strings of each; a small molecule may have fewer different ones, and some twice.
    seed : int
        The same molecule gets the same strings, wherever it stands in the list.
    """
    return [list(_written(text, n, seed)) for text in smiles]


@lru_cache(maxsize=8192)
def _written(smiles: str, n: int, seed: int) -> tuple[str, ...]:
    mol = Chem.MolFromSmiles(smiles)
    more = Chem.MolToRandomSmilesVect(mol, n - 1, randomSeed=seed + 1) if n > 1 else []
    return (smiles, *more)
