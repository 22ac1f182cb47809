"""What a map is worth: neighbours kept, questions answered, distances lost."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from screenbook.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    REFERENCE,
    SKY,
    VERMILLION,
    add_reference,
    shade,
    style,
)
from screenbook.figures.panels import place_panels

_SPACE_MARKS = (
    (GREY, "circle"),
    (BLUE, "square"),
    (SKY, "triangle-up"),
    (VERMILLION, "diamond"),
    (GREEN, "cross"),
    (PURPLE, "star"),
)
_DODGE = 0.62  # of the room of a question, shared by the spaces


def question_figure(
    tables: Mapping[str, pd.DataFrame], *, title: str, subtitle: str, x: str
) -> go.Figure:
    """Show for each question which share of neighbours agrees, in every space.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Panel title to the table of :func:`screenbook.profiles.neighbour_questions.ask_all`.
    title, subtitle, x : str
        Conclusion, counts, and the title of the axis.
    """
    fig = go.Figure()
    questions = list(dict.fromkeys(q for table in tables.values() for q in table["question"]))
    spaces = list(dict.fromkeys(s for table in tables.values() for s in table["space"]))
    for number, table in enumerate(tables.values()):
        suffix = "" if number == 0 else str(number + 1)
        for trace in _question_traces(table, questions, spaces, first=number == 0):
            fig.add_trace(trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}"))
        rows = {
            "tickvals": list(range(len(questions))),
            "ticktext": ["<br>".join(textwrap.wrap(question, 22)) for question in questions],
            "range": [len(questions) - 0.5, -0.5],
            "showticklabels": number == 0,
            "zeroline": False,
        }
        if number:
            rows["matches"] = "y"
        fig.update_layout(
            {f"xaxis{suffix}": {"range": [0, 1.02], "title": x}, f"yaxis{suffix}": rows}
        )
    height = 90 + 88 * len(questions)
    style(fig, title=title, subtitle=subtitle, height=height)
    fig.update_layout(margin={"b": 95})
    place_panels(fig, list(tables), gap=0.06, narrow_height=100 + len(tables) * height)
    narrow = fig.layout.meta["narrow"]
    narrow |= {key: True for key in narrow if key.endswith("showticklabels")}
    return fig


def _question_traces(
    table: pd.DataFrame, questions: Sequence[str], spaces: Sequence[str], *, first: bool
) -> list[go.Scatter]:
    traces = []
    for i, space in enumerate(spaces):
        rows = table[table["space"] == space]
        colour, symbol = _SPACE_MARKS[i % len(_SPACE_MARKS)]
        offset = _DODGE * ((i + 0.5) / len(spaces) - 0.5)
        traces.append(
            go.Scatter(
                x=rows["shared"],
                y=[questions.index(q) + offset for q in rows["question"]],
                mode="markers",
                name=space,
                legendgroup=space,
                showlegend=first,
                marker={"color": colour, "symbol": symbol, "size": 10},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": rows["high"] - rows["shared"],
                    "arrayminus": rows["shared"] - rows["low"],
                    "color": colour,
                    "thickness": 1.5,
                },
                customdata=rows[["question", "n_queries"]].to_numpy(),
                hovertemplate=(
                    "%{customdata[0]}<br>%{x:.2f} of neighbours in "
                    + space
                    + "<br>%{customdata[1]} wells asked<extra></extra>"
                ),
            )
        )
    chance = table.drop_duplicates("question")
    xs, ys = [], []
    for question, value in zip(chance["question"], chance["chance"], strict=True):
        at = questions.index(question)
        xs += [value, value, None]
        ys += [at - 0.42, at + 0.42, None]
    line = {"color": REFERENCE, "dash": "dash", "width": 1.5}
    traces.append(
        go.Scatter(x=xs, y=ys, mode="lines", name="chance", line=line).update(
            legendgroup="chance", showlegend=first, hoverinfo="skip"
        )
    )
    return traces


def recall_figure(table: pd.DataFrame, *, title: str, subtitle: str) -> go.Figure:
    """Show which share of the k nearest wells are among the k nearest in a drawing.

    Parameters
    ----------
    table : DataFrame
        ``drawing``, ``k``, ``recall`` and ``chance``.
    title, subtitle : str
        Conclusion and counts.
    """
    fig = go.Figure()
    for i, (drawing, rows) in enumerate(table.groupby("drawing", sort=False)):
        colour = (VERMILLION, ORANGE, BLUE, SKY)[i % 4]
        fig.add_trace(
            go.Scatter(
                x=rows["k"],
                y=rows["recall"],
                mode="lines+markers",
                name=str(drawing),
                line={"color": colour, "dash": ("solid", "dot")[i % 2]},
                marker={"symbol": ("diamond", "diamond-open", "square", "square-open")[i % 4]},
            )
        )
    chance = table.drop_duplicates("k")
    fig.add_trace(
        go.Scatter(
            x=chance["k"],
            y=chance["chance"],
            mode="lines",
            name="a random map",
            line={"color": REFERENCE, "dash": "dash"},
        )
    )
    style(
        fig,
        title=title,
        subtitle=subtitle,
        x="k, nearest wells looked at (log scale)",
        y="share kept (0 to 1)",
    )
    ticks = sorted(table["k"].unique())
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{k:g}" for k in ticks])
    fig.update_yaxes(range=[0, 1.02])
    fig.update_layout(margin={"b": 95})
    return fig


def distance_figure(
    drawings: Mapping[str, pd.DataFrame], *, title: str, subtitle: str, reference: str
) -> go.Figure:
    """Plot distances between groups in drawings against those in the space they were drawn from.

    Parameters
    ----------
    drawings : mapping of str to DataFrame
        Panel title to pairs of groups: ``reference``, ``drawn`` and, for the hover, ``a_name``
        and ``b_name``.
    title, subtitle : str
        Conclusion and counts.
    reference : str
        Title of the horizontal axis, with unit.
    """
    fig = go.Figure()
    for number, (name, pairs) in enumerate(drawings.items()):
        suffix = "" if number == 0 else str(number + 1)
        fig.add_trace(
            go.Scatter(
                x=pairs["reference"],
                y=pairs["drawn"] / pairs["drawn"].max(),
                xaxis=f"x{suffix}",
                yaxis=f"y{suffix}",
                mode="markers",
                name=name,
                showlegend=False,
                marker={"color": shade((BLUE, VERMILLION)[number % 2], 0.3), "size": 5},
                customdata=pairs[["a_name", "b_name"]].to_numpy(),
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            )
        )
        fig.update_layout({f"xaxis{suffix}": {"title": reference}})
        fig.update_layout({f"yaxis{suffix}": {"range": [0, 1.03]}})
    style(fig, title=title, subtitle=subtitle)
    fig.update_layout(yaxis={"title": "distance in the drawing<br>(share of the largest)"})
    place_panels(fig, list(drawings), gap=0.1, narrow_height=40 + 330 * len(drawings))
    return fig


def variance_figure(
    explained: Mapping[str, Sequence[float]], share: float, *, title: str, subtitle: str
) -> go.Figure:
    """Show how much of the variance the first components hold.

    Parameters
    ----------
    explained : mapping of str to sequence of float
        Name of the profiles to the share that each component holds, 0 to 1.
    share : float
        What was asked for.
    title, subtitle : str
        Conclusion and counts.
    """
    fig = go.Figure()
    for (name, values), colour in zip(explained.items(), (GREY, BLUE), strict=False):
        held = pd.Series(values).cumsum()
        fig.add_trace(
            go.Scatter(
                x=list(range(1, len(held) + 1)),
                y=held,
                mode="lines+markers",
                name=name,
                marker={"symbol": "circle" if colour == GREY else "square", "size": 5},
                line={"color": colour},
            )
        )
    style(fig, title=title, subtitle=subtitle, x="components kept", y="share of variance (0 to 1)")
    fig.update_yaxes(range=[0, 1.02])
    fig.update_layout(margin={"b": 95})
    add_reference(fig, "asked for", y=share)
    return fig
