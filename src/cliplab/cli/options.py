"""Options that several commands share, each said once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cliplab.nouns import DEFAULT_ENCODER

MODEL, PROTOCOL, PICTURES = "Encoder", "Protocol", "Pictures"
MACHINE, OUTPUT = "Machine", "Output"

Config = TypeVar("Config")

Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        "-e",
        help="OpenCLIP's ARCH/TAG, or a folder made by `cliplab train clip`.",
        rich_help_panel=MODEL,
    ),
]
Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        "-e",
        help="OpenCLIP's ARCH/TAG, or a folder made by `cliplab train clip`; may be repeated. "
        f"Default: {DEFAULT_ENCODER}.",
        rich_help_panel=MODEL,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="A local checkpoint: safetensors, an OpenCLIP state dict, or OpenAI's archive.",
        rich_help_panel=MODEL,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="fp32, bf16 or fp16. Default: fp32.",
        rich_help_panel=MACHINE,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:1, mps.",
        rich_help_panel=MACHINE,
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        min=1,
        help="Pictures encoded at once.",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Threads that read and decode. Default: one a core.",
        rich_help_panel=MACHINE,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        help="What training may take, such as 2GiB. Default: what is free, less a margin.",
        rich_help_panel=MACHINE,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        help="Of the validation split and the bootstrap.",
        rich_help_panel=MACHINE,
    ),
]
OnBad = Annotated[
    str,
    typer.Option(
        "--on-bad",
        help="An unreadable picture is listed (list) or ends the run (fail).",
        rich_help_panel=PICTURES,
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        help="Larger pictures count as unreadable: a guard against decompression bombs.",
        rich_help_panel=PICTURES,
    ),
]
Archives = Annotated[
    Path | None,
    typer.Option(
        "--archives",
        help="A folder in which archives lie already, also one level down; it is only read.",
        rich_help_panel=PICTURES,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Download nothing; tell what is missing.",
        rich_help_panel=PICTURES,
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of prepared data and embeddings. Default: CLIPLAB_HOME, else the user's "
        "data directory.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as JSON.",
        rich_help_panel=OUTPUT,
    ),
]
Runs = Annotated[
    Path,
    typer.Option(
        "--runs",
        help="Folder of the runs.",
        rich_help_panel=OUTPUT,
    ),
]

ProbeProtocol = Annotated[
    str,
    typer.Option(
        "--protocol",
        help="Of the linear probe. paper: CLIP's, features before the projection, C searched on "
        "validation pictures; fast: the same, solved less finely while searching; readme: CLIP's "
        "README's, projected features, C = 0.316.",
        rich_help_panel=PROTOCOL,
    ),
]
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="What is read: pre (before the projection) or post. Default: the protocol's for the "
        "probe; post for retrieval.",
        rich_help_panel=PROTOCOL,
    ),
]
Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize",
        help="Scale the probe's features to unit length.",
        rich_help_panel=PROTOCOL,
    ),
]
FixedC = Annotated[
    float | None,
    typer.Option(
        "--c",
        help="The probe's C. Default: the protocol's: 0.316, or chosen on validation pictures.",
        rich_help_panel=PROTOCOL,
    ),
]

Shots = Annotated[
    list[str] | None,
    typer.Option(
        "--shots",
        help="Few-shot curves too: training pictures a class, as 1,2,4,8,16. Default: none.",
        rich_help_panel=PROTOCOL,
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        "--repeats",
        help="Draws for each number of shots.",
        rich_help_panel=PROTOCOL,
    ),
]

Datasets = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET...",
        help="A folder of pictures, a catalogue name (`cliplab datasets`), hf:owner/name or wds:…; "
        "`:task` after it chooses the labels.",
    ),
]
Dataset = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A folder of pictures, a catalogue name (`cliplab datasets`), hf:owner/name or wds:…; "
        "`:task` after it chooses the labels.",
    ),
]
Domains = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET...",
        help="A data set with parts (domainnet), a folder whose folders are domains with the same "
        "class folders, or a DATASET for each domain.",
    ),
]
Trained = Annotated[
    str,
    typer.Option(
        "--classifier",
        help="What is trained on each domain: linear_probe, knn, ….",
        rich_help_panel=PROTOCOL,
    ),
]
OutCells = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder of the cells' runs. Default: ./runs/transfer-DATASET-ENCODER-DIGEST.",
        rich_help_panel=OUTPUT,
    ),
]
Classifiers = Annotated[
    list[str] | None,
    typer.Option(
        "--classifier",
        help="zero_shot, linear_probe, mixed, knn, ridge, nearest_mean; several with commas. "
        "Default: the first two.",
        rich_help_panel=PROTOCOL,
    ),
]
TrainOn = Annotated[
    str | None,
    typer.Option(
        "--train-on",
        metavar="DATASET",
        help="Fit the probe on the training pictures of another data set; classes are matched by "
        "name.",
        rich_help_panel=PROTOCOL,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help="What is scored; `all` is for zero-shot alone.",
        rich_help_panel=PROTOCOL,
    ),
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        help="A caption template, `{}` stands for the class; may be repeated.",
        rich_help_panel=PROTOCOL,
    ),
]
PromptSet = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        help="Templates by name (simple, openai-7, openai-80) or from a file. Default: the data "
        "set's own, else simple.",
        rich_help_panel=PROTOCOL,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        help="A file of readable class names: one a line, or `code,name`.",
        rich_help_panel=PROTOCOL,
    ),
]
Deduplicate = Annotated[
    bool,
    typer.Option(
        "--deduplicate",
        help="Count a picture that stands in the data set more than once a single time: the same "
        "bytes, in WikiArt the same file name.",
        rich_help_panel=PROTOCOL,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder of the run (of the runs, if several). Default: ./runs/DATASET-ENCODER-DATE.",
        rich_help_panel=OUTPUT,
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="Write the table to this file as well.",
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        "--report/--no-report",
        help="Write the page to look at, report.html, as well; --no-report does not.",
        rich_help_panel=OUTPUT,
    ),
]
AllClasses = Annotated[
    bool,
    typer.Option(
        "--all-classes",
        help="Print every class, however many there are.",
        rich_help_panel=OUTPUT,
    ),
]
Tokenizer = Annotated[
    str,
    typer.Option(
        "--tokenizer",
        "-t",
        help="A folder made by `cliplab train tokenizer`, or with OpenAI's encoder.pkl and "
        "decoder.pkl; `openai` downloads these.",
        rich_help_panel=MODEL,
    ),
]
TokenizerSize = Annotated[
    int | None,
    typer.Option(
        "--size",
        min=1,
        help="Pixels a side that pictures are brought to. Default: what the tokenizer was trained "
        "at (openai: 256).",
        rich_help_panel=MODEL,
    ),
]


def split_commas(values: Iterable[str]) -> tuple[str, ...]:
    """`a,b` given once and `a` `b` given apart mean the same."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def whole_numbers(name: str, values: Iterable[str]) -> tuple[int, ...]:
    """Whole numbers given with commas or apart; anything else is refused by the option's name."""
    from cliplab.runtime.errors import UsageError

    given = split_commas(values)
    if not all(text.isascii() and text.lstrip("-").isdigit() for text in given):
        raise UsageError(f"{name} {','.join(given)}: give whole numbers, as 1,2,4,8,16.")
    return tuple(int(text) for text in given)


def filled(config: type[Config], given: Mapping[str, Any], **changed: Any) -> Config:
    """Make a configuration of a command's options, which are named as its fields are.

    `given` are the command's `locals()` before anything else is named; `changed` go before them.
    """
    values = {**given, **changed}
    names = inspect.signature(config).parameters
    return config(**{name: values[name] for name in names if name in values})
