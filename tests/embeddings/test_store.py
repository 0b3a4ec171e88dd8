"""What lies on disk: the schema, the words of the manifest, and that other tools read it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from cliplab.embeddings.extract import embed, fill
from cliplab.embeddings.store import label_column, store_for


@pytest.fixture
def part(make_dataset, toy_encoder, home):
    """The training part of twenty pictures of two tasks, one of which cannot be read."""
    dataset = make_dataset(20, bad=(5,), tasks=("style", "id"))
    folder = fill(dataset, toy_encoder, home=home).folder
    return dataset, folder / "part-00001-of-00002.parquet"


def test_schema_is_the_stated_one(part):
    import pyarrow.parquet as pq

    schema = pq.read_schema(part[1])
    assert [(field.name, str(field.type)) for field in schema] == [
        ("id", "string"),
        ("digest", "string"),
        ("style", "int64"),
        ("label_id", "int64"),
        ("embedding", "fixed_size_list<element: float>[16]"),
        ("features", "fixed_size_list<element: float>[24]"),
    ]
    assert schema.metadata[b"format_version"] == b"1"
    (skipped,) = json.loads(schema.metadata[b"cliplab.skipped"])
    assert (skipped["id"], skipped["digest"]) == ("00005.png", part[0].digests[5])


def test_labels_and_digests_stand_beside_their_pictures(part):
    import pyarrow.parquet as pq

    dataset, path = part
    table = pq.read_table(path).to_pydict()
    row_of = {name: row for row, name in enumerate(dataset.ids)}
    rows = [row_of[name] for name in table["id"]]
    assert rows == [row for row in range(20) if row % 4 and row != 5]
    assert table["style"] == list(dataset.labels["style"][rows])
    assert table["digest"] == list(dataset.digests[rows])


def test_duckdb_and_polars_read_a_part(part, toy_encoder, home):
    import duckdb
    import polars

    dataset, path = part
    embeddings = embed(dataset, toy_encoder, task="style", home=home).embeddings
    expected = embeddings.vectors[list(embeddings.ids).index("00007.png")]
    frame = polars.read_parquet(path).filter(polars.col("id") == "00007.png")
    np.testing.assert_array_equal(frame["embedding"].to_numpy()[0], expected)
    query = "SELECT embedding::FLOAT[16] FROM read_parquet(?) WHERE id = '00007.png'"
    with duckdb.connect() as connection:
        ((vector,),) = connection.execute(query, [str(path)]).fetchall()
    np.testing.assert_array_equal(np.array(vector, dtype=np.float32), expected)


def test_manifest_says_what_made_the_vectors(part):
    dataset, path = part
    manifest = json.loads(path.with_name("manifest.json").read_text("utf-8"))
    assert manifest["encoder"] == {"name": "toy", "seed": 0}
    assert manifest["content"] == dataset.content_digest()
    assert manifest["class_names"]["style"] == ["cat", "dog", "hen"]
    assert manifest["versions"]["numpy"] == np.__version__


def test_folder_changes_with_all_that_changes_the_numbers(make_dataset, toy_encoder, home):
    dataset = make_dataset(5)
    relabelled = dataclasses.replace(dataset, labels={"label": np.zeros(5, dtype=np.int64)})
    renamed = dataclasses.replace(dataset, name="another name")

    def folder(data=dataset, batch=64, limit=100):
        return store_for(data, toy_encoder, batch, limit, home).folder.name.split("-")

    settings, content = folder()
    assert folder(renamed) == [settings, content]
    assert folder(relabelled)[0] == settings
    assert folder(limit=101)[0] == settings
    assert folder(batch=32)[1] == content
    assert len({tuple(f) for f in (folder(), folder(relabelled), folder(limit=101))}) == 3
    assert folder(batch=32)[0] != settings


def test_a_task_named_like_a_column_gets_one_of_its_own():
    assert label_column("genre") == "genre"
    assert label_column("embedding") == "label_embedding"
