"""The first notebook on screens that lack what it would like: it says so, and goes on."""

from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "01_explore_screen.py"

PARAMS = """\
screen:
  source: tables
  metadata: screen.csv
  feature_columns: {{prefix: f}}
  roles: {roles}
"""


def explore(home, table, roles):
    """Run the notebook's code in this process; what it shows is printed."""
    table.to_csv(home / "screen.csv", index=False)
    (home / "params" / "odd.yml").write_text(PARAMS.format(roles=roles), encoding="utf-8")
    names = {}
    for cell in jupytext.read(NOTEBOOK).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= {"run": "odd", "n_permutations": 19}
    folder = home / "build" / "odd" / "tables"
    return {path.stem: pd.read_csv(path, sep="\t") for path in folder.glob("*.tsv")}


def features(n, seed=0):
    values = np.random.default_rng(seed).normal(size=(n, 6))
    return pd.DataFrame(values, columns=[f"f{i}" for i in range(6)])


def test_one_plate_without_addresses_doses_and_structures(home, capsys):
    number = np.arange(40)
    table = pd.DataFrame(
        {
            "cell_type": "c",
            "experiment": "e",
            "plate": "p",
            "well": [f"spot {i}" for i in number],
            "disease_condition": np.where(number < 10, "ok", "sick"),
            "treatment": ["" if i < 20 else f"d{i % 7}" for i in number],
        }
    )
    written = explore(home, table.join(features(40)), "{healthy: [ok], diseased: [sick]}")
    said = capsys.readouterr().out
    assert written["plates"]["verdict"].tolist() == ["flag"]
    assert "no other plate" in written["plates"]["reason"][0]
    assert written["positions"].empty
    assert "Control gate failed" in said
    assert "no sites to compare" in said
    assert "not simulated" in said


def test_no_disease_one_cell_type_on_one_plate_and_rows_that_are_there_twice(home, capsys):
    rows = [
        (cell_type, f"e{cell_type}", plate, f"{'ABC'[i // 4]}{i % 4 + 1:02d}", i)
        for cell_type, plate in (("x", "1"), ("x", "2"), ("y", "1"))
        for i in range(12)
    ]
    table = pd.DataFrame(rows, columns=["cell_type", "experiment", "plate", "well", "i"])
    table["treatment"] = ["DMSO" if i < 3 else "" if i == 11 else f"d{i % 4}" for i in table["i"]]
    table["SMILES"] = np.where(table["treatment"] == "d1", "no structure", "")
    table = table.join(features(len(table)))
    table.loc[7, "f0":] = table.loc[3, "f0":]
    table["f5"] = 1.0
    written = explore(home, table.drop(columns="i"), "{vehicle: [DMSO]}")
    said = capsys.readouterr().out
    assert set(written["plates"]["verdict"]) == {"flag"}  # three vehicle wells are too few
    assert written["plates"]["z_prime"].isna().all()
    assert written["positions"].query("cell_type == 'y' and score == 'distance'").empty
    assert "2 their features with another row" in said
    assert "no structure that can be read" in said


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_controls_that_do_not_differ_fail_the_gate(home, capsys, noise):
    number = np.arange(240)
    table = pd.DataFrame(
        {
            "cell_type": "c",
            "experiment": "e",
            "plate": (number // 60).astype(str),
            "well": [f"{'ABCDE'[i % 60 // 12]}{i % 12 + 1:02d}" for i in number],
            "disease_condition": np.where(number % 60 < 20, "ok", "sick"),
            "treatment": ["" if i % 60 < 40 else f"d{i % 5}" for i in number],
        }
    )
    values = features(240, seed=3)
    values["f0"] += (1 - noise) * 5 * (number % 60 >= 20)
    written = explore(home, table.join(values), "{healthy: [ok], diseased: [sick]}")
    passed = "Control gate passed" in capsys.readouterr().out
    assert passed == (noise == 0)
    assert (written["plates"]["verdict"] == "keep").mean() == (1 if passed else 0)
