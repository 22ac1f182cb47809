"""Small pictures of plotly figures, drawn with NumPy.

They stand where an interactive figure cannot: on the index, before a figure is scrolled into
view, and where scripts are off. Marks only, no text: points, lines, bars, heatmaps and boxes.
A headless browser would draw better, but needs a browser, and seconds for each figure.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from screenbook.report.pictures import draw_pictures
from screenbook.report.raster import paint_boxes, paint_path, paint_points, png

_COLORWAY = ("#636efa", "#EF553B", "#00cc96", "#ab63fa", "#FFA15A")  # plotly's own
_CIVIDIS = ("#00224E", "#35456C", "#666970", "#948E77", "#C8B866", "#FEE838")
_OVERSAMPLING = 2  # drawn twice as large and averaged down: smooth edges
_GUTTER = 0.03  # of the picture, around the panels
log = logging.getLogger(__name__)

_DTYPES = {"i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"}
_RGBA = re.compile(r"rgba?\(([^)]*)\)")

Figure = dict[str, Any]


def figure_png(figure: Figure, width: int = 480, height: int = 300) -> bytes:
    """Draw a figure's marks.

    Parameters
    ----------
    figure : dict
        A plotly figure as JSON; its arrays as lists or as base64 typed arrays.
    width, height : int
        Size of the picture in pixels.

    Returns
    -------
    bytes
        A PNG with transparent ground; of one transparent colour if nothing could be drawn.
    """
    scale = _OVERSAMPLING
    canvas = np.zeros((height * scale, width * scale, 4), dtype=np.float32)
    layout = figure.get("layout", {})
    template = layout.get("template", {}).get("layout", {})
    colorway = layout.get("colorway") or template.get("colorway") or _COLORWAY
    panels: dict[tuple[str, str], list[tuple[int, Figure]]] = {}
    for i, trace in enumerate(figure.get("data", [])):
        if trace.get("visible", True) is True:
            axes = (trace.get("xaxis", "x"), trace.get("yaxis", "y"))
            panels.setdefault(axes, []).append((i, trace))
    for (x, y), traces in panels.items():
        try:
            _draw_panel(canvas, _axis(layout, x), _axis(layout, y), traces, colorway)
        except Exception as error:
            # Plotly takes more than is known here, and a report is not to fail for a thumbnail.
            log.info("left a panel out of a small picture: %r", error)
    draw_pictures(canvas, layout)
    averaged = canvas.reshape(height, scale, width, scale, 4).mean(axis=(1, 3))
    return png(averaged)


def decode(value: Any) -> Any:
    """Turn a base64 typed array into a NumPy array; leave anything else as it is."""
    if not (isinstance(value, dict) and value.get("dtype") in _DTYPES):
        return value
    array = np.frombuffer(
        base64.b64decode(value["bdata"]), np.dtype(value["dtype"]).newbyteorder("<")
    )
    shape = value.get("shape")
    return array.reshape([int(n) for n in str(shape).split(",")]) if shape else array


def _axis(layout: Figure, name: str) -> Figure:
    """Return the layout of an axis, ``x2`` being ``xaxis2``."""
    return layout.get(f"{name[0]}axis{name[1:]}", {})


@dataclass
class _Scale:
    """From data to pixels along one side of a panel."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        span = (self.high - self.low) or 1.0
        return self.start + (values - self.low) / span * (self.end - self.start)


class _Positions:
    """Numbers for the values of one axis: categories count up, logarithms are taken."""

    def __init__(self, axis: Figure) -> None:
        self.log = axis.get("type") == "log"
        self.categories: dict[str, int] = {}
        self.category = axis.get("type") == "category"

    def __call__(self, values: Any) -> np.ndarray:
        if isinstance(values, list) and values and isinstance(values[0], list):  # two levels
            values = [" / ".join(map(str, names)) for names in zip(*values, strict=True)]
        array = np.asarray(decode(values) if not isinstance(values, list) else values)
        if array.dtype.kind in "OUS" or self.category:
            if not self.category and (numbers := _as_numbers(array)) is not None:
                array = numbers
            else:
                seen = self.categories
                codes = [seen.setdefault(str(v), len(seen)) for v in array.ravel().tolist()]
                return np.array(codes, dtype=np.float64)
        array = array.astype(np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(array > 0, np.log10(array), np.nan)
        return array


def _as_numbers(array: np.ndarray) -> np.ndarray | None:
    """Return a list of numbers and nulls as floats, None for text."""
    if all(v is None or isinstance(v, int | float) for v in array.ravel().tolist()):
        return array.astype(np.float64)
    return None


@dataclass
class _Marks:
    """What a trace draws, in the numbers of its axes: points, a path, or boxes."""

    x: np.ndarray  # (n,) points or corners of the path; (n, 2) edges of boxes
    y: np.ndarray
    colour: np.ndarray  # (n, 4), 0 to 1
    shape: str  # "points", "path" or "boxes"
    size: float = 1.0  # diameter or width in pixels of the finished picture


def _draw_panel(
    canvas: np.ndarray,
    x_axis: Figure,
    y_axis: Figure,
    traces: list[tuple[int, Figure]],
    colorway: Sequence[str],
) -> None:
    to_x, to_y = _Positions(x_axis), _Positions(y_axis)
    bars = [i for i, trace in traces if trace.get("type") == "bar"]
    marks: list[_Marks] = []
    for i, trace in traces:
        place = (bars.index(i), len(bars)) if i in bars else (0, 1)
        marks += _marks(trace, to_x, to_y, colorway[i % len(colorway)], place)
    if not marks:
        return
    height, width = canvas.shape[:2]
    x_range = _range(x_axis, [m.x for m in marks])
    y_range = _range(y_axis, [m.y for m in marks])
    left, right = _extent(x_axis, width)
    bottom, top = _extent(y_axis, height)
    x_scale = _Scale(*x_range, left, right)
    y_scale = _Scale(*y_range, height - bottom, height - top)
    for mark in marks:
        x, y, size = x_scale(mark.x), y_scale(mark.y), mark.size * _OVERSAMPLING
        if mark.shape == "boxes":
            paint_boxes(canvas, x, y, mark.colour)
        else:
            paint = paint_path if mark.shape == "path" else paint_points
            paint(canvas, x, y, mark.colour, size)


def _extent(axis: Figure, pixels: int) -> tuple[float, float]:
    """First and last pixel of an axis: its domain of the picture, less a gutter."""
    low, high = axis.get("domain", (0.0, 1.0))
    room = 1 - 2 * _GUTTER
    return (_GUTTER + low * room) * pixels, (_GUTTER + high * room) * pixels


def _range(axis: Figure, values: list[np.ndarray]) -> tuple[float, float]:
    """Return the range set in the layout, or that of the values; turned round if asked for."""
    given = axis.get("range")
    if given and all(isinstance(v, int | float) for v in given):
        return float(given[0]), float(given[1])
    finite = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (high, low) if axis.get("autorange") == "reversed" else (low, high)


def _marks(
    trace: Figure, to_x: _Positions, to_y: _Positions, default: str, place: tuple[int, int]
) -> list[_Marks]:
    """Translate one trace; unknown types draw nothing."""
    kind = trace.get("type", "scatter")
    if kind in {"scatter", "scattergl"} and "x" in trace and "y" in trace:
        return _scatter(trace, to_x(trace["x"]), to_y(trace["y"]), default)
    if kind in {"heatmap", "heatmapgl"} and "z" in trace:
        return _heatmap(trace, to_x, to_y)
    if kind in {"bar", "histogram", "box", "violin"}:
        sideways = trace.get("orientation") == "h" or (
            kind != "bar" and not {"y", "q1"} & set(trace)
        )
        across, along = (to_y, to_x) if sideways else (to_x, to_y)
        names = ("y", "x") if sideways else ("x", "y")
        if kind == "histogram":  # counts what lies along the other axis
            across, along, names = along, across, names[::-1]
            sideways = "x" not in trace
        boxes = {"bar": _bars, "histogram": _histogram}.get(kind, _quartiles)
        edges = boxes(trace, names, across, along, place)
        if edges is None:
            return []
        colour = _colours(trace.get("marker", {}), len(edges[0]), default, 0.85)
        x, y = edges[::-1] if sideways else edges
        return [_Marks(x, y, colour, "boxes")]
    return []


Edges = tuple[np.ndarray, np.ndarray]


def _bars(
    trace: Figure,
    names: tuple[str, str],
    across: _Positions,
    along: _Positions,
    place: tuple[int, int],
) -> Edges | None:
    if names[1] not in trace:
        return None
    lengths = along(trace[names[1]])
    centres = across(trace[names[0]]) if names[0] in trace else np.arange(len(lengths), dtype=float)
    steps = np.diff(np.unique(centres[np.isfinite(centres)]))
    step = 0.8 * (steps.min() if steps.size else 1.0)
    left = centres - step / 2 + step * place[0] / place[1]
    base = (
        np.zeros_like(lengths) if not along.log else np.full_like(lengths, np.nanmin(lengths) - 1)
    )
    return np.stack([left, left + step / place[1]], 1), np.stack([base, lengths], 1)


def _histogram(
    trace: Figure,
    names: tuple[str, str],
    across: _Positions,
    along: _Positions,
    place: tuple[int, int],
) -> Edges | None:
    values = across(trace.get(names[0], []))
    counts, edges = np.histogram(values[np.isfinite(values)], bins=40)
    return np.stack([edges[:-1], edges[1:]], 1), np.stack([np.zeros(40), counts.astype(float)], 1)


def _quartiles(
    trace: Figure,
    names: tuple[str, str],
    across: _Positions,
    along: _Positions,
    place: tuple[int, int],
) -> Edges | None:
    """Draw boxes of the quartiles, with a thin one from the 5th to the 95th percentile."""
    if "q1" in trace:
        return _given_quartiles(trace, names[0], across, along)
    values = along(trace.get(names[1], []))
    if names[0] in trace:
        groups = across(trace[names[0]])
    else:
        groups = np.full(len(values), across([str(trace.get("name", ""))])[0])
    sides, spans = [], []
    for group in np.unique(groups[np.isfinite(groups)]):
        inside = values[(groups == group) & np.isfinite(values)]
        if inside.size:
            p5, q1, q3, p95 = np.percentile(inside, [5, 25, 75, 95])
            sides += [(group - 0.3, group + 0.3), (group - 0.03, group + 0.03)]
            spans += [(q1, q3), (p5, p95)]
    return (np.array(sides), np.array(spans)) if sides else None


def _given_quartiles(trace: Figure, name: str, across: _Positions, along: _Positions) -> Edges:
    """Draw boxes and whiskers that the figure itself gives."""
    q1, q3 = along(trace["q1"]), along(trace["q3"])
    low, high = (
        along(trace[k]) if k in trace else q for k, q in (("lowerfence", q1), ("upperfence", q3))
    )
    at = across(trace[name]) if name in trace else np.arange(len(q1), dtype=float)
    sides = [np.stack([at - width, at + width], 1) for width in (0.3, 0.03)]
    return np.concatenate(sides), np.concatenate([np.stack([q1, q3], 1), np.stack([low, high], 1)])


def _scatter(trace: Figure, x: np.ndarray, y: np.ndarray, default: str) -> list[_Marks]:
    mode = trace.get("mode", "lines" if trace.get("line") else "markers")
    marker, n, marks = trace.get("marker", {}), len(x), []
    alpha = float(trace.get("opacity", 1.0))
    if "lines" in mode:
        line = trace.get("line", {})
        colour = _colours({"color": line.get("color")}, n, default, alpha)
        marks.append(_Marks(x, y, colour, "path", max(1.0, 0.7 * float(line.get("width", 2)))))
    if "markers" in mode:
        sizes = np.asarray(decode(marker.get("size", 6)), dtype=np.float64)
        size = max(1.5, 0.65 * float(np.nanmean(sizes)))
        marks.append(_Marks(x, y, _colours(marker, n, default, alpha), "points", size))
    return marks


def _heatmap(trace: Figure, to_x: _Positions, to_y: _Positions) -> list[_Marks]:
    z = np.asarray(decode(trace["z"]), dtype=np.float64)
    if z.ndim != 2 or z.size == 0:
        return []
    x = to_x(trace["x"]) if "x" in trace else np.arange(z.shape[1], dtype=float)
    y = to_y(trace["y"]) if "y" in trace else np.arange(z.shape[0], dtype=float)
    if (len(y), len(x)) != z.shape:
        return []
    edges = [_edges(v) for v in (x, y)]
    rows, columns = np.nonzero(np.isfinite(z))
    scale = {
        **trace,
        "color": z[rows, columns],
        "cmin": trace.get("zmin"),
        "cmax": trace.get("zmax"),
    }
    colour = _colours(scale, rows.size, _CIVIDIS[0], 1.0)
    return [_Marks(edges[0][columns], edges[1][rows], colour, "boxes")]


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the sides (n, 2) of cells around their centres."""
    middle = (centres[1:] + centres[:-1]) / 2
    step = np.diff(centres).mean() / 2 if len(centres) > 1 else 0.5
    sides = np.concatenate([[centres[0] - step], middle, [centres[-1] + step]])
    return np.stack([sides[:-1], sides[1:]], 1)


def _colours(marker: Figure, n: int, default: str, alpha: float) -> np.ndarray:
    """Return the colour (n, 4) of each mark: one for all, one name each, or along a scale."""
    colour, opacity = decode(marker.get("color")), decode(marker.get("opacity", 1.0))
    if isinstance(colour, str) or colour is None:
        rgba = np.tile(_rgba(colour or default, default), (n, 1))
    else:
        values = np.asarray(colour)
        if values.dtype.kind in "OU" and _as_numbers(values) is None:
            rgba = np.array([_rgba(str(v), default) for v in values.tolist()]).reshape(-1, 4)
        else:
            rgba = _along_scale(values.astype(np.float64), marker)
    rgba = rgba.astype(np.float32)
    rgba[:, 3] *= alpha * np.asarray(opacity, dtype=np.float32)
    return rgba


def _along_scale(values: np.ndarray, marker: Figure) -> np.ndarray:
    scale = marker.get("colorscale")
    if isinstance(scale, list) and scale:
        stops = [float(position) for position, _ in scale]
        colours = [str(colour) for _, colour in scale]
    else:
        stops, colours = list(np.linspace(0, 1, len(_CIVIDIS))), list(_CIVIDIS)
    finite = values[np.isfinite(values)]
    low, high = marker.get("cmin"), marker.get("cmax")
    low = float(finite.min()) if low is None and finite.size else float(low or 0.0)
    high = float(finite.max()) if high is None and finite.size else float(high or 1.0)
    t = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    t = 1 - t if marker.get("reversescale") else t
    table = np.array([_rgba(colour, _CIVIDIS[0]) for colour in colours])
    return np.stack([np.interp(t, stops, table[:, i]) for i in range(4)], axis=1)


def _rgba(colour: str, default: str) -> np.ndarray:
    """Read ``#rgb``, ``#rrggbb``, ``rgb()`` and ``rgba()``; other names become `default`."""
    if match := _RGBA.fullmatch(colour.strip()):
        parts = [float(v.strip().rstrip("%")) for v in match[1].split(",")]
        return np.array([*(v / 255 for v in parts[:3]), *(parts[3:4] or [1.0])])
    digits = colour.lstrip("#") if colour.startswith("#") else default.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    return np.array([*(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)), 1.0])
