"""The data-set card: README.md with the YAML that Hugging Face `datasets` reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cliplab.nouns import Dataset

# Licence names that the hub knows; any other is "other" with its name beside it.
HUB_LICENCES = frozenset(
    (
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "unlicense", "cc0-1.0"),
        *("cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
        *("odbl", "odc-by", "pddl", "unknown"),
    )
)


class SplitSize(NamedTuple):
    """How much one split of the files holds."""

    name: str
    rows: int
    size: int  # bytes on disk


def card_text(
    dataset: Dataset, features: Sequence[Mapping[str, Any]], splits: Sequence[SplitSize]
) -> str:
    """README.md of a prepared data set: YAML head, description, licence and citation.

    `features` is the list of columns in the card's own notation (`yaml_features`).
    """
    from huggingface_hub import DatasetCardData

    total = sum(split.size for split in splits)
    head: dict[str, Any] = {
        "pretty_name": dataset.name,
        **_licence(dataset.card.licence),
        "task_categories": _categories(dataset),
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s.name, "path": f"data/{s.name}-*"} for s in splits],
            }
        ],
        "dataset_info": {
            "features": [dict(feature) for feature in features],
            "splits": [
                {"name": s.name, "num_bytes": s.size, "num_examples": s.rows} for s in splits
            ],
            "download_size": total,
            "dataset_size": total,
        },
    }
    yaml_head = DatasetCardData(ignore_metadata_errors=False, **head).to_yaml(line_break="\n")
    return f"---\n{yaml_head.strip()}\n---\n\n{_body(dataset)}"


def yaml_features(
    tasks: Mapping[str, Sequence[str]], strings: Sequence[str], captions: bool
) -> list[dict[str, Any]]:
    """Columns in the notation of a card: the picture, its id, tasks with class names, and so on."""
    features: list[dict[str, Any]] = [{"name": "image", "dtype": "image"}]
    features.append({"name": "id", "dtype": "string"})
    for task, class_names in tasks.items():
        names = {str(number): name for number, name in enumerate(class_names)}
        features.append({"name": task, "dtype": {"class_label": {"names": names}}})
    features += [{"name": name, "dtype": "string"} for name in strings]
    if captions:
        features.append({"name": "caption", "list": "string"})
    return features


def _categories(dataset: Dataset) -> list[str]:
    classified = any(task.class_names for task in dataset.tasks.values())
    return ["image-classification"] * classified + ["image-to-text"] * (not classified)


def _licence(licence: str) -> dict[str, str]:
    if not licence:
        return {"license": "unknown"}
    slug = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-")
    if slug in HUB_LICENCES:
        return {"license": slug}
    return {"license": "other", "license_name": slug}


def _body(dataset: Dataset) -> str:
    card = dataset.card
    parts = [f"# {dataset.name}"]
    if card.description:
        parts.append(card.description.strip())
    if card.homepage:
        parts.append(f"Source: {card.homepage}")
    parts.append(f"## Licence\n\n{card.licence or 'Not stated by the source.'}")
    if card.citation:
        parts.append(f"## Citation\n\n```\n{card.citation.strip()}\n```")
    parts.append(
        "Written by cliplab. The pictures are the source's own encoded bytes, not encoded again; "
        "a label of -1 means unlabelled."
    )
    return "\n\n".join(parts) + "\n"
