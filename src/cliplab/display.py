"""How the nouns show themselves in a notebook: plain values → HTML that stands alone.

No script, no style sheet and no address of the web: colours and bars are inline, and the numbers
stand beside the bars, so that a viewer that strips styles shows the same table. Every name comes
from data and may hold anything: it is escaped, its control characters are written out, its
direction stays its own, and it is cut where it is long, whole in the tooltip.

The lowest layer, beneath the nouns; imports nothing of ours.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

NOT_SCORED = "–"
LONGEST_NAME = 60  # characters of a name that are shown
MOST_CLASSES = 400  # rows of a table by class
MOST_MISTAKES = 5
_METRICS = {"top1": "top-1", "top5": "top-5", "mean_per_class": "mean per class", "ece": "ECE"}
_LEFT, _RIGHT = "text-align:left", "text-align:right"
_QUIET = "opacity:.75;margin:.2em 0"


def printable(text: str) -> str:
    """Give the text with control characters written out: they can neither steer nor hide."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def name_html(text: object) -> str:
    """Give a name as HTML: escaped, cut if it is long, in a direction of its own.

    Examples
    --------
    >>> name_html("<script>")
    '<bdi>&lt;script&gt;</bdi>'
    """
    whole = printable(str(text))
    shown = whole if len(whole) <= LONGEST_NAME else whole[: LONGEST_NAME - 1] + "…"
    title = f' title="{html.escape(whole)}"' if shown != whole else ""
    return f"<bdi{title}>{html.escape(shown)}</bdi>"


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """Give a table; head and cells are HTML, of which the first `names` stand to the left."""

    def line(cells: Sequence[str], tag: str) -> str:
        sides = [_LEFT if place < names else _RIGHT for place in range(len(cells))]
        return "".join(f'<{tag} style="{s}">{c}</{tag}>' for s, c in zip(sides, cells, strict=True))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def bar_html(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Give a share in 0..1 as a bar, its interval as a line across the end; "" if not scored."""
    if value is None:
        return ""
    ends = () if low is None or high is None else (low, high)
    across = ""
    if ends:
        left, wide = 100 * max(0.0, ends[0]), 100 * (min(1.0, ends[1]) - max(0.0, ends[0]))
        across = (
            f'<span style="position:absolute;left:{left:.1f}%;width:{wide:.1f}%;top:45%;'
            'height:2px;background:currentColor"></span>'
        )
    return (
        '<span style="display:inline-block;position:relative;width:9em;height:.8em;'
        'background:rgba(128,128,128,.2)" aria-hidden="true">'
        f'<span style="position:absolute;left:0;top:0;height:100%;width:{100 * value:.1f}%;'
        f'background:rgba(48,122,200,.6)"></span>{across}</span>'
    )


# -------------------------------------------------------------------------------- the nouns


def record_html(data: Mapping[str, Any]) -> str:
    """Give a record: what was measured, a row for each classifier, and a bar for each class."""
    if "encoder" not in data:
        return _of_another_kind(data)
    dataset, encoder = data["dataset"], data["encoder"]
    head = (
        f"<p><b>{name_html(dataset['name'])}</b> ({name_html(dataset['task'])}) seen by "
        f"<b>{name_html(encoder['name'])}</b>: {dataset['n']:,} pictures of "
        f"{dataset['n_total']:,}, {name_html(dataset['split'])}</p>"
    )
    parts = [head]
    if data.get("retrieval"):
        parts.append(_retrieval(data["retrieval"]["metrics"]))
    if data.get("results"):
        parts += [_results(data["results"]), _by_class(data["results"])]
    skipped = len(data.get("skipped", ()))
    if skipped:
        parts.append(f'<p style="{_QUIET}">{skipped:,} pictures could not be read</p>')
    parts += [f'<p style="{_QUIET}">{name_html(text)}</p>' for text in data.get("warnings", ())]
    parts.append(f'<p style="{_QUIET}">95 % intervals · run: {name_html(data.get("run", ""))}</p>')
    return f"<div>{''.join(parts)}</div>"


def dataset_html(dataset: Any) -> str:
    """Give a `Dataset`: its tasks, how many pictures each split has, its licence and place."""
    rows = []
    for name, task in dataset.tasks.items():
        counts = {
            s: int((dataset.splits[name] == s).sum()) for s in ("train", "validation", "test")
        }
        some = ", ".join(name_html(c) for c in task.class_names[:3])
        more = ", …" if len(task.class_names) > 3 else ""
        rows.append(
            [
                name_html(name),
                f"{some}{more}",
                f"{len(task.class_names):,}",
                *(f"{n:,}" if n else NOT_SCORED for n in counts.values()),
            ]
        )
    head = ("task", "classes", "n", "train", "validation", "test")
    told = [
        f"split: {name_html(dataset.split_origin)}",
        f"licence: {name_html(dataset.card.licence)}" if dataset.card.licence else "",
        f"read from {name_html(dataset.location)}" if dataset.location else "",
        "with captions" if dataset.captions is not None else "",
    ]
    return (
        f"<div><p><b>{name_html(dataset.name)}</b>: {len(dataset):,} pictures</p>"
        f"{table_html(head, rows, names=2)}"
        f'<p style="{_QUIET}">{" · ".join(filter(None, told))}</p></div>'
    )


def embeddings_html(embeddings: Any) -> str:
    """Give `Embeddings`: how many vectors of what width, of which classes, made by what."""
    features = embeddings.features
    rows = [
        ("pictures", f"{len(embeddings):,}"),
        ("joint space", f"{embeddings.vectors.shape[1]:,} wide, raw"),
        (
            "before the projection",
            "no such layer" if features is None else f"{features.shape[1]:,} wide, raw",
        ),
        ("classes", f"{len(embeddings.class_names):,}"),
        ("could not be read", f"{len(embeddings.skipped):,}"),
    ]
    rows += [
        (name_html(key), name_html(value))
        for key, value in embeddings.identity.items()
        if _plain(value)
    ]
    return f"<div>{table_html(('embeddings', ''), rows, names=2)}</div>"


def predictions_html(predictions: Any) -> str:
    """Give `Predictions`: how many are right, and the mistakes that were made most surely."""
    import numpy as np

    labels, predicted, names = predictions.labels, predictions.predicted, predictions.class_names
    right = int((labels == predicted).sum())
    share = f" ({100 * right / len(labels):.1f} %)" if len(labels) else ""
    told = f"<p><b>{right:,} of {len(labels):,} right</b>{share}, {len(names):,} classes</p>"
    sure = predictions.scores.max(axis=1) if len(labels) else np.zeros(0)
    wrong = np.flatnonzero(labels != predicted)
    first = wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISTAKES]
    rows = [
        (
            name_html(predictions.ids[row]),
            name_html(names[labels[row]]),
            name_html(names[predicted[row]]),
            f"{100 * float(np.exp(sure[row])):.1f}",
        )
        for row in first
    ]
    if not rows:
        return f"<div>{told}</div>"
    head = ("surest mistakes", "label", "taken for", "%")
    return f"<div>{told}{table_html(head, rows, names=3)}</div>"


class RecordInNotebook:
    """A record that shows itself in a notebook."""

    __slots__ = ()

    def _repr_html_(self: Any) -> str:
        return record_html(self.data)


class DatasetInNotebook:
    """A data set that shows itself in a notebook."""

    __slots__ = ()
    _repr_html_ = dataset_html


class EmbeddingsInNotebook:
    """Embeddings that show themselves in a notebook."""

    __slots__ = ()
    _repr_html_ = embeddings_html


class PredictionsInNotebook:
    """Predictions that show themselves in a notebook."""

    __slots__ = ()
    _repr_html_ = predictions_html


# -------------------------------------------------------------------------------- of a record


def _results(results: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for result in results:
        top1 = result["metrics"].get("top1") or {}
        rows.append(
            [
                name_html(result["classifier"]["name"].replace("_", " ")),
                bar_html(*(top1.get(key) for key in ("value", "low", "high"))),
                *(_with_interval(result["metrics"].get(key)) for key in _METRICS),
            ]
        )
    head = ("classifier", "top-1", *(f"{title}, %" for title in _METRICS.values()))
    return table_html(head, rows, names=2)


def _by_class(results: Sequence[Mapping[str, Any]]) -> str:
    """Bars of every class, folded; a column for each classifier, in the order of the labels."""
    blocks = [result["per_class"] for result in results]
    head = ["class", "n"]
    head += [name_html(result["classifier"]["name"].replace("_", " ")) for result in results]
    rows = []
    for entries in list(zip(*blocks, strict=True))[:MOST_CLASSES]:
        cells = [
            f"{_percent(e['accuracy'])} {bar_html(e['accuracy'], e['low'], e['high'])}"
            for e in entries
        ]
        rows.append([name_html(entries[0]["name"]), f"{entries[0]['n']:,}", *cells])
    left = len(blocks[0]) - len(rows)
    more = f"<p>and {left:,} more, in the record</p>" if left else ""
    return f"<details><summary>by class, %</summary>{table_html(head, rows)}{more}</details>"


def _retrieval(metrics: Mapping[str, Any]) -> str:
    rows = [
        (name_html(key), bar_html(m["value"], m["low"], m["high"]), _with_interval(m))
        for key, m in metrics.items()
    ]
    return table_html(("retrieval", "", "%"), rows, names=2)


def _of_another_kind(data: Mapping[str, Any]) -> str:
    """Give the record of a tokenizer, or of drawings: its plain entries, and all its measures."""
    told = [(name_html(key), name_html(value)) for key, value in data.items() if _plain(value)]
    measured = [
        (" · ".join(map(name_html, path)), _number(one["value"]), _number(one["low"], one["high"]))
        for path, one in _measures(data)
    ]
    tables = table_html(("record", ""), told, names=2)
    if measured:
        tables += table_html(("measured", "", "95 % interval"), measured)
    return f"<div>{tables}</div>"


def _measures(data: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Any]:
    """Give each measure of a record with the names on the way to it."""
    for key, value in data.items():
        if not isinstance(value, Mapping):
            continue
        if set(value) == {"value", "low", "high"}:
            yield (*path, key), value
        else:
            yield from _measures(value, (*path, key))


def _number(*values: float | None) -> str:
    if any(value is None for value in values):
        return NOT_SCORED
    return " to ".join(f"{value:.4g}" for value in values)


def _with_interval(measure: Mapping[str, Any] | None) -> str:
    if measure is None or measure["value"] is None:
        return NOT_SCORED
    low, high = measure["low"], measure["high"]
    between = "" if low is None or high is None else f" [{_percent(low)}, {_percent(high)}]"
    return _percent(measure["value"]) + between


def _percent(value: float | None) -> str:
    return NOT_SCORED if value is None else f"{100 * value:.1f}"


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
