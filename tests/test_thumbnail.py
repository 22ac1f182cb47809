"""Small pictures: the marks of a figure at the right place, in the right colour."""

import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from plotly.subplots import make_subplots
from plotly.utils import PlotlyJSONEncoder

from screenbook.report.thumbnail import figure_png


def picture(figure, width=120, height=80):
    """RGBA in 0..255 as (height, width, 4), read back by another PNG decoder."""
    as_json = json.loads(json.dumps(figure.to_dict(), cls=PlotlyJSONEncoder))
    png = figure_png(as_json, width, height)
    assert png == figure_png(as_json, width, height)  # the same bytes each time
    image = Image.open(io.BytesIO(png))
    assert (image.mode, image.size) == ("RGBA", (width, height))
    return np.asarray(image).astype(int)


def near(pixels, colour):
    """Mask of opaque pixels of about this colour."""
    return (pixels[..., 3] > 200) & (np.abs(pixels[..., :3] - colour).max(axis=2) < 40)


def centre(mask):
    rows, columns = np.nonzero(mask)
    return rows.mean() / mask.shape[0], columns.mean() / mask.shape[1]


@pytest.mark.parametrize("trace", [go.Scatter, go.Scattergl])
def test_points_lie_where_their_numbers_say(trace):
    figure = go.Figure()
    for x, y, colour in ((0, 0, "#ff0000"), (1, 1, "rgb(0,0,255)")):
        figure.add_trace(trace(x=[x], y=[y], mode="markers", marker={"color": colour, "size": 12}))
    pixels = picture(figure)
    red, blue = centre(near(pixels, [255, 0, 0])), centre(near(pixels, [0, 0, 255]))
    assert red[0] > 0.8  # low y is at the bottom
    assert red[1] < 0.2
    assert blue[0] < 0.2
    assert blue[1] > 0.8


def test_colour_scales_run_from_low_to_high():
    marker = {"color": [0, 1], "colorscale": [[0, "#000000"], [1, "#ffff00"]], "size": 14}
    pixels = picture(go.Figure(go.Scatter(x=[0, 1], y=[0, 0], mode="markers", marker=marker)))
    assert centre(near(pixels, [0, 0, 0]))[1] < centre(near(pixels, [255, 255, 0]))[1]


def test_bars_are_as_long_as_their_values():
    figure = go.Figure(go.Bar(x=["a", "b"], y=[1, 4], marker={"color": "#00ff00"}))
    columns = near(picture(figure), [0, 220, 0]).sum(axis=0) + (picture(figure)[..., 3] > 100).sum(
        axis=0
    )
    left, right = columns[:60].max(), columns[60:].max()
    assert right == pytest.approx(4 * left, rel=0.2)


def test_heatmaps_leave_missing_cells_open_and_obey_reversed_axes():
    z = [[0, 1], [1, np.nan]]
    scale = [[0, "#000000"], [1, "#ff0000"]]
    figure = go.Figure(go.Heatmap(z=z, x=[1, 2], y=["A", "B"], colorscale=scale))
    upright = picture(figure)
    assert upright[20, 90, 3] == 0  # B2, on top
    assert centre(near(upright, [0, 0, 0]))[0] > 0.5
    figure.update_yaxes(autorange="reversed")
    assert picture(figure)[60, 90, 3] == 0


def test_panels_stand_in_their_domains():
    figure = make_subplots(1, 2)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="markers", marker_color="#ff0000", row=1, col=1)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="markers", marker_color="#0000ff", row=1, col=2)
    pixels = picture(figure, 200, 80)
    assert np.nonzero(pixels[..., 0] > 200)[1].max() < 100
    assert np.nonzero(pixels[..., 2] > 200)[1].min() > 100


@pytest.mark.parametrize(
    "trace",
    [
        go.Scatter(x=[1, 2, None, 4], y=[1, None, 2, 3], mode="lines+markers"),
        go.Scatter(x=["2020-01-01", "2020-01-02"], y=[1, 2]),
        go.Scatter(x=[1, 10, 100], y=[0, 1, 2], mode="lines"),
        go.Box(y=np.arange(30.0), name="a"),
        go.Box(x=np.arange(30.0), y=["a"] * 15 + ["b"] * 15, orientation="h"),
        go.Violin(y=np.arange(30.0)),
        go.Histogram(x=np.arange(30.0)),
        go.Histogram(y=np.arange(30.0)),
        go.Bar(x=[3, 1], y=["a", "b"], orientation="h"),
        go.Bar(x=[["a", "a", "b"], ["1", "2", "1"]], y=[1, 2, 3]),
        go.Box(x=[1, 2], q1=[1, 2], median=[2, 3], q3=[3, 4]),
    ],
)
def test_every_kind_draws_something(trace):
    assert (picture(go.Figure(trace))[..., 3] > 0).sum() > 20


@pytest.mark.parametrize(
    "figure",
    [
        go.Figure(),
        go.Figure(go.Scatter(x=[], y=[])),
        go.Figure(go.Scatter(x=[np.nan], y=[np.nan], mode="markers")),
        go.Figure(go.Pie(values=[1, 2])),
        go.Figure(go.Scatter(x=[1], y=[1], visible="legendonly")),
        go.Figure(go.Heatmap(z=[])),
    ],
)
def test_nothing_to_draw_is_an_empty_picture(figure):
    assert (picture(figure)[..., 3] > 0).sum() == 0


def test_given_quartiles_stand_at_their_places():
    box = go.Box(
        x=[1, 2], q1=[0, 6], median=[1, 7], q3=[2, 8], lowerfence=[0, 4], upperfence=[4, 8]
    )
    drawn = picture(go.Figure(box))[..., 3] > 200
    left, right = drawn[:, 20:30].mean(axis=1), drawn[:, 90:100].mean(axis=1)
    assert np.nonzero(left)[0].min() > np.nonzero(right)[0].max()


def test_what_cannot_be_drawn_is_left_out():
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], mode="markers"))
    as_json = json.loads(json.dumps(figure.to_dict(), cls=PlotlyJSONEncoder))
    as_json["data"].append({"type": "scatter", "x": {"odd": 1}, "y": [1], "xaxis": "x2"})
    image = Image.open(io.BytesIO(figure_png(as_json, 60, 40)))
    assert np.asarray(image)[..., 3].any()


def test_logarithmic_axes_are_logarithmic():
    figure = go.Figure(go.Scatter(x=[1, 10, 100], y=[0, 0, 0], mode="markers"))
    figure.update_xaxes(type="log")
    columns = np.nonzero(picture(figure)[..., 3].sum(axis=0))[0]
    middle = columns[np.abs(columns - 60) < 15]
    assert middle.size  # 10 lies half way


def test_many_points_make_a_small_file_fast():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 65_000))
    figure = go.Figure(go.Scattergl(x=x, y=y, mode="markers", marker={"color": x, "size": 3}))
    png = figure_png(json.loads(json.dumps(figure.to_dict(), cls=PlotlyJSONEncoder)), 480, 300)
    assert len(png) < 60_000


def test_pictures_that_a_figure_carries_are_drawn():
    from screenbook.figures.image_fields import PictureGroup, picture_groups

    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[..., 0] = 248
    fig = picture_groups(
        [PictureGroup("", [red, np.full((8, 8), 248, np.uint8)], ["a", "b"])],
        columns=2, narrow_columns=2, title="t", most_pixels=425,
    )  # fmt: skip
    pixels = picture(fig)
    height, width = pixels.shape[:2]
    assert pixels[height // 4, width // 4].tolist() == [255, 0, 0, 255]
    assert pixels[height // 4, 3 * width // 4].tolist() == [255, 255, 255, 255]


def test_pictures_it_cannot_read_are_left_out():
    place = {"xref": "x", "x": 0, "y": 0, "sizex": 9, "sizey": 9}
    sources = ["data:image/png;base64,AAAA", "https://example.org/a.png"]
    layout = {"xaxis": {"range": [0, 9]}, "yaxis": {"range": [9, 0]}}
    layout["images"] = [{"source": source, **place} for source in sources]
    empty = figure_png({"layout": {}})
    assert figure_png({"layout": layout}) == empty
