"""A simulated expression screen in the manner of Tahoe-100M, with a known truth.

Invented drugs in a few uM doses on cell lines that share every well, read out as the mean
expression of each line's cells.

**What a drug does** (:mod:`.biology`, :mod:`.drugs`). A mechanism shuts one programme of genes
down, moves another a little, and changes some genes of its own. A line shows as much of it as it
has that programme running, which its untreated expression and its mutated drivers speak of. Drugs
have potency and strength of their own, and changes beside the mechanism's; many do nothing. At
high doses most stress cells, and all stress looks alike. What is hardly expressed cannot fall.

**What a structure tells.** Each mechanism comes on three scaffolds, and most of its members carry
its functional group. Some drugs stand in a second time as a salt; two have no structure.

**What gets in the way** (:mod:`.screen`). Every dose has plates of its own, and plates differ; one
treatment is on all plates, and some come again on a last plate with all doses, the only place
where dose and plate are not one. Like wells differ, in all lines and in each; cells of a condition
are few where a line grows slowly or a drug kills. How much was set so that replicates of 330 drugs
in one line find each other about as often as in the HT115 plates of L1000 (hit@1 0.11, hit@10 0.28
by plain cosine).
"""

from screenbook.simulate.expression.screen import (
    SCALE,
    VEHICLE,
    SimulatedExpression,
    simulate_expression,
)
from screenbook.simulate.expression.spec import ExpressionSpec

__all__ = ["SCALE", "VEHICLE", "ExpressionSpec", "SimulatedExpression", "simulate_expression"]
