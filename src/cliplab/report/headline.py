"""The first line of a run: what is being measured; and names in the form that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from cliplab.display import printable as printable
from cliplab.nouns import Record

_CLASSIFIERS = {"zero_shot": "zero-shot", "linear_probe": "linear probe", "knn": "kNN"}
_ACTIVATIONS = {"quick_gelu": "QuickGELU", "quickgelu": "QuickGELU", "gelu": "GELU"}
_REASONS = 2  # as many skipped pictures are named


def classifier_title(name: str) -> str:
    """Name of a classifier in words: "zero_shot" is "zero-shot"."""
    return _CLASSIFIERS.get(name, name.replace("_", " "))


def headline(about: Record | Mapping[str, Any]) -> str:
    """Say in one line what is measured: encoder, prompts, classifiers, precision, pictures.

    Parameters
    ----------
    about
        A record; or, before there is one, a mapping with the blocks `encoder`, `dataset` and
        `prompts` of a record, and `classifiers`, a list of names.

    Examples
    --------
    >>> headline({
    ...     "encoder": {"name": "toy", "identity": {"precision": "fp32"}},
    ...     "prompts": None,
    ...     "classifiers": ["linear_probe"],
    ...     "dataset": {"n": 20, "n_total": 100, "split": "test", "split_origin": "given"},
    ... })
    'encoder toy (fp32) · linear probe · scored 20 of 100 (held out, given split)'
    """
    data = about.data if isinstance(about, Record) else about
    if "retrieval" in data:
        parts = [f"encoder {_encoder(data)}", _searched(data["retrieval"])]
        return printable(
            " · ".join([*parts, *filter(None, [skipped_note(data.get("skipped", ()))])])
        )
    names = data.get("classifiers") or [r["classifier"]["name"] for r in data["results"]]
    parts = [
        f"encoder {_encoder(data)}",
        _prompts(data.get("prompts")),
        _and([classifier_title(name) for name in names]) + _trained_on(data),
        _scored(data["dataset"]),
        _untrained(data, names),
        skipped_note(data.get("skipped", ())),
    ]
    return printable(" · ".join(part for part in parts if part))


def skipped_note(skipped: Sequence[Mapping[str, Any]]) -> str:
    """Say how many pictures were skipped, and why the first of them; empty if none was."""
    if not skipped:
        return ""
    reasons = "; ".join(f"{s['id']}: {_cut(s['reason'])}" for s in skipped[:_REASONS])
    more = "; …" if len(skipped) > _REASONS else ""
    return printable(f"skipped {len(skipped):,} that cannot be read ({reasons}{more})")


def _encoder(data: Mapping[str, Any]) -> str:
    identity = data["encoder"].get("identity", {})
    activation = identity.get("activation")
    settings = data.get("config", {})
    told = [
        PurePath(settings.get("weights") or "").name,
        _ACTIVATIONS.get(str(activation).lower(), activation),
        identity.get("precision") or settings.get("precision"),
    ]
    inside = ", ".join(str(item) for item in told if item)
    name = str(data["encoder"]["name"])
    return f"{name} ({inside})" if inside else name


def _prompts(prompts: Mapping[str, Any] | None) -> str:
    if prompts is None:
        return ""
    n_own = len(prompts["per_class"])
    own = f"{n_own} classes with their own" if n_own else ""
    counted = str(len(prompts["templates"])) if prompts["templates"] or not own else ""
    return f"prompts {prompts['name']} ({', '.join(filter(None, [counted, own]))})"


def _scored(dataset: Mapping[str, Any]) -> str:
    kinds = {"test": "held out", "all": "all splits"}
    which = kinds.get(dataset["split"], dataset["split"])
    if dataset["split"] != "all":
        which += f", {dataset['split_origin']} split"
    return f"scored {dataset['n']:,} of {dataset['n_total']:,} ({which})"


def _trained_on(data: Mapping[str, Any]) -> str:
    source = data.get("trained_on")
    return f", trained on {source['n']:,} of {source['name']}" if source else ""


def _searched(retrieval: Mapping[str, Any]) -> str:
    settings = retrieval["settings"]
    asked = settings.get("n_queries", settings.get("n_captions"))
    projection = "before" if settings["features"] == "pre" else "after"
    return (
        f"retrieval {projection} the projection · {asked:,} {retrieval['kind']}, "
        f"{settings['n_pictures']:,} pictures"
    )


def _untrained(data: Mapping[str, Any], classifiers: Sequence[str]) -> str:
    """Say how many classes a probe could not learn; empty where it learned from other pictures."""
    missing = data["dataset"].get("untrained", ())
    if not missing or data.get("trained_on") or set(classifiers) == {"zero_shot"}:
        return ""
    more = ", …" if len(missing) > _REASONS else ""
    kind = "class" if len(missing) == 1 else "classes"
    return (
        f"{len(missing)} {kind} without training pictures ({', '.join(missing[:_REASONS])}{more})"
    )


def _and(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _cut(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
