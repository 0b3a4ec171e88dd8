"""What is shown of a run, in numbers and words."""

from __future__ import annotations

import pytest

from cliplab.report.run_view import short_name, view_of


def test_rows_bars_and_pairs_are_those_of_the_record(run):
    view = view_of("r0", run)
    assert [row.name for row in view.classes] == ["cat", "dog", "owl"]
    dog = view.classes[1]
    assert (dog.n, dog.bars[0].text, dog.bars[1].text, dog.difference) == (2, "50.0", "100.0", 50.0)
    owl = view.classes[2]
    assert (owl.n, owl.bars[0].value, owl.bars[0].text, owl.difference) == (0, None, "–", None)
    assert [(p.classifier, p.given, p.said, p.n, p.share) for p in view.pairs] == [
        (0, 1, 2, 1, "50.0")
    ]


def test_the_headline_has_its_interval(run):
    tile = view_of("r0", run).tiles[0]
    assert (tile.title, tile.value, tile.interval) == ("zero-shot", "75.0", "30.0 to 95.5")
    assert dict(tile.others)["top-5"] == "–"


def test_it_says_whether_a_difference_may_be_noise(run):
    told = view_of("r0", run).sentences
    assert len(told) == 1
    assert told[0].startswith("zero-shot against linear probe on the same pictures: -25.0")
    assert "which may be noise" in told[0]


def test_one_classifier_alone_is_compared_with_none(make, tmp_path):
    run = make.run(tmp_path / "run", {"zero_shot": make.predictions([0, 1, 2, 0])})
    view = view_of("r0", run)
    assert view.sentences == ()
    assert all(row.difference is None for row in view.classes)


def test_a_run_of_a_reported_task_stands_beside_the_report(make, tmp_path, predictions):
    block = {"name": "domainnet/clipart", "task": "label"}
    view = view_of("r0", make.run(tmp_path / "run", predictions, dataset=block))
    assert view.reported is not None
    assert "reported top-1 %" in view.charts["overall"][0].columns


@pytest.mark.parametrize(
    ("name", "short"),
    [("/data/x/photos", "photos"), ("domainnet/clipart", "domainnet/clipart"), ("~/a/b/", "b"),
     ("hf:owner/name", "hf:owner/name"), ("ViT-B-32/openai", "ViT-B-32/openai")],
)  # fmt: skip
def test_a_path_is_called_by_its_end(name, short):
    assert short_name(name) == short
