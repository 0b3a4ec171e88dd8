"""Real pictures through a small trained CLIP: the optimum is scikit-learn's there too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cliplab.classifiers.estimator import LinearProbe

from .conftest import Case, objective


@pytest.fixture(scope="module")
def features(shared_data, tmp_path_factory) -> Case:
    """Ten classes of photos, as the features before the projection of a CLIP trained on them."""
    from cliplab.datasets.family import open_dataset
    from cliplab.embeddings.extract import embed
    from cliplab.encoders.contrastive import ContrastiveConfig, train_clip
    from cliplab.encoders.open_clip import load_encoder

    home = tmp_path_factory.mktemp("home")
    dataset, _ = open_dataset(str(shared_data / "caltech101"), home=home)
    folder = train_clip(dataset, ContrastiveConfig(epochs=2, device="cpu"), home / "clip")
    eye, task = load_encoder(folder, device="cpu"), dataset.task().name
    found, _ = embed(dataset, eye, task=task, home=home)
    return Case(found.features.astype(np.float64), found.labels)


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("c", [1e-6, 1e-3, 0.316, 10.0, 1e3])
def test_the_optimum_is_scikit_learns_on_real_features(features, c, normalized, dtype):
    x = features.x / np.linalg.norm(features.x, axis=1, keepdims=True) if normalized else features.x
    case = Case(x.astype(dtype).astype(np.float64), features.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LogisticRegression(C=c, tol=1e-10, max_iter=5000).fit(case.x, case.y)
    found = LinearProbe(C=c, tol=1e-6, device="cpu").fit(case.x.astype(dtype), case.y)
    assert found.gap_ <= 1e-6
    best = objective(c, expected.coef_, expected.intercept_, case)
    ours = objective(c, found.coef_, found.intercept_, case)
    assert ours <= best * (1 + 1e-6)
    if ours < best * (1 - 1e-7):
        return  # scikit-learn's iterations ran out further from the optimum
    theirs = expected.predict_proba(case.x)
    assert np.abs(found.predict_proba(case.x) - theirs).max() < 1e-4
    ranked = np.sort(theirs, axis=1)
    sure = ranked[:, -1] - ranked[:, -2] > 1e-5
    assert (found.predict_proba(case.x).argmax(1) == theirs.argmax(1))[sure].all()
