"""Options of a simulated screen: taken as meant, or refused in one line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screenbook.errors import InputError
from screenbook.simulate import screen_spec, simulate_screen, spec_from_options
from screenbook.simulate.shapes import OPTIONS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "fats"}, "shape 'fats' is not known (did you mean 'fast'?)"),
        ({"plate_shft": 1}, "'plate_shft' is no option of a simulated screen (did you mean"),
        ({"doses": 1}, "doses is 1: give a list"),
        ({"doses": []}, "doses are (): give at least one"),
        ({"doses": [1, 0]}, "doses are (1.0, 0.0)"),
        ({"n_mock": True}, "n_mock is True: give a whole number"),
        ({"n_mock": 2.5}, "n_mock is 2.5: give a whole number"),
        ({"infection": "strong"}, "infection is 'strong': give a number"),
        ({"infection": -1}, "infection is -1.0: give a value from 0 to 10000"),
        ({"infection": float("nan")}, "infection is nan"),
        ({"doses": [1, float("nan")]}, "doses are (1.0, nan)"),
        ({"experiment_scale": 46}, "experiment_scale is 46.0: give a value from 0 to 3"),
        ({"seed": -1}, "seed is -1: give 0 or more"),
        ({"annotated": 2}, "annotated is 2.0: give a value from 0 to 1"),
        ({"hill": [2, 1]}, "hill is (2.0, 1.0): give [low, high], 0 <= low"),
        ({"rescue_ec50": [0, 1]}, "rescue_ec50 is (0.0, 1.0): give values above 0"),
        ({"saturation": 0}, "saturation is 0"),
        ({"n_sites": 0}, "n_sites is 0: give a value from 1 to"),
        ({"n_rows": 60}, "n_rows is 60: give at most 52"),
        ({"n_series": 100}, "the design takes 696 wells, a plate has 384"),
        ({"n_series": 20}, "112 compounds x 6 replicates do not fit on 18 renal plates"),
        ({"n_compounds": 20}, "n_compounds is 20, fewer than the"),
        ({"n_references": 2}, "reference_classes names 3 references"),
        ({"reference_classes": ["foo"]}, "reference_classes names more 'foo'"),
        ({"n_weak_plates": 18}, "n_weak_plates and n_gradient_plates together"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError) as caught:
        spec_from_options({"source": "simulated", **options}, "params/x.yml screen")
    text = str(caught.value)
    assert text.startswith("params/x.yml screen: ")
    assert message in text
    assert "\n" not in text


def test_options_may_change_any_effect():
    spec = spec_from_options({"source": "simulated", "shape": "fast", "seed": 7, "doses": [1, 10]})
    assert (spec.seed, spec.doses, spec.n_features) == (7, (1.0, 10.0), 64)
    # The defaults survive a way through YAML or JSON.
    plain = json.loads(json.dumps(OPTIONS))
    assert spec_from_options(plain) == screen_spec()


ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(-3, 60), st.text(max_size=5)),
    st.floats(width=32),
    st.lists(st.one_of(st.floats(-1, 20), st.integers(-1, 20)), max_size=3),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(options=st.dictionaries(st.sampled_from(sorted(OPTIONS)), ANYTHING, max_size=2))
def test_options_are_taken_or_refused_with_the_users_error(options):
    try:
        spec = spec_from_options({"shape": "fast", "n_features": 8, **options})
    except InputError:
        return
    screen = simulate_screen(spec)
    obs, X = next(screen.plates())
    assert len(obs) == len(X)
    assert np.isfinite(X).all()


def test_a_screen_without_a_rescuer_can_be_made():
    spec = screen_spec(
        "fast", n_rescuers=0, n_selective=0, reference_classes=["toxic"], rescue_toxicity=0.0
    )
    truth = simulate_screen(spec).truth["compounds"]
    assert not truth["rescues"].any()
    assert len(truth) > 0
