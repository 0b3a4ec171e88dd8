"""`cliplab tokenize`: a data set's pictures as tokens, resumed where a killed run stopped."""

from __future__ import annotations

from cliplab.cli import options, show


def tokenize(
    dataset: options.Dataset,
    tokenizer: options.Tokenizer,
    size: options.TokenizerSize = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Write every picture of a data set as tokens into Parquet, for a prior to learn from.

    They lie under HOME/tokens/; a killed run goes on where it stopped.
    """
    from cliplab.datasets.family import open_dataset
    from cliplab.runtime.storage import home as home_of
    from cliplab.tokenizers.opening import load_tokenizer
    from cliplab.tokenizers.token_store import tokenize_dataset

    place = home_of(home)
    data, _task = open_dataset(dataset, home=place)
    made = load_tokenizer(tokenizer, size=size, device=device, home=home)
    found = tokenize_dataset(data, made, home=place, workers=workers, on_bad=on_bad)
    show.tokenized(found, json=json)
