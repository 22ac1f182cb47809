"""Towers learn which side groups go with which profile, and hold for scaffolds never seen."""

from dataclasses import replace

import numpy as np
import pytest

from planted_towers import CORES, planted
from screenbook.errors import InputError
from screenbook.structure.two_towers import ENCODERS, TowerSettings, train_towers

QUICK = TowerSettings(
    n_steps={"fingerprint": 12, "smiles": 6}, n_passes={"fingerprint": 0, "smiles": 0}, n_written=3
)


def core_of(imaged):
    return imaged.table["compound"].str[1:3].astype(int).to_numpy()


@pytest.fixture(scope="module", params=ENCODERS)
def learned(request):
    """A model of each encoder, three scaffolds held out, and the rows of these."""
    imaged, _ = planted()
    asked = core_of(imaged) >= len(CORES) - 3
    rows = ~asked[imaged.compound]
    model = train_towers(
        imaged.points[rows], imaged.compound[rows], imaged.table["smiles"].tolist(), request.param
    )
    return imaged, asked, model


def test_molecules_on_new_scaffolds_are_found_by_their_profiles(learned):
    imaged, asked, model = learned
    smiles = imaged.table["smiles"][asked].tolist()
    fit = model.see(imaged.means[asked]) @ model.read(smiles).T
    groups = imaged.table["compound"][asked].str[4:].to_numpy()
    best = groups[fit.argmax(axis=1)]
    # 21 pairs of groups: chance is 0.05 for the pair.
    assert (best == groups).mean() > 0.5


def test_places_have_length_one_and_do_not_hang_on_the_company(learned):
    imaged, _, model = learned
    smiles = imaged.table["smiles"].tolist()[:12]
    places = model.read(smiles)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.read(smiles[3:5]), places[3:5], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(model.see(imaged.points[:5]), axis=1), 1, rtol=1e-5)


def test_the_loss_falls_and_the_temperature_is_told(learned):
    history = learned[2].history.table
    assert history["loss"].iloc[-1] < 0.9 * history["loss"].iloc[0]
    assert history["temperature"].between(0.01, 0.5).all()


def small(encoder, settings=QUICK, points=None):
    imaged, _ = planted(n_groups=3)
    points = imaged.points if points is None else points
    smiles = imaged.table["smiles"].tolist()
    return train_towers(points, imaged.compound, smiles, encoder, settings)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_same_seed_gives_the_same_model_and_another_another(encoder):
    imaged, _ = planted(n_groups=3)
    smiles = imaged.table["smiles"].tolist()[:4]
    first = small(encoder).read(smiles)
    np.testing.assert_array_equal(first, small(encoder).read(smiles))
    other = replace(QUICK, training=replace(QUICK.training, seed=1))
    assert np.abs(first - small(encoder, other).read(smiles)).max() > 0.01


def test_the_unit_of_profiles_does_not_matter():
    imaged, _ = planted(n_groups=3)
    plain, scaled = small("fingerprint"), small("fingerprint", points=imaged.points * 1000)
    np.testing.assert_allclose(
        plain.see(imaged.points[:6]), scaled.see(imaged.points[:6] * 1000), atol=1e-3
    )


def test_large_screens_are_seen_as_often_as_small_ones():
    settings = replace(QUICK, n_passes={"fingerprint": 2, "smiles": 0}, batch_size=16)
    imaged, _ = planted(n_groups=3)
    steps = small("fingerprint", settings).history.rows[-1]["step"]
    assert steps == 2 * len(imaged.points) // 16


def test_bad_input_is_named():
    imaged, _ = planted(n_groups=3)
    with pytest.raises(InputError, match="did you mean 'smiles'"):
        train_towers(imaged.points, imaged.compound, [], "smile")
    rows = imaged.compound < 2
    with pytest.raises(InputError, match="all training structures are alike"):
        train_towers(imaged.points[rows], imaged.compound[rows], ["CC", "CC"], "smiles", QUICK)
