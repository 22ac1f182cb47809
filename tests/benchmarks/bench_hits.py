"""Hits on screens that nobody looked at: further seeds, and a screen without a rescuer.

Every screen goes through the notebooks as a user would run them, and what report 04 says against
the truth is gathered. Nothing is tuned on these screens. About four minutes a screen.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ("01_explore_screen", "02_center_batches", "03_map_tsne", "04_search_hits")
SCREENS = {
    "seed 1": {"seed": 1},
    "seed 2": {"seed": 2},
    "seed 3": {"seed": 3},
    "seed 5": {"seed": 5},
    "seed 6": {"seed": 6},
    "no rescuer": {
        "seed": 4,
        "n_rescuers": 0,
        "n_selective": 0,
        "reference_classes": ["toxic", "off_axis"],
    },
}
QUICK_MAP = {"n_early": 100, "n_iter": 100, "n_again": 250, "n_queries": 200}
"""The map is only looked at, so it need not be good."""


def run_screen(home, name, options):
    """Run the notebooks on one screen; returns the headline numbers of report 04."""
    run = name.replace(" ", "_")
    settings = {"screen": {"source": "simulated", "shape": "default", **options}}
    settings["03_map_tsne"] = QUICK_MAP
    (home / "params").mkdir(exist_ok=True)
    (home / "params" / f"{run}.yml").write_text(json.dumps(settings), encoding="utf-8")
    env = {**os.environ, "SCREENBOOK_HOME": str(home)}
    for step in (
        ["settings", run],
        ["screen", run],
        *(["run", n, "--run", run] for n in NOTEBOOKS),
    ):
        subprocess.run([sys.executable, "-m", "screenbook", *step], check=True, env=env)
    tables = home / "build" / run / "tables"
    sidecar = json.loads((home / "reports" / run / "04_search_hits.json").read_text("utf-8"))
    hits = pd.read_csv(tables / "hits.tsv", sep="\t")
    truth = pd.read_csv(home / "build" / run / "truth" / "compounds.tsv", sep="\t")
    return sidecar, hits, truth


def main():
    """Print recall, false discoveries, coverage and EC50 for every screen."""
    from screenbook.hits.hits_against_truth import calls_at_levels

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "notebooks").symlink_to(ROOT / "notebooks")
        for name, options in SCREENS.items():
            sidecar, hits, truth = run_screen(home, name, options)
            levels = calls_at_levels(hits, truth, eligible=hits["promised"].notna())
            whole = levels[levels["cell_type"] == "all"].set_index("level")
            row = {"screen": name, "rescuers": int(whole["n_true"].iloc[0])}
            for level, found in whole.iterrows():
                row[f"called q<={level:g}"] = found["n_called"]
                row[f"false q<={level:g}"] = found["n_called"] - found["n_right"]
            row["recall q<=0.1"] = whole.loc[0.1, "recall"]
            row |= {k: v for k, v in sidecar["headline"].items() if k.startswith("truth_")}
            rows.append(row)
            print(pd.DataFrame(rows).T.to_string(), flush=True)


if __name__ == "__main__":
    main()
