"""What notebooks hand over: the schema that renderer and sidecar read."""

import base64
import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sample_reports import HOSTILE, caught, show_module
from screenbook import report
from screenbook.errors import InputError

MIME, PLOTLY = show_module.MIME, show_module.PLOTLY_MIME


def spec_of(call):
    with caught() as outputs:
        call()
    return outputs[0].data[MIME]


def decoded(array):
    kind = np.dtype(array["dtype"]).newbyteorder("<")
    values = np.frombuffer(base64.b64decode(array["bdata"]), kind)
    shape = array.get("shape")
    return values.reshape([int(n) for n in shape.split(",")]) if shape else values


def trace_of(figure):
    with caught() as outputs:
        report.show(figure, "One sentence. Another one.")
    return outputs[0].data[PLOTLY]["data"][0]


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_numbers_leave_as_typed_arrays(container):
    values = np.linspace(-3, 7, 50)
    trace = trace_of(go.Figure(go.Scatter(x=container(values), y=container(values**2))))
    assert decoded(trace["x"]) == pytest.approx(values, rel=1e-6)
    assert decoded(trace["y"]) == pytest.approx(values**2, rel=1e-6)


def test_matrices_keep_their_shape_and_gaps():
    z = np.arange(60, dtype=float).reshape(6, 10)
    z[2, 3] = np.nan
    rows = [[None if np.isnan(v) else v for v in row] for row in z]
    for given in (z, rows):
        np.testing.assert_array_equal(decoded(trace_of(go.Figure(go.Heatmap(z=given)))["z"]), z)


def test_long_arrays_are_halved_only_where_nothing_is_lost():
    plain = np.random.default_rng(0).normal(size=2_000)
    p_values = np.logspace(-300, 0, 2_000)
    counts = np.arange(2_000) + 1e8
    for values, dtype in ((plain, "f4"), (p_values, "f8"), (counts, "f8")):
        array = trace_of(go.Figure(go.Scattergl(x=values, y=plain)))["x"]
        assert array["dtype"] == dtype
        assert decoded(array) == pytest.approx(values, rel=1e-6)


def test_names_stay_next_to_points():
    custom = [["SIM-1", 0.5], ["SIM-2", None]]
    trace = trace_of(go.Figure(go.Scatter(x=[1, 2], y=[3, 4], customdata=custom, meta="compound")))
    assert trace["customdata"] == custom
    assert trace["meta"] == "compound"


def test_a_figure_is_followed_by_its_caption_for_jupyterlab():
    with caught() as outputs:
        report.show(go.Figure(), f"Caption **bold**. {HOSTILE[0]}", wide=True, thumbnail=True)
    figure, live = outputs
    assert figure.data[MIME]["kind"] == "figure"
    assert figure.data[MIME]["wide"]
    assert figure.data[MIME]["thumbnail"]
    assert live.data[MIME] == {"kind": "live"}
    assert "<strong>bold</strong>" in live.data["text/html"]
    assert "<img" not in live.data["text/html"]


def test_jupyterlab_gets_no_button_that_sends_the_data_away():
    with caught() as outputs:
        report.show(go.Figure(), "Caption.")
    config = outputs[0].data[PLOTLY]["config"]
    assert "sendChartToCloud" in config["modeBarButtonsToRemove"]
    assert config["plotlyServerURL"] == ""


def test_show_refuses_what_is_no_figure_and_what_has_no_caption():
    with pytest.raises(TypeError, match="plotly figure, not dict"):
        report.show({}, "Caption.")
    with pytest.raises(ValueError, match="caption"):
        report.show(go.Figure(), "  ")


def test_a_table_keeps_types_gaps_and_order():
    frame = pd.DataFrame(
        {
            "compound": pd.Categorical(["b", "a", None]),
            "dose": [0.01, 1.0, np.nan],
            "n": pd.array([3, None, 1], dtype="Int64"),
            "hit": [True, False, True],
            "score": np.array([0.123456789, np.inf, -2], dtype=np.float64),
        }
    )
    spec = spec_of(lambda: report.show_table(frame, "A table.", units={"dose": "µM"}, rows=2))
    assert spec["data"] == [
        ["b", "a", None],
        [0.01, 1.0, None],
        [3, None, 1],
        [True, False, True],
        [0.1234568, None, -2.0],
    ]
    assert [c["type"] for c in spec["columns"]] == ["text", "number", "number", "boolean", "number"]
    assert [c["unit"] for c in spec["columns"]] == ["", "µM", "", "", ""]
    assert (spec["page"], spec["total"]) == (2, 3)
    json.dumps(spec, allow_nan=False)


def test_a_named_index_becomes_a_column_and_an_unnamed_one_does_not():
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["x", "y"], name="plate"))
    named = spec_of(lambda: report.show_table(frame, "A."))
    assert [c["name"] for c in named["columns"]] == ["plate", "n"]
    plain = spec_of(lambda: report.show_table(frame.reset_index(drop=True), "A."))
    assert [c["name"] for c in plain["columns"]] == ["n"]


def test_a_long_table_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(show_module, "MAX_ROWS", 10)
    spec = spec_of(lambda: report.show_table(pd.DataFrame({"i": range(25)}), "A."))
    assert spec["data"] == [list(range(10))]
    assert spec["total"] == 25


def test_a_table_of_no_rows_or_no_columns_is_a_table():
    empty = spec_of(lambda: report.show_table(pd.DataFrame({"a": []}), "A."))
    assert empty["data"] == [[]]
    assert spec_of(lambda: report.show_table(pd.DataFrame(), "A."))["columns"] == []


def test_tables_refuse_unknown_units_and_repeated_names():
    frame = pd.DataFrame([[1, 2]], columns=["a", "b"])
    with pytest.raises(ValueError, match="'c'"):
        report.show_table(frame, "A.", units={"c": "m"})
    with pytest.raises(ValueError, match="repeated"):
        report.show_table(frame.set_axis(["a", "a"], axis=1), "A.")


def test_jupyterlab_shows_hostile_cells_as_text():
    frame = pd.DataFrame({"compound": HOSTILE})
    with caught() as outputs:
        report.show_table(frame, "A.")
    page = outputs[0].data["text/html"]
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;img src=x" in page


def test_saving_a_table_writes_it_and_describes_it(home):
    frame = pd.DataFrame({"compound": ["=1+1", "b\tc"], "score": [1 / 3, np.nan]})
    columns = {"score": "on-axis score", "compound": "name"}
    spec = spec_of(lambda: report.save_table(frame, "fast", "hits", columns))
    # For other programs: exact text and full precision.
    path = home / "build" / "fast" / "tables" / "hits.tsv"
    back = pd.read_csv(path, sep="\t", float_precision="round_trip")
    pd.testing.assert_frame_equal(back, frame)
    assert spec["path"] == "build/fast/tables/hits.tsv"
    assert list(spec["columns"]) == ["compound", "score"]
    assert spec["rows"] == 2


@pytest.mark.parametrize(
    ("columns", "problem"),
    [({"a": "x"}, "'b' is not described"), ({"a": "", "b": "", "c": ""}, "'c' is described but")],
)
def test_saving_wants_one_description_for_each_column(home, columns, problem):
    with pytest.raises(InputError, match=problem):
        report.save_table(pd.DataFrame({"a": [1], "b": [2]}), "fast", "t", columns)
    assert not (home / "build" / "fast" / "tables" / "t.tsv").exists()


def test_headline_numbers_are_plain_json():
    numbers = {"n": np.int64(3), "auc": np.float32(0.5), "none": float("nan"), "ok": np.True_}
    spec = spec_of(lambda: report.headline(**numbers))
    assert spec["numbers"] == {"n": 3, "auc": 0.5, "none": None, "ok": True}
    json.dumps(spec, allow_nan=False)


def test_reads_and_writes_hand_the_path_back_relative_to_the_checkout(home, tmp_path_factory):
    inside, outside = home / "build" / "x.zarr", tmp_path_factory.mktemp("else") / "y"
    with caught() as outputs:
        assert report.reads(inside) == inside
        assert report.writes(outside) == outside
    assert outputs[0].data[MIME] == {"kind": "reads", "path": "build/x.zarr"}
    assert outputs[1].data[MIME] == {"kind": "writes", "path": outside.as_posix()}


def test_sentences_reach_jupyterlab_escaped():
    with caught() as outputs:
        report.say(HOSTILE[0])
        report.answer(HOSTILE[1])
        report.gate(False, HOSTILE[2])
        report.gallery([("<svg/>", HOSTILE[0], HOSTILE[1])], HOSTILE[2])
    assert outputs[2].data[MIME]["passed"] is False
    for output in outputs:
        page = output.data["text/html"]
        assert "<script" not in page
        assert "<img src=x" not in page
        assert 'href="javascript' not in page


def test_outside_jupyter_the_words_are_printed(capsys):
    report.say("A well is **a well**.")
    report.headline(n=1)
    assert capsys.readouterr().out == "A well is **a well**.\n"
