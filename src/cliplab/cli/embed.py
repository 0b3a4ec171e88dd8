"""`cliplab embed`: pictures to embeddings, resumed where a killed run stopped."""

from __future__ import annotations

from cliplab.cli import options, show
from cliplab.nouns import DEFAULT_ENCODER


def embed(
    dataset: options.Dataset,
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Encode every picture of a data set into Parquet; a killed run goes on where it stopped.

    Vectors are kept by content: pictures that were encoded before are not encoded again.
    """
    from cliplab.datasets.family import open_dataset
    from cliplab.embeddings.extract import ExtractConfig, fill
    from cliplab.encoders.open_clip import load_encoder
    from cliplab.runtime.storage import home as home_of

    place = home_of(home)
    data, _task = open_dataset(dataset, home=place)
    eye = load_encoder(encoder, weights=weights, device=device, precision=precision)
    config = ExtractConfig(
        batch_size=batch_size, workers=workers, on_bad=on_bad, max_pixels=max_pixels
    )
    show.fields(fill(data, eye, config=config, home=place)._asdict(), json=json)
