"""Twelve made-up compounds: four mechanisms, each a way of turning biology knobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from screenbook.simulate.images.knobs import Biology, shifted

MECHANISMS: dict[str, dict[str, float]] = {
    "actin inhibitor": {
        **{"actin_fibres": -1.7, "actin_cortex": -0.4, "cell_radius": -0.24},
        **{"cell_ruffle": 0.65, "multinucleate": 1.0},
    },
    "tubulin inhibitor": {
        **{"golgi_dispersal": 2.6, "mitotic": 1.7, "multinucleate": 1.9, "mito_decay": -0.5},
        **{"nucleus_lobes": 1.1, "cell_aspect": -0.25},
    },
    "topoisomerase inhibitor": {
        **{"nucleus_radius": 0.28, "density": -0.45, "cell_radius": 0.16, "mitotic": -1.5},
        **{"chromatin_contrast": 0.55, "nucleoli": -0.6, "nucleolus_radius": 0.3},
    },
    "mitochondrial uncoupler": {
        **{"mito_fragments": 2.3, "mito_grain": -0.3, "mito_decay": 0.5, "er_decay": -0.3},
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
        effects = {k: v * self.strength for k, v in MECHANISMS[self.moa].items()}
        for name, quirk in self.quirks.items():
            effects[name] = effects.get(name, 0.0) + quirk
        return shifted(biology, {k: v * strength for k, v in effects.items()})


_ACTIN, _TUBULIN, _TOPO, _UNCOUPLER = MECHANISMS

COMPOUNDS: tuple[Compound, ...] = (
    Compound("actin-1", _ACTIN, 1.15),
    Compound("actin-2", _ACTIN, 0.9, {"golgi_dispersal": 1.8, "er_decay": -0.35}),
    Compound("actin-3", _ACTIN, 1.0, {"nucleus_radius": -0.22, "chromatin_contrast": 0.5}, 0.75),
    Compound("tubulin-1", _TUBULIN, 1.15),
    Compound("tubulin-2", _TUBULIN, 0.9, {"nucleoli": 0.8, "er_decay": 0.5}),
    Compound("tubulin-3", _TUBULIN, 1.0, {"actin_fibres": 0.8}, 0.75),
    Compound("topo-1", _TOPO, 1.15),
    Compound("topo-2", _TOPO, 0.9, {"nucleolus_contrast": -1.2}),
    Compound("topo-3", _TOPO, 1.0, {"actin_cortex": 0.8}, 0.75),
    Compound("uncoupler-1", _UNCOUPLER, 1.15),
    Compound("uncoupler-2", _UNCOUPLER, 0.9, {"golgi_amount": -1.0}),
    Compound("uncoupler-3", _UNCOUPLER, 1.0, {"chromatin_contrast": 0.6, "er_decay": 0.5}, 0.75),
)
"""Three compounds of each mechanism."""
