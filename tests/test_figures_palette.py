import plotly.graph_objects as go
import pytest

from screenbook.figures.palette import (
    OKABE_ITO,
    ROLE_COLOURS,
    ROLE_NAMES,
    ROLE_SYMBOLS,
    add_reference,
    class_colours,
    condition_colours,
    plate_names,
    shade,
    style,
)
from screenbook.screen import ROLES


def test_every_role_has_colour_symbol_and_name():
    assert set(ROLE_COLOURS) == set(ROLE_SYMBOLS) == set(ROLE_NAMES) == set(ROLES)


def test_roles_of_one_screen_differ_in_colour_and_in_symbol():
    for other in ("vehicle", "healthy"):  # a screen has one of them
        roles = [role for role in ROLES if role != other]
        assert len({ROLE_COLOURS[role] for role in roles}) == len(roles)
        assert len({ROLE_SYMBOLS[role] for role in roles}) == len(roles)


def test_conditions_are_coloured_by_role_whatever_their_order():
    arguments = (["Mock", "UV"], ["Active"])
    colours = condition_colours(["Active", "", "UV", "Mock", "odd"], *arguments)
    assert colours["Mock"] == ROLE_COLOURS["healthy"]
    assert colours["Active"] == ROLE_COLOURS["diseased"]
    assert colours[""] == ROLE_COLOURS["blank"]
    assert len(set(colours.values())) == 5
    assert colours == condition_colours(["odd", "Mock", "UV", "", "Active"], *arguments)


def test_classes_keep_their_colours_when_rows_are_reordered():
    assert class_colours(["b", "a", "b"]) == class_colours(["a", "b"])
    many = class_colours(str(i) for i in range(20))
    assert set(many.values()) == set(OKABE_ITO)


@pytest.mark.parametrize(
    ("batches", "names"),
    [
        (["W1/W1_7", "W2/W2_7"], ["W1_7", "W2_7"]),
        (["E1/1", "E2/1"], ["E1/1", "E2/1"]),
        (["lone"], ["lone"]),
    ],
)
def test_plates_are_shortened_only_if_they_stay_apart(batches, names):
    assert list(plate_names(batches).values()) == names


def test_shade_keeps_the_colour():
    assert shade("#0072B2", 0.25) == "rgba(0,114,178,0.25)"


def test_style_gives_title_axes_and_room_for_a_long_title():
    short, long = go.Figure(), go.Figure()
    style(short, title="Short", subtitle="n = 3", x="dose (µM)", y="wells", height=300)
    style(long, title="word " * 60, height=300)
    assert short.layout.xaxis.title.text == "dose (µM)"
    assert short.layout.title.subtitle.text == "n = 3"
    assert long.layout.title.text.count("<br>") >= 2
    plot = [fig.layout.height - fig.layout.margin.t for fig in (short, long)]
    assert plot[0] == pytest.approx(plot[1])


def test_reference_lines_are_labelled():
    fig = style(go.Figure(go.Scatter(x=[0, 1], y=[0, 1])), title="x")
    add_reference(fig, "chance", y=0.5)
    add_reference(fig, "limit", x=0.2)
    assert [a.text for a in fig.layout.annotations] == ["chance", "limit"]
