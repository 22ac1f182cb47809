"""The notebook of leads on screens that lack what it would like: it says so, and goes on."""

from pathlib import Path

import jupytext
import numpy as np
import pandas as pd

from planted_batches import planted_screen
from planted_hits import planted_hits
from screenbook.hits import hit_tables
from screenbook.hits.calls import Rule
from screenbook.hits.hit_search import search_hits
from screenbook.profiles.batches import cell_type_parts
from screenbook.screen import write_screen

SMALL = {"idle": 14, "rescuer": 4, "poison": 2, "sideways": 2}
NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "09_leads.py"
COLUMNS = ("cell_type", "compound_key", "treatment_conc", "map", "p", "q")


def weigh(home, screen, *, classified=False, **parameters):
    """Write what earlier notebooks leave, run this one in this process, and read its table."""
    parts = cell_type_parts(screen)
    replicates = pd.DataFrame({c: [] for c in COLUMNS}).astype(
        {"cell_type": str, "compound_key": str, "treatment_conc": float}
    )
    nobody = np.zeros(screen.n_obs, dtype=bool)
    search = search_hits(parts, parts, nobody, replicates, Rule(), n_draws=100)
    folder = home / "build" / "odd" / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    wells = hit_tables.well_table(search, parts)
    tables = {
        "hits": hit_tables.hit_table(search, screen.obs),
        "treatments": hit_tables.treatment_table(search),
        "wells_scored": wells,
    }
    if classified:
        tables["classifier_wells"] = wells.assign(
            p_healthy=1 / (1 + np.exp(4 * wells["on_score"] - 2))
        )
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    write_screen(screen, home / "build" / "odd" / "centred.zarr")
    names = {}
    for cell in jupytext.read(NOTEBOOK).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= {"run": "odd", "n_draws": 100, **parameters}
    return pd.read_csv(folder / "leads.tsv", sep="\t")


def test_one_cell_type_without_classifier_and_searches(home, capsys):
    table = weigh(home, planted_hits(classes=SMALL), n_leads=2)
    said = capsys.readouterr().out
    assert table["is_lead"].sum() == 4
    assert table[table["is_lead"]]["compound"].str.startswith("rescuer").all()
    assert table[table["is_lead"]]["rank"].tolist() == [1, 2, 3, 4]
    assert table.loc[table["call"] == "off-axis", "rank"].isna().all()
    assert "Control gate passed" in said
    assert "the on-axis score alone has a vote" in said
    assert said.count("What would change our mind") == 2
    assert "Mechanism not given" in said
    assert "No structure is given" in said
    assert "not simulated" in said
    assert "No reference scores were given" in said


def test_no_rescuer_is_no_lead(home, capsys):
    table = weigh(home, planted_hits(classes={"idle": 18, "poison": 2}), classified=True)
    said = capsys.readouterr().out
    assert not table["is_lead"].any()
    assert table["top_share"].max() < 0.8
    assert "There is no lead" in said
    assert "What would change our mind" not in said
    assert "the on-axis score alone has a vote" not in said


def test_without_a_disease_there_is_nothing_to_rescue(home, capsys):
    table = weigh(home, planted_screen(disease=False))
    said = capsys.readouterr().out
    assert table["rank"].isna().all()
    assert "Control gate failed" in said
    assert "nothing here can be a lead" in said
    assert "are called active" in said
    assert "There is no order of rescuers" in said


def test_reference_scores_are_read_once_and_unknown_names_listed(home, capsys):
    rows = ["compound\tcell_type\tscore", "nobody's drug\t\t0.1"]
    kinds = {"rescuer": 0.9, "idle": 0.0, "poison": -0.7}
    screen = planted_hits(seed=1, classes=SMALL)
    for name in screen.obs["compound"].astype(str).unique():
        if name and name.split()[0] in kinds:
            rows.append(f"{name.upper()}\tRENAL\t{kinds[name.split()[0]]}")
    (home / "scores.tsv").write_text("\n".join(rows) + "\n")
    weigh(home, screen, reference_scores="scores.tsv")
    said = capsys.readouterr().out
    assert "1 rows name what this screen does not have: nobody's drug" in said
    assert "average precision 1.00" in said
