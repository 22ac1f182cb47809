import numpy as np
import pandas as pd

from screenbook.figures import replicates


def test_replicates_carry_their_compound_and_their_verdict():
    treatments = pd.DataFrame(
        {
            "cell_type": ["a", "a", "b"],
            "compound": ["X", "Y", "Z"],
            "treatment_conc": [1.0, 0.1, 3.0],
            "map_uncentred": [0.1, 0.2, 0.3],
            "map": [0.9, 0.3, 0.4],
            "q": [0.01, 0.5, 0.04],
        }
    )
    fig = replicates.replicate_gain(treatments, title="T")
    compounds = [t for t in fig.data if t.meta == "compound"]
    assert [[row[0] for row in t.customdata] for t in compounds] == [["Y"], ["X"], [], ["Z"]]
    assert [t.name for t in fig.data if t.showlegend] == ["q ≥ 0.05", "q < 0.05"]
    assert [a.text for a in fig.layout.annotations] == ["a", "b"]


def test_confusion_counts_treatments_and_keeps_the_diagonal():
    table = pd.DataFrame(
        {"mechanism": ["a", "a", "b", "c"], "neighbour": ["a", "b", "", "d"]}, dtype=object
    )
    fig = replicates.mechanism_confusion(table, title="T")
    heat = fig.data[0]
    assert list(heat.y) == ["a", "b", "c"]
    assert list(heat.x) == ["a", "b", "c", "(none)", "d"]
    z = np.asarray(heat.z, dtype=float)
    assert z[0].tolist() == [0.5, 0.5, 0, 0, 0]
    assert z[1].tolist() == [0, 0, 0, 1, 0]
    assert np.asarray(heat.text)[2].tolist() == ["", "", "", "", "1"]
