"""Tables of hits as notebooks write them, small enough to know every row by heart."""

import numpy as np
import pandas as pd

HOSTILE = "<img src=x onerror=window.hacked=1>"
BOLD = "<b>a</b> & b"
NAMES = ["Alpha", "Beta", "Gamma", HOSTILE, BOLD, "Zeta"]
CALLS = ["rescue", "rescue", "off-axis", "rescue", "no call", "not testable"]
CELL_TYPES = ["renal", "simian"]
DOSES = [0.03, 0.3, 3.0]


def hits():
    """Twelve rows: six compounds in two cell types, Zeta without a q."""
    rows = []
    for c, cell_type in enumerate(CELL_TYPES):
        for i, (name, call) in enumerate(zip(NAMES, CALLS, strict=True)):
            on = 0.1 + 0.15 * i + 0.02 * c
            rows.append(
                {
                    "cell_type": cell_type,
                    "compound": name,
                    "compound_key": f"KEY-{i}",
                    "n_wells": 12 + i,
                    "n_plates": 4,
                    "best_dose": DOSES[i % 3],
                    "on_score": on,
                    "on_low": on - 0.1,
                    "on_high": on + 0.2,
                    "off_score": 1.0 + 0.3 * i,
                    "off_low": 0.9 + 0.3 * i,
                    "off_high": 1.2 + 0.3 * i,
                    "p": 10.0 ** (i - 6),
                    "q": np.nan if call == "not testable" else 10.0 ** (i - 5),
                    "ec50": 0.2 if call == "rescue" else np.nan,
                    "ec50_low": 0.1 if call == "rescue" else np.nan,
                    "ec50_high": 0.5 if call == "rescue" else np.nan,
                    "shape": "bell" if name == "Beta" else "sigmoid",
                    "flags": "off-axis" if name == "Gamma" else "",
                    "call": call,
                    "rank": i + 1,
                }
            )
    return pd.DataFrame(rows)


def treatments():
    """36 rows: a verdict at the best dose, none at the others; q_bulk ten times q."""
    rows = []
    for row in hits().to_dict("records"):
        for dose in DOSES:
            best = dose == row["best_dose"]
            verdict = row["call"] if best or row["call"] == "not testable" else "no call"
            q = row["q"] if best else (np.nan if np.isnan(row["q"]) else 0.6)
            rows.append(row | {"dose": dose, "verdict": verdict, "q": q, "q_bulk": min(1, 10 * q)})
    table = pd.DataFrame(rows).drop(columns=["call", "best_dose"])
    table["flags"] = np.where(table["verdict"] == "off-axis", "off-axis", "")
    return table


def controls():
    rows = [
        (c, role, at - 0.3, at + 0.3, 0.5, 1.5)
        for c in CELL_TYPES
        for role, at in (("healthy", 0.0), ("diseased", 1.0))
    ]
    columns = ["cell_type", "role", "on_low", "on_high", "off_low", "off_high"]
    return pd.DataFrame(rows, columns=columns)


def wells():
    """Two treated wells of every compound, cell type and dose, on a map; controls besides."""
    rows = []
    for i, row in enumerate(treatments().to_dict("records")):
        for k in range(2):
            rows.append(
                {
                    **{key: row[key] for key in ("cell_type", "compound", "dose")},
                    **{"role": "treated", "on_score": row["on_score"] + 0.05 * k},
                    **{"treatment_conc": row["dose"], "x": float(i), "y": float(k)},
                }
            )
    for cell_type in CELL_TYPES:
        for role in ("healthy", "diseased"):
            rows += [
                {"cell_type": cell_type, "compound": "", "role": role, "x": -k, "y": k}
                for k in range(3)
            ]
    table = pd.DataFrame(rows)
    n = len(table)
    return table.assign(experiment="E1", plate="1", well=[f"A{i:02d}" for i in range(n)])


def curves():
    """A curve of 20 points for every compound and cell type."""
    dose = np.geomspace(DOSES[0], DOSES[-1], 20)
    parts = []
    for row in hits().to_dict("records"):
        score = 1 - (1 - row["on_score"]) * dose / (dose + 0.2)
        parts.append(
            pd.DataFrame({"dose": dose, "score": score, "low": score - 0.1, "high": score + 0.1})
            .assign(cell_type=row["cell_type"], compound=row["compound"])
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def searches():
    """Counts that follow wells, scores that follow recovery."""
    table = hits()[["cell_type", "compound", "compound_key", "n_wells", "on_score"]].copy()
    for name in ("knn_pca", "radius_map"):
        table[f"{name}_count"] = table["n_wells"] // 2
        table[f"{name}_score"] = 1 - table["on_score"]
    return table.drop(columns="on_score")


def contrasts():
    """Alpha rescues in both, Beta in renal only, Gamma in neither."""
    return pd.DataFrame(
        {
            "compound": ["Alpha", "Beta", "Gamma"],
            "first": "renal",
            "second": "simian",
            "dose": [0.03, 0.3, 3.0],
            "recovery_first": [0.9, 0.75, 0.1],
            "recovery_second": [0.88, 0.0, np.nan],
            "difference": [0.02, 0.75, np.nan],
            "low": [-0.1, 0.5, np.nan],
            "high": [0.1, 1.0, np.nan],
            "q": [0.8, 0.001, np.nan],
            "finding": ["rescues in both", "rescues in renal only", "no difference shown"],
        }
    )


def classes():
    return pd.DataFrame(
        {
            "cell_type": "renal",
            "class": ["kinase <i>inhibitor</i>", "channel blocker", "ghost"],
            "n_members": [5, 7, 2],
            "auc": [0.9, 0.4, np.nan],
            "auc_low": [0.7, 0.2, np.nan],
            "auc_high": [0.97, 0.6, np.nan],
            "q_score": [0.01, 0.8, np.nan],
            "odds_ratio": [12.0, 0.0, np.inf],
            "odds_low": [2.0, 0.0, 1.0],
            "odds_high": [50.0, 3.0, np.inf],
            "q_hits": [0.02, 1.0, 0.3],
        }
    )
