"""The map of a run's vectors: principal components, kept beside the record."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.nouns import Embeddings
from cliplab.report import embedding_map
from cliplab.report.embedding_map import drawn, project, read_map, write_map
from cliplab.runtime.errors import DataError, FormatTooNew


def test_it_is_the_principal_components_of_scikit_learn():
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)
    vectors[:, 3] *= 5
    points, shares = project(vectors)
    pca = PCA(2, svd_solver="full")
    theirs = pca.fit_transform(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert np.allclose(np.abs(points), np.abs(theirs), atol=1e-4)
    assert np.allclose(shares, pca.explained_variance_ratio_, atol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    vectors = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    whole = project(vectors)[0]
    monkeypatch.setattr(embedding_map, "BLOCK", 7)
    assert np.allclose(project(vectors)[0], whole, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 5), (2, 3), (4, 1)])
def test_few_vectors_have_a_map_too(shape):
    points, shares = project(np.random.default_rng(2).normal(size=shape).astype(np.float32))
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()
    assert 0 <= sum(shares) <= 1 + 1e-9


def seen(n: int = 9) -> Embeddings:
    vectors = np.random.default_rng(3).normal(size=(n, 4)).astype(np.float32)
    ids = np.array([f"ü/{i}.png" for i in range(n)], object)
    return Embeddings(ids, vectors, None, np.zeros(n, np.int64), ("a",), {})


def test_written_and_read_it_is_the_same(tmp_path):
    embeddings = seen()
    write_map(tmp_path, embeddings)
    found = read_map(tmp_path)
    assert found is not None
    assert list(found.ids) == list(embeddings.ids)
    points, shares = project(embeddings.vectors)
    assert np.array_equal(found.points, points)
    assert found.shares == shares


def test_a_run_without_one_has_none_and_a_bad_one_says_so(tmp_path, monkeypatch):
    assert read_map(tmp_path) is None
    (tmp_path / embedding_map.FILE).write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"map\.parquet is damaged .* Run the evaluation again"):
        read_map(tmp_path)
    monkeypatch.setattr(embedding_map, "FORMAT_VERSION", 2)
    write_map(tmp_path, seen())
    monkeypatch.undo()
    with pytest.raises(FormatTooNew):
        read_map(tmp_path)


def test_points_are_drawn_evenly_from_the_classes():
    labels = np.array([0] * 900 + [1] * 20 + [2] * 80)
    rows = drawn(labels, 60)
    assert np.bincount(labels[rows]).tolist() == [20, 20, 20]
    assert rows.tolist() == sorted(set(rows.tolist())) == drawn(labels, 60).tolist()
    assert len(drawn(labels, 5000)) == 1000
