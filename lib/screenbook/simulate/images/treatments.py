"""Twelve made-up compounds: four mechanisms, each a way of turning biology knobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from screenbook.simulate.images.knobs import Biology, shifted

MECHANISMS: dict[str, dict[str, float]] = {
    "actin inhibitor": {
        **{"actin_fibres": -1.3, "actin_cortex": -0.3, "cell_radius": -0.18},
        **{"cell_ruffle": 0.5, "multinucleate": 0.8},
    },
    "tubulin inhibitor": {
        **{"golgi_dispersal": 2.2, "mitotic": 1.5, "multinucleate": 1.6, "mito_decay": -0.4},
        **{"nucleus_lobes": 0.9, "cell_aspect": -0.2},
    },
    "topoisomerase inhibitor": {
        **{"nucleus_radius": 0.20, "density": -0.35, "cell_radius": 0.12, "mitotic": -1.5},
        **{"chromatin_contrast": 0.4, "nucleoli": -0.4, "nucleolus_radius": 0.25},
    },
    "mitochondrial uncoupler": {
        **{"mito_fragments": 1.9, "mito_grain": -0.25, "mito_decay": 0.4, "er_decay": -0.2},
        **{"er_texture": 0.3},
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


COMPOUNDS: tuple[Compound, ...] = (
    Compound("actin-1", "actin inhibitor", 1.0),
    Compound("actin-2", "actin inhibitor", 0.8, {"golgi_dispersal": 1.0, "er_decay": -0.25}),
    Compound("actin-3", "actin inhibitor", 1.0, {"nucleus_radius": -0.12}, 0.7),
    Compound("tubulin-1", "tubulin inhibitor", 1.0),
    Compound("tubulin-2", "tubulin inhibitor", 0.8, {"density": -0.3, "nucleoli": 0.5}),
    Compound("tubulin-3", "tubulin inhibitor", 1.0, {"actin_fibres": 0.6}, 0.7),
    Compound("topo-1", "topoisomerase inhibitor", 1.0),
    Compound("topo-2", "topoisomerase inhibitor", 0.8, {"nucleolus_contrast": -0.5}),
    Compound("topo-3", "topoisomerase inhibitor", 1.0, {"actin_cortex": 0.5}, 0.7),
    Compound("uncoupler-1", "mitochondrial uncoupler", 1.0),
    Compound("uncoupler-2", "mitochondrial uncoupler", 0.8, {"golgi_amount": -0.5}),
    Compound("uncoupler-3", "mitochondrial uncoupler", 1.0, {"chromatin_contrast": 0.35}, 0.7),
)
"""Three compounds of each mechanism."""
