"""Do the tests of structure hold their level, and what do they find? 200 plantings of each kind.

Structures and mechanisms are those of simulated libraries, in which a mechanism has a scaffold of
its own; phenotypes are planted on them (screenbook.structure.planted). The last table is of a
library whose tie of mechanism to scaffold is cut.

    python tests/benchmarks/bench_structure.py            34, 100 and 300 compounds, some minutes
    python tests/benchmarks/bench_structure.py 34         these numbers of compounds alone
"""

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.stats import binom

SIZES = (34, 100, 300)
N_PLANTINGS = 200
DIALS = (0.25, 0.5, 1.0, 2.0)


def library(n, tie=1.0):
    """Compounds of a simulated library, without profiles of their own."""
    from screenbook.simulate import screen_spec
    from screenbook.simulate.compounds import build_library
    from screenbook.structure.similarity import compound_set

    spec = screen_spec(n_compounds=max(n, 120), scaffold_tie=tie)
    table = build_library(spec, np.random.default_rng(0)).iloc[:n]
    columns = (table[name] for name in ("compound", "smiles", "moa"))
    return compound_set(*columns, np.ones((n, 2)))


def measure(n, tie=1.0, dials=DIALS):
    """Count rejections; a row for each test, a column for each null and dial."""
    from screenbook.structure.planted import Planting, rejection_rates
    from screenbook.threads import cores

    compounds = library(n, tie)
    planting = Planting(dials=dials, n_plantings=N_PLANTINGS)
    table = rejection_rates(compounds, planting, jobs=cores())
    names = table["scenario"].where(table["dial"] == 0, table["dial"].map("dial {:g}".format))
    scope = np.where(table["beyond"], "beyond", "any")
    return table.assign(name=names, scope=scope)


def show(table):
    """Print rates, marking those of nulls that lie outside the binomial interval of 5 %."""
    low, high = (end / N_PLANTINGS for end in binom.interval(0.95, N_PLANTINGS, 0.05))
    rate, null = table["rejected"], table["holds"]
    mark = np.select([null & (rate > high), null & (rate < low)], ["+", "-"], " ")
    text = rate.map("{:.3f}".format) + mark
    wide = table.assign(text=text).pivot_table(
        index=["scope", "test"], columns="name", values="text", aggfunc="first", sort=False
    )
    print(wide.to_string())
    print(f"+, - above or below {low:.3f} to {high:.3f}, 95 % of binomial draws at 5 %", flush=True)


def main(sizes):
    """Print a table for every number of compounds, and one without a tie."""
    with pd.option_context("display.width", 200):
        for n, tie in [*((n, 1.0) for n in sizes), (sizes[0], 0.0)]:
            start = time.monotonic()
            table = measure(n, tie)
            print(f"\n{n} compounds, tie {tie:g}, {N_PLANTINGS} plantings of each", end=", ")
            print(f"{time.monotonic() - start:.0f} s")
            show(table)


if __name__ == "__main__":
    main(tuple(int(n) for n in sys.argv[1:]) or SIZES)
