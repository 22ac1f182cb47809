"""Whether a score holds elsewhere, and what others found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import BLUE, GREY, ORANGE, REFERENCE, style
from screenbook.figures.small_multiples import Layout, arrange, as_text, axes_of, whiskers

_SCORES = {
    "on_axis": ("on-axis score", BLUE, "circle"),
    "classifier": ("classifier", ORANGE, "diamond"),
}


def repeat_figure(repeats: pd.DataFrame, *, title: str, subtitle: str) -> go.Figure:
    """Draw how candidates' scores correlate across plates, experiments and cell types.

    Parameters
    ----------
    repeats : DataFrame
        From :func:`screenbook.leads.score_questions.repeats`.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    known = repeats[repeats["rho"].notna()].copy()
    words = {
        "plates": "halves of the plates",
        "plates, all": "all plates (Spearman-Brown)",
        "experiments": "experiments",
        "cell types": "cell types",
    }
    named = known["across"].where(known["asked"] == "experiments", "").astype(str)
    known["label"] = (known["asked"].map(words) + " " + named).str.strip()
    groups = {str(name): part for name, part in known.groupby("cell_type", sort=False)}
    rows: list[str] = []
    fig, met = go.Figure(), set()
    for cell_type, part in groups.items():
        place = {}
        for label in pd.unique(part["label"]):
            place[label] = len(rows)
            rows.append(f"{as_text(cell_type, 24)}: {as_text(label)}")
        for score, some in part.groupby("score", sort=False):
            name, colour, symbol = _SCORES.get(str(score), (str(score), GREY, "circle"))
            lift = 0.13 * (1 if score == "classifier" else -1)
            fig.add_scatter(
                **{"x": some["rho"], "y": some["label"].map(place) + lift, "mode": "markers"},
                **{"name": name, "legendgroup": name, "showlegend": name not in met},
                marker={"color": colour, "symbol": symbol, "size": 9},
                error_x=whiskers(some["rho"], some["low"], some["high"], colour),
                customdata=some[["n"]],
                hovertemplate="rho %{x:.2f}, %{customdata[0]} candidates<extra>"
                + name
                + "</extra>",
            )
            met.add(name)
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="Spearman's rho of candidates' scores",
        height=120 + 26 * max(len(rows), 1),
    )
    fig.update_xaxes(range=[-0.35, 1.02])
    return fig.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=rows,
        range=[len(rows) - 0.5, -0.5],
        zeroline=False,
    )


def reference_figure(
    matched: Mapping[str, pd.DataFrame], hit: float, harm: float, *, title: str, subtitle: str
) -> go.Figure:
    """Draw reference scores by our rank.

    Parameters
    ----------
    matched : mapping of str to DataFrame
        By cell type: ``compound reference place is_lead call``.
    hit, harm : float
        Reference scores that count as a hit and as harm, drawn as lines.
    title, subtitle : str
        See :func:`screenbook.figures.palette.style`.
    """
    fig, met = go.Figure(), set()
    for panel, part in enumerate(matched.values()):
        groups = {
            "off the list": (part["place"].isna(), GREY, "circle-open", 6),
            "candidate": (part["place"].notna() & ~part["is_lead"], GREY, "circle", 6),
            "lead": (part["is_lead"], BLUE, "star", 10),
        }
        last = float(np.nan_to_num(part["place"].max(), nan=0.0)) + 5
        for name, (rows, colour, symbol, size) in groups.items():
            some = part[rows]
            if some.empty:
                continue
            fig.add_scatter(
                **{"x": some["place"].fillna(last), "y": some["reference"], "mode": "markers"},
                **{"name": name, "legendgroup": name, "showlegend": name not in met},
                **{"meta": "compound", **axes_of(panel)},
                marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.8},
                customdata=some[["compound", "call"]].to_numpy(),
                hovertext=[as_text(text) for text in some["compound"] + ", " + some["call"]],
                hovertemplate="%{hovertext}: reference %{y:.2f}<extra>" + name + "</extra>",
            )
            met.add(name)
        for y in (hit, harm):
            axes = axes_of(panel)
            fig.add_shape(
                **{"type": "line", "x0": 0, "x1": 1, "y0": y, "y1": y},
                **{"xref": f"{axes['xaxis']} domain", "yref": axes["yaxis"]},
                line={"color": REFERENCE, "dash": "dash", "width": 1.5},
            )
    layout = Layout(columns=min(len(matched), 2) or 1, height=330, narrow_height=300)
    x = "our rank (off the list: right of the last)"
    return arrange(
        fig, list(matched), layout, title=title, subtitle=subtitle, x=x, y="reference score"
    )
