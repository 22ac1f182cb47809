"""Made-up compounds: four mechanisms, each a way of turning biology knobs.

Twelve belong to the default image set. Two more are for questions about single cells: one that
acts on few cells, and one that does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from screenbook.simulate.images.knobs import Biology, shifted

MECHANISMS: dict[str, dict[str, float]] = {
    "actin inhibitor": {
        **{"actin_fibres": -2.2, "actin_cortex": -0.5, "cell_radius": -0.32},
        **{"cell_ruffle": 0.7, "multinucleate": 1.2},
    },
    "tubulin inhibitor": {
        **{"golgi_dispersal": 3.2, "mitotic": 1.7, "multinucleate": 2.2, "mito_decay": -0.7},
        **{"nucleus_lobes": 1.3, "cell_aspect": -0.3},
    },
    "topoisomerase inhibitor": {
        **{"nucleus_radius": 0.42, "density": -0.5, "cell_radius": 0.2, "mitotic": -1.5},
        **{"chromatin_contrast": 0.8, "nucleoli": -0.6, "nucleolus_radius": 0.4},
    },
    "mitochondrial uncoupler": {
        **{"mito_fragments": 2.8, "mito_grain": -0.3, "mito_decay": 0.8, "er_decay": -0.4},
        **{"er_texture": 0.4},
    },
}
"""Effects on log knobs (log odds of shares) of a compound of strength 1."""


@dataclass(frozen=True)
class Compound:
    """A treatment.

    Attributes
    ----------
    name, moa : str
        ``""`` for a compound that has no mechanism and does nothing.
    strength : float
        Factor on the effects of its mechanism.
    quirks : dict of str to float
        Effects of its own, on top.
    responders : float
        Share of cells that it acts on.
    """

    name: str
    moa: str
    strength: float = 1.0
    quirks: dict[str, float] = field(default_factory=dict)
    responders: float = 0.9

    def act_on(self, biology: Biology, strength: float = 1.0) -> dict[str, float]:
        """Knobs of the cells that respond, where `biology` holds those of the others."""
        mechanism = MECHANISMS[self.moa] if self.moa else {}
        effects = {k: v * self.strength for k, v in mechanism.items()}
        for name, quirk in self.quirks.items():
            effects[name] = effects.get(name, 0.0) + quirk
        return shifted(biology, {k: v * strength for k, v in effects.items()})


_ACTIN, _TUBULIN, _TOPO, _UNCOUPLER = MECHANISMS

COMPOUNDS: tuple[Compound, ...] = (
    Compound("actin-1", _ACTIN, 1.15),
    Compound("actin-2", _ACTIN, 0.9, {"golgi_dispersal": 2.8, "er_decay": -0.6}),
    Compound("actin-3", _ACTIN, 1.0, {"nucleus_radius": -0.3, "mito_decay": 0.8}, 0.85),
    Compound("tubulin-1", _TUBULIN, 1.15, {"er_decay": -0.3}),
    Compound("tubulin-2", _TUBULIN, 0.9, {"nucleolus_contrast": 0.8, "er_decay": 0.7}),
    Compound("tubulin-3", _TUBULIN, 1.0, {"actin_fibres": 1.0}, 0.85),
    Compound("topo-1", _TOPO, 1.15),
    Compound("topo-2", _TOPO, 0.9, {"nucleolus_contrast": -1.6, "golgi_amount": 0.6}),
    Compound("topo-3", _TOPO, 1.0, {"actin_cortex": 1.0, "er_decay": -0.5}, 0.85),
    Compound("uncoupler-1", _UNCOUPLER, 1.15),
    Compound("uncoupler-2", _UNCOUPLER, 0.9, {"golgi_amount": -1.5}),
    Compound("uncoupler-3", _UNCOUPLER, 1.0, {"nucleus_radius": -0.22, "er_decay": 0.9}, 0.85),
)
"""Three compounds of each mechanism."""

FOR_CELLS: tuple[Compound, ...] = (
    Compound("actin-1 rare", _ACTIN, 1.15, responders=0.15),
    Compound("inert", "", responders=0.0),
)
"""Compounds beside those: the mechanism of one of them in few cells, and none in any."""

BY_NAME: dict[str, Compound] = {c.name: c for c in (*COMPOUNDS, *FOR_CELLS)}
"""All compounds that a design may hold."""
