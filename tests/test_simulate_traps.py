"""The simulated screen is as hard as it should be: methods that fail on RxRx19a fail here."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from screenbook.simulate import screen_spec, simulate_screen

EVERY = 2
"""Every other feature will do, and is faster."""


class Renal:
    """Wells of the default screen's first cell type, centred in several ways."""

    def __init__(self, screen):
        names = screen.truth["plates"]["cell_type"]
        plates = np.flatnonzero(names == "renal")
        blocks = [screen.plate_features(i)[:, ::EVERY] for i in plates]
        sites = np.concatenate(blocks).reshape(-1, screen.spec.n_sites, blocks[0].shape[1])
        self.X = sites.mean(axis=1, dtype=np.float64)
        obs = pd.concat([screen.plate_obs(i) for i in plates])
        self.obs = obs[obs["site"] == 1]
        self.experiment = self.obs["experiment"].to_numpy()
        self.batch = (self.obs["experiment"] + "/" + self.obs["plate"]).to_numpy()
        self.healthy = self.obs["disease_condition"].isin(screen.roles.healthy).to_numpy()
        active = self.obs["disease_condition"].isin(screen.roles.diseased).to_numpy()
        self.treated = (self.obs["treatment"] != "").to_numpy()
        self.active = active
        self.untreated = active & ~self.treated
        self.references = screen.roles.references

    def centred(self, *groups):
        """Subtract per plate the mean over groups of wells of their means."""
        X = self.X.copy()
        for batch in np.unique(self.batch):
            own = self.batch == batch
            X[own] -= np.mean([X[own & group].mean(axis=0) for group in groups], axis=0)
        return X

    def like_the_original(self):
        """Subtract means by experiment, plate number and condition, one after the other."""
        X = pd.DataFrame(self.X)
        for column in ("experiment", "plate", "disease_condition"):
            X -= X.groupby(self.obs[column].to_numpy()).transform("mean")
        return X.to_numpy()

    def control_auc(self, X, groups):
        """Healthy against untreated disease, in batches that were not seen in training."""
        controls = self.healthy | self.untreated
        model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=300))
        y = self.healthy[controls]
        score = cross_val_predict(
            model,
            *(X[controls], y),
            groups=groups[controls],
            cv=GroupKFold(min(6, len(np.unique(groups)))),
            method="decision_function",
        )
        return roc_auc_score(y, score)

    def plate_accuracy(self, X):
        """How well a classifier tells the plate of a well."""
        scores = PCA(50, svd_solver="covariance_eigh").fit_transform(X)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return cross_val_score(model, scores, self.batch, cv=3).mean()


@pytest.fixture(scope="module")
def renal():
    return Renal(simulate_screen(screen_spec()))


def test_centring_on_controls_of_the_plate_helps_and_on_the_condition_ruins(renal):
    centred = renal.centred(renal.healthy, renal.untreated)
    assert 0.95 < renal.control_auc(centred, renal.batch) < 0.99
    assert renal.control_auc(centred, renal.experiment) > 0.93
    assert renal.control_auc(renal.X, renal.experiment) < 0.9
    assert renal.control_auc(renal.like_the_original(), renal.batch) < 0.65


def test_plates_are_told_apart_raw_and_hardly_when_centred(renal):
    chance = 1 / 18
    assert renal.plate_accuracy(renal.X) > 0.95
    assert renal.plate_accuracy(renal.centred(renal.healthy, renal.untreated)) < 4 * chance
    assert renal.plate_accuracy(renal.centred(renal.active)) < 1.5 * chance
    assert renal.plate_accuracy(renal.like_the_original()) > 0.9


def test_counting_names_ranks_the_most_replicated_first(renal):
    """The original's scheme: all active wells are labelled infected, names are counted."""
    named = renal.obs["disease_condition"].to_numpy() != ""
    Z = PCA(50, svd_solver="covariance_eigh").fit_transform(renal.like_the_original())
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=300)
    model.fit(Z[named], renal.healthy[named])
    score = pd.Series(model.decision_function(Z[renal.treated]))
    names = renal.obs["treatment"].to_numpy()[renal.treated]
    top = pd.Series(names[score.nlargest(len(score) // 10).index]).value_counts()
    first = top.index[:8]
    assert first.isin(renal.references).sum() >= 4  # 8 of 120 compounds are references
