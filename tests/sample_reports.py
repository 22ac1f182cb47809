"""A report such as the notebooks make, put together without running a kernel.

The functions of ``screenbook.report`` are called as in a notebook; what they would display is
caught and placed into cells. Some names are hostile on purpose: they are what a data file could
bring along.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from screenbook import report
from screenbook.figures.palette import ROLE_COLOURS, style

# `screenbook.report.show` is the function; the module behind it has the same name.
show_module = importlib.import_module("screenbook.report.show")

HOSTILE = [
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "[click](javascript:window.hacked=1)",
    '=HYPERLINK("http://evil.example","x")',
    "+1-2",
    'quote " and, comma',
    "line\u2028separator & <b>bold</b>",
]
N_COMPOUNDS = 60
BENIGN = [f"SIM-{i:03d}" for i in range(N_COMPOUNDS - len(HOSTILE))]
COMPOUNDS = BENIGN + HOSTILE
ALIAS = "Altername-7"  # another name of SIM-007


@contextmanager
def caught() -> Iterator[list[dict[str, Any]]]:
    """Collect the outputs that report functions display."""
    outputs: list[dict[str, Any]] = []
    emit = show_module._emit

    def catch(spec: dict[str, Any], live: dict[str, Any]) -> None:
        data = json.loads(json.dumps({show_module.MIME: spec, **live}))
        outputs.append(new_output("display_data", data))

    show_module._emit = catch
    try:
        yield outputs
    finally:
        show_module._emit = emit


def cell(source: str, *calls: Callable[[], Any], tags: tuple[str, ...] = ()) -> Any:
    """Make a code cell with the outputs of `calls`."""
    with caught() as outputs:
        for call in calls:
            call()
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def wells(n: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """Points of a map, a compound and a role for each."""
    rng = np.random.default_rng(seed)
    role = rng.choice(["healthy", "diseased", "treated"], n, p=[0.15, 0.15, 0.7])
    shift = pd.Series({"healthy": 3.0, "diseased": -3.0, "treated": -1.5})[role].to_numpy()
    compound = np.where(role == "treated", rng.choice(COMPOUNDS, n), "")
    x, y = rng.normal(shift, 1.0), rng.normal(0, 1.4, n)
    return pd.DataFrame({"x": x, "y": y, "role": role, "compound": compound})


def map_figure(frame: pd.DataFrame) -> go.Figure:
    """Draw a map of wells, in WebGL, as notebook 03 does."""
    figure = go.Figure()
    for role, part in frame.groupby("role"):
        figure.add_scattergl(
            x=part["x"],
            y=part["y"],
            mode="markers",
            name=role,
            marker={"size": 5, "color": ROLE_COLOURS[role], "opacity": 0.7},
            customdata=part[["compound", "role"]].to_numpy(),
            meta="compound",
            hovertemplate="%{customdata[0]}<extra>%{customdata[1]}</extra>",
        )
    title = "Healthy and diseased wells lie apart; treated wells lie between them and reach over"
    return style(
        figure, title=title, subtitle="wells of one cell type, n = 3,000", x="t-SNE 1", y="t-SNE 2"
    )


def plate_figure(seed: int = 1) -> go.Figure:
    """Draw a plate as a heatmap, compounds on its wells."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1, (16, 24)) + np.linspace(-1, 1, 24)
    z[3, 4] = np.nan
    figure = go.Figure(
        go.Heatmap(
            z=z,
            x=list(range(1, 25)),
            y=list("ABCDEFGHIJKLMNOP"),
            colorscale="Cividis",
            customdata=rng.choice(COMPOUNDS, (16, 24))[..., None].tolist(),
            meta="compound",
            colorbar={"title": "score"},
            hovertemplate="%{customdata[0]}<br>%{y}%{x}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return style(figure, title="The plate has a gradient from left to right", x="column", y="row")


def dose_figure(seed: int = 2) -> go.Figure:
    """Draw dose curves, a line for each compound."""
    rng = np.random.default_rng(seed)
    dose = np.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
    figure = go.Figure()
    for compound in COMPOUNDS[:6]:
        ec50 = 10 ** rng.uniform(-1.5, 0.5)
        figure.add_scatter(
            x=dose,
            y=1 - dose / (dose + ec50) + rng.normal(0, 0.03, 6),
            mode="lines+markers",
            name=compound,
            customdata=[[compound]] * 6,
            meta="compound",
        )
    figure.update_xaxes(type="log")
    return style(figure, title="Six compounds rescue with dose", x="dose (µM)", y="on-axis score")


def quality_figure(seed: int = 3) -> go.Figure:
    """Draw bars and boxes: no compounds, plotly's own template."""
    rng = np.random.default_rng(seed)
    figure = go.Figure()
    for plate in range(1, 7):
        figure.add_box(y=rng.normal(plate / 5, 1, 60), name=f"plate {plate}")
    return figure.update_layout(title="Plates differ in level", yaxis_title="intensity (a.u.)")


def hit_table(seed: int = 4) -> pd.DataFrame:
    """Rank compounds, with the kinds of column that tables meet."""
    rng = np.random.default_rng(seed)
    n = len(COMPOUNDS)
    q = 10.0 ** rng.uniform(-9, 0, n)
    return pd.DataFrame(
        {
            "compound": COMPOUNDS,
            "aliases": ["" if name != "SIM-007" else f"{ALIAS}; other" for name in COMPOUNDS],
            "dose": rng.choice([0.01, 0.1, 1.0, 10.0], n),
            "wells": rng.integers(4, 5_000, n),
            "on_axis": np.where(np.arange(n) == 5, np.nan, rng.normal(0.4, 0.3, n)),
            "q": q,
            "hit": q < 0.01,
            "mechanism": rng.choice(["kinase inhibitor", "unknown", "protease inhibitor"], n),
        }
    )


def drawing(i: int) -> str:
    """Draw a small molecule-like picture that also tries to run a script."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 60">'
        "<script>window.hacked=1</script>"
        f'<polygon points="{20 + i},10 45,5 70,20 70,45 45,55 20,40" fill="none" stroke="#000"/>'
        "</svg>"
    )


def sample_notebook(home: Path, run: str = "sample") -> nbformat.NotebookNode:
    """Make an executed notebook with every kind of output; tables are saved under `home`."""
    frame, hits = wells(), hit_table()
    described = {name: f"what {name} means" for name in hits.columns}
    counts = pd.DataFrame({"condition": ["Mock", "Active"], "wells": [1_200, 24_000]})
    cards = [(drawing(i), name, f"{i} wells") for i, name in enumerate(COMPOUNDS[:5] + HOSTILE)]
    cells = [
        new_markdown_cell(
            "# 03 Map the wells\n\n**Question.** Do wells of one state lie together, and does "
            "a treatment move them?\n\n**Reads** `wells.zarr`. **Writes** `hits.tsv`."
        ),
        new_code_cell(
            'run: str = "simulated"  # the run whose screen is read\n'
            "seed: int = 0\n"
            "n_neighbors: int = 15  # neighbours of a well, wells [2..200]\n"
            'method: str = "auto"  # which centring goes on {auto|tvn}',
            metadata={"tags": ["parameters"]},
        ),
        new_code_cell(
            'run = "sample"\nn_neighbors = 30', metadata={"tags": ["injected-parameters"]}
        ),
        cell(
            "import numpy as np\nfrom screenbook.report import show  # what the page shows",
            lambda: report.reads(home / "build" / run / "wells.zarr"),
            tags=("setup",),
        ),
        new_markdown_cell(
            "## Which wells are there?\n\nA well is the unit of every number below.\n"
            "Sites of one well were averaged first, because they share *their* cells.\n\n"
            "- controls: `Mock`\n- disease: `Active`\n\n| a | b |\n|---|---|\n| 1 | 2 |"
        ),
        cell(
            "counts = wells.groupby('condition').size()\n"
            "for name in counts:  # a loop\n    print(f'{name!r}', 3.5e-2)",
            lambda: report.show_table(counts, "Wells by condition.", units={"wells": "n"}),
            lambda: report.say(
                "The screen holds **25,200 wells**; 4.8% of them are healthy controls "
                f"(95% interval 4.5 to 5.0). Named so: {HOSTILE[0]} {HOSTILE[2]}"
            ),
            lambda: report.gate(
                True, "Healthy and diseased wells separate: AUC 0.98 (0.97 to 0.99), n = 900."
            ),
        ),
        new_markdown_cell("## The map\n\n### Before centring\n\nText before a figure."),
        cell(
            "show(map_figure(wells), caption)",
            lambda: report.show(
                map_figure(frame),
                "t-SNE map of 3,000 wells, one point for each. Healthy wells lie on the right, "
                "diseased ones on the left.",
                wide=True,
                thumbnail=True,
            ),
        ),
        new_markdown_cell("### On the plate"),
        cell(
            "show(plate_figure(), caption)",
            lambda: report.show(
                plate_figure(),
                "Scores of one plate by position. They rise from column 1 to column 24.",
            ),
            lambda: report.show(
                dose_figure(),
                "On-axis score by dose for six compounds. Each falls from disease to health.",
            ),
            lambda: report.show(
                quality_figure(),
                "Intensity of six plates, 60 wells each. The level rises from the first on.",
            ),
        ),
        new_markdown_cell("## The compounds"),
        cell(
            "show_table(hits, caption)",
            lambda: report.show_table(
                hits,
                "Compounds in order of their names, with q over one family of tests.",
                units={"dose": "µM", "on_axis": "1 = disease"},
                file="hits",
            ),
            lambda: report.save_table(hits, run, "hits", described),
            lambda: report.gallery(cards, f"Structures of compounds. {HOSTILE[1]}"),
            lambda: report.headline(hits=12, auc=0.98, missing=float("nan")),
        ),
        new_markdown_cell("## What we found\n\n- The map separates.\n- Twelve hits."),
        cell(
            "answer(text)",
            lambda: report.answer(
                "Yes: healthy and diseased wells lie apart (AUC **0.98**, n = 900 wells), and "
                f"12 of 60 compounds move wells to the healthy side. {HOSTILE[0]}"
            ),
            lambda: report.writes(home / "build" / run / "map.zarr"),
        ),
        new_markdown_cell(
            "## Methods and citations\n\nvan der Maaten 2008, "
            "[JMLR](https://www.jmlr.org/papers/v9/vandermaaten08a.html).\n\n## Provenance"
        ),
    ]
    printing = cells[5]
    printing.outputs += [
        new_output("stream", name="stdout", text=f"printed {HOSTILE[1]}\n"),
        new_output("stream", name="stderr", text="UserWarning: not for readers\n"),
        new_output(
            "execute_result",
            {"text/html": "<script>window.hacked=1</script>", "text/plain": "a frame"},
            execution_count=1,
        ),
    ]
    for index, each in enumerate(cells):
        each["id"] = f"cell-{index:02d}"
    return new_notebook(cells=cells)


def failed_notebook() -> nbformat.NotebookNode:
    """Make a notebook whose second code cell stopped with an error."""
    cells = [
        new_markdown_cell("# 04 Score the rescue\n\n**Question.** Which compounds rescue?"),
        new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        cell("say('fine')", lambda: report.say("So far, so good.")),
        new_code_cell(
            "read_screen(path)",
            outputs=[
                new_output(
                    "error",
                    ename="InputError",
                    evalue="wells.csv: column 'plate' is missing <script>; add it",
                    traceback=["\x1b[31mInputError\x1b[0m", "  File <b>wells.csv</b>"],
                )
            ],
        ),
        new_markdown_cell("## What we found\n\nNothing yet."),
    ]
    for index, each in enumerate(cells):
        each["id"] = f"cell-{index:02d}"
    return new_notebook(cells=cells)


def sample_sidecar(run: str = "sample", notebook: str = "03_map_wells", **changes: Any) -> dict:
    """Make a sidecar as the driver writes it."""
    parameters = {"run": run, "seed": 0, "n_neighbors": 30, "method": "auto"}
    sidecar = {
        "run": run,
        "notebook": notebook,
        "title": "Map the wells",
        "question": "Do wells of one state lie together?",
        "answer": f"Yes, with an AUC of **0.98**. {HOSTILE[0]}",
        "parameters": parameters,
        "defaults": {**parameters, "run": "simulated", "n_neighbors": 15},
        "headline": {"hits": 12, "auc": 0.98},
        "gates": [{"passed": True, "text": "Separate."}],
        "inputs": [{"path": f"build/{run}/wells.zarr", "sha256": "ab" * 32}],
        "outputs": [{"path": f"reports/{run}/tables/hits.tsv", "sha256": "cd" * 32}],
        "versions": {"python": "3.11.7", "plotly": "7.1.0"},
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": True},
        "started": "2026-01-02T03:04:05Z",
        "seconds": 42.5,
        "state": "done",
        "error": None,
        "command": f"make report NB=03 RUN={run}",
        "thumbnail": None,
    }
    return sidecar | changes


def write_sample(home: Path, run: str = "sample") -> Path:
    """Write a run of two reports, one of them failed, with sidecars, tables and index."""
    from screenbook.report.index import write_index
    from screenbook.report.raster import png_uri
    from screenbook.report.render import render_report
    from screenbook.report.sidecar import harvest, write_sidecar
    from screenbook.report.tables import publish_tables
    from screenbook.report.thumbnail import figure_png

    folder = home / "reports" / run
    executed = home / "build" / run / "03_map_wells.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    notebook = sample_notebook(home, run)
    nbformat.write(notebook, executed)
    found = harvest(notebook)
    publish_tables(run, "03_map_wells", found.saved)
    picture = png_uri(figure_png(found.figure)) if found.figure else None
    write_sidecar(sample_sidecar(run, thumbnail=picture), folder / "03_map_wells.json")
    render_report(executed, folder / "03_map_wells.html")
    failed = sample_sidecar(
        run,
        "04_score_rescue",
        title="Score the rescue",
        question="Which compounds rescue?",
        answer=None,
        state="failed",
        error="wells.csv: column 'plate' is missing <script>; add it",
        gates=[],
    )
    stopped = executed.with_name("04_score_rescue.failed.ipynb")
    nbformat.write(failed_notebook(), stopped)
    write_sidecar(failed, folder / "04_score_rescue.failed.json")
    render_report(stopped, folder / "04_score_rescue.failed.html")
    write_index(home / "reports")
    return folder
