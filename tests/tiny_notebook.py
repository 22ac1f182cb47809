"""A notebook of four cells that does what its parameter says, for tests of the driver."""

# The kernel's name is ipykernel's own: JupyterLab writes it, and a saved file is to stay as it was.
HEADER = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---
"""

BODY = """
# %% [markdown]
# # {number} A tiny report
#
# **Question.** How many rows
# are there?
#
# **Reads** `params`. **Writes** `tables/rows_{number}.tsv`.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
k: int = 3  # rows of the table [1..10]
mode: str = "good"  # how it ends {{good|no_table|bad_gate|input|error|die|slow}}

# %% tags=["setup"]
import os
import sys
import time

import pandas as pd
import plotly.graph_objects as go

from screenbook.errors import InputError
from screenbook.paths import params_file
from screenbook.report import answer, gate, headline, reads, save_table, show

# %%
reads(params_file(run))
print("a warning", file=sys.stderr)
os.write(2, b"straight to stderr\\n")
show(go.Figure(go.Scatter(x=[0, 1], y=[0, k])), "A line. It rises.", thumbnail=True)
if mode != "no_table":
    thirds = pd.DataFrame({{"row": range(k), "third": [i / 3 for i in range(k)], "name": "x"}})
    columns = {{"row": "number of the row", "third": "a third of it", "name": "text"}}
    save_table(thirds, run, "rows_{number}", columns)

# %%
if mode == "input":
    raise InputError("rows.csv, column 'a', row 3 is empty: fill it")
if mode == "error":
    raise ValueError("boom\\non two lines")
if mode == "die":
    os._exit(9)
if mode == "slow":
    time.sleep(60)
headline(rows=k, last=k - 1)
gate(mode != "bad_gate", "The controls are what they are.")
answer(f"There are {{k}} rows.")
"""


def write_tiny_notebook(home, number="01"):
    """Write ``notebooks/NN_tiny.py`` and return its path."""
    path = home / "notebooks" / f"{number}_tiny.py"
    path.write_text(HEADER + BODY.format(number=number), encoding="utf-8")
    return path
