import numpy as np

from planted_towers import planted
from screenbook.structure.compound_folds import compound_folds
from screenbook.structure.held_out_towers import train_held_out
from screenbook.structure.two_towers import train_towers
from test_structure_two_towers import QUICK


def test_every_fold_has_a_model_that_learned_from_the_others_alone():
    imaged, _ = planted(n_groups=3)
    found = train_held_out(
        imaged, rules=("scaffold",), encoders=("fingerprint",), n_folds=3, settings=QUICK, seed=2
    )
    assert [f.rule for f in found] == ["scaffold"]
    np.testing.assert_array_equal(found[0].fold, compound_folds(imaged.table, "scaffold", 3, 2))
    rows = found[0].fold[imaged.compound] != 1
    points, compound = imaged.points[rows], imaged.compound[rows]
    alone = train_towers(points, compound, imaged.table["smiles"], "fingerprint", QUICK)
    np.testing.assert_array_equal(
        found[0].models["fingerprint"][1].see(imaged.points), alone.see(imaged.points)
    )


def test_baselines_need_no_model():
    imaged, _ = planted(n_groups=3)
    found = train_held_out(imaged, encoders=(), n_folds=3)
    assert [(f.rule, f.models) for f in found] == [("compound", {}), ("scaffold", {})]
