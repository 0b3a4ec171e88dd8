"""Average precision by hand and as the original walks a ranking; recalls as CLIP_benchmark's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliplab.metrics.retrieval import (
    average_precision,
    caption_ranks,
    mean_over_queries,
    recall,
)


def walked(ranking: list[int], n_wanted: int) -> float:
    """Average precision by walking down the list, as the benchmark's description has it."""
    area, found, seen = 0.0, 0, 0
    recall_before, precision_before = 0.0, 1.0
    for kind in ranking:
        if kind == -1:
            continue
        found, seen = found + (kind == 1), seen + 1
        recall_now, precision_now = found / n_wanted, found / seen
        area += (recall_now - recall_before) * (precision_before + precision_now) / 2
        recall_before, precision_before = recall_now, precision_now
    return area


@pytest.mark.parametrize(
    ("ranking", "n_wanted", "expected"),
    [
        ([1, 1, 1], 3, 1.0),
        ([0, 1], 1, (0 + 1 / 2) / 2),
        ([-1, 1], 1, 1.0),  # junk before it does not count
        ([1, 0, 1, 0, 0], 2, 1 / 2 * 1 + 1 / 2 * (1 / 2 + 2 / 3) / 2),
        ([1, 0, 1, 0, 0], 4, 1 / 4 * 1 + 1 / 4 * (1 / 2 + 2 / 3) / 2),  # two were never found
        ([0, -1, 0, 1, -1, 1], 2, 1 / 2 * (0 + 1 / 3) / 2 + 1 / 2 * (1 / 3 + 2 / 4) / 2),
        ([0, 0, -1], 2, 0.0),
    ],
)
def test_average_precision_by_hand(ranking, n_wanted, expected):
    assert average_precision(np.array(ranking), n_wanted) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.sampled_from([1, 0, -1]), min_size=1, max_size=40), st.integers(0, 5))
def test_average_precision_is_that_of_a_walk_down_the_list(ranking, missing):
    n_wanted = ranking.count(1) + missing
    if n_wanted:
        found = average_precision(np.array(ranking), n_wanted)
        assert found == pytest.approx(walked(ranking, n_wanted), abs=1e-12)
        assert 0 <= found <= 1


def test_average_precision_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="0 that are wanted"):
        average_precision(np.array([0]), 0)
    with pytest.raises(ValueError, match="2 pictures found of 1"):
        average_precision(np.array([1, 1]), 1)


def test_the_mean_over_queries_holds_its_interval():
    values = np.array([0.2, 0.4, 0.9])
    found = mean_over_queries(values, seed=0)
    assert found.value == pytest.approx(0.5)
    assert 0.2 <= found.low < 0.5 < found.high <= 0.9
    assert mean_over_queries(values, seed=0) == found
    assert mean_over_queries(np.zeros(0), seed=0).value is None


# ------------------------------------------------------------------------------- captions


def unit(rows: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def benchmark(pictures, captions, owner, k: int) -> tuple[float, float]:
    """Recalls of the pairs by their matrix, as LAION's CLIP_benchmark defines them."""
    import torch

    scores = torch.from_numpy(captions) @ torch.from_numpy(pictures).T
    positive = torch.nn.functional.one_hot(torch.from_numpy(owner), len(pictures)).bool()
    by_caption = positive.gather(1, scores.topk(k, dim=1).indices).any(dim=1)
    by_picture = positive.T.gather(1, scores.T.topk(k, dim=1).indices).any(dim=1)
    return float(by_caption.double().mean()), float(by_picture.double().mean())


@pytest.mark.parametrize("block", [1, 100, 10**6])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_recalls_are_those_of_clip_benchmark(k, block):
    generator = np.random.default_rng(0)
    pictures = unit(40, 8, seed=1)
    owner = np.sort(np.concatenate([np.arange(40), generator.integers(0, 40, size=80)]))
    captions = pictures[owner] + 0.5 * generator.normal(size=(120, 8))
    captions = (captions / np.linalg.norm(captions, axis=1, keepdims=True)).astype(np.float32)
    ranks = caption_ranks(pictures, captions, owner, block)
    image = recall(ranks.of_picture, owner, k, 40, seed=0)
    text = recall(ranks.of_caption, np.arange(40), k, 120, seed=0)
    expected = benchmark(pictures, captions, owner, k)
    assert (image.value, text.value) == pytest.approx(expected, abs=1e-12)
    assert 0 < image.value < 1
    assert image.low < image.value < image.high


def test_of_equal_captions_the_first_is_found_first():
    pictures = np.eye(3, dtype=np.float32)
    captions = pictures[[0, 0, 2]]  # the second picture's caption is the first one's
    ranks = caption_ranks(pictures, captions, np.array([0, 1, 2]))
    assert ranks.of_picture.tolist() == [0, 1, 0]
    assert ranks.of_caption.tolist() == [0, 1, 0]


def test_the_captions_of_a_picture_are_drawn_together():
    groups = np.repeat(np.arange(50), 4)
    ranks = np.where(groups < 25, 0, 9)
    together = recall(ranks, groups, 1, 50, seed=0)
    alone = recall(ranks, np.arange(200), 1, 50, seed=0)
    assert together.value == alone.value == 0.5
    assert together.high - together.low > 1.7 * (alone.high - alone.low)  # √4 = 2 in expectation


def test_what_could_not_be_missed_is_not_scored():
    assert recall(np.zeros(3, dtype=np.int64), np.arange(3), 5, 3, seed=0).value is None
    with pytest.raises(ValueError, match="caption of its own"):
        caption_ranks(unit(2, 4, 0), unit(2, 4, 1), np.array([0, 0]))
