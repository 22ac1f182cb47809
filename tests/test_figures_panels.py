import itertools

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from screenbook.figures.palette import style
from screenbook.figures.panels import stack_when_narrow


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (1, 1)])
def test_narrow_panels_stand_in_a_column_without_touching(shape):
    rows, columns = shape
    n = rows * columns
    fig = make_subplots(rows, columns, subplot_titles=[f"panel {i}" for i in range(n)])
    for i in range(n):
        fig.add_scatter(x=[0], y=[i], row=i // columns + 1, col=i % columns + 1)
    stack_when_narrow(style(fig, title="t"), 200, axis_room=60)
    narrow = fig.layout.meta["narrow"]
    places = [narrow[f"yaxis{'' if i == 0 else i + 1}.domain"] for i in range(n)]
    assert all(low < high for low, high in places)
    for (upper_low, _), (_, lower_high) in itertools.pairwise(places):
        assert (upper_low - lower_high) * n * 200 >= 60  # room for ticks and a title
    assert narrow["annotations[0].y"] == places[0][1] <= 1
    go.Figure(fig)  # what the page is told must not have broken the figure itself
