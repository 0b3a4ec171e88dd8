"""How results are printed: tables on stdout for people, one JSON value for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliplab.runtime.progress import say

if TYPE_CHECKING:
    from cliplab.audit import Audit
    from cliplab.classification import Classified
    from cliplab.datasets.check import Address
    from cliplab.datasets.entry import CatalogueEntry
    from cliplab.demo import Demonstration
    from cliplab.nouns import Record
    from cliplab.reconstruction import Reconstructed
    from cliplab.report.compare import Comparison
    from cliplab.report.reported import BesideReported
    from cliplab.report.runs import RunEntry
    from cliplab.reproduction import Reproduction
    from cliplab.tokenizers.token_store import Tokenized
    from cliplab.transfer import Transfer


def as_json(value: object) -> None:
    """Print one JSON value: UTF-8, two spaces."""
    import json

    from cliplab.report.blocks import plain

    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def line(json_wanted: bool) -> Callable[[str], None]:
    """Give what prints a line for people: to stdout, or to stderr where stdout is for programs."""
    return say if json_wanted else lambda text: print(text, flush=True)


def records(found: Sequence[Record], *, json: bool, all_classes: bool) -> None:
    """Print one evaluation overall and by class, or the table of several."""
    from cliplab.report.found import landmarks_table, retrieval_table
    from cliplab.report.headline import skipped_note
    from cliplab.report.layout import print_tables
    from cliplab.report.tables import evaluation_table, few_note, per_class_table, suite_table

    if json:
        as_json(found[0].data if len(found) == 1 else [record.data for record in found])
        return
    print()
    if "retrieval" in found[0].data:
        print_tables(retrieval_table(found))
        if len(found) == 1 and found[0]["retrieval"]["groups"]:
            print()
            print_tables(landmarks_table(found[0]))
    elif len(found) > 1:
        print_tables(suite_table(found))
    else:
        print_tables(evaluation_table(found[0]))
        print()
        print_tables(per_class_table(found[0], all_classes=all_classes))
        if note := few_note([result["per_class"] for result in found[0]["results"]]):
            print(note)
    print()
    for record in found:
        _few_shot(record, several=len(found) > 1)
        if note := skipped_note(record["skipped"]):
            print(f"{record['dataset']['name']}: {note}")
        print(f"record: {record.run / 'record.json'}")


def _few_shot(record: Record, *, several: bool) -> None:
    """Print a record's few-shot curves, where it has any."""
    from cliplab.report.few_shot import few_shot_notes, few_shot_table
    from cliplab.report.layout import print_tables

    if not record.data.get("few_shot"):
        return
    if several:
        print(f"{record['dataset']['name']} by {record['encoder']['name']}:")
    print_tables(few_shot_table(record))
    print("\n".join(few_shot_notes(record)) + "\n")


def run_list(entries: Sequence[RunEntry], root: Path, *, json: bool) -> None:
    """Print the runs, newest first."""
    from cliplab.report.layout import print_tables
    from cliplab.report.tables import runs_table

    if json:
        as_json([entry._asdict() for entry in entries])
    elif entries:
        print_tables(runs_table(entries))
    else:
        print(f"No runs in {root} yet; make one with `cliplab evaluate DATASET`.")


def comparison(found: Comparison, *, json: bool, all_classes: bool) -> None:
    """Print runs side by side, overall and by class."""
    from cliplab.report.layout import print_tables
    from cliplab.report.tables import comparison_per_class_table, comparison_table, few_note

    if json:
        as_json(found)
        return
    print(f"{found.dataset}:{found.task} · the same {found.n:,} pictures ({found.split})\n")
    print_tables(comparison_table(found))
    print()
    print_tables(comparison_per_class_table(found, all_classes=all_classes))
    if note := few_note([result.per_class for result in found.results]):
        print(note)


def transfer(found: Transfer, *, csv: Path | None, json: bool) -> None:
    """Print the matrix of a transfer, trained on by tested on."""
    from cliplab.report.layout import print_tables
    from cliplab.report.matrix import matrix_caption, matrix_rows, matrix_table
    from cliplab.report.tables import write_csv

    rows = matrix_rows(found.cells)
    if csv:
        write_csv(csv, rows)
    if json:
        about = {key: value for key, value in found._asdict().items() if key != "cells"}
        as_json({**about, "cells": rows})
        return
    print(f"\n{matrix_caption(found.classifier)}")
    print_tables(matrix_table(found.domains, found.cells))
    print(f"\nrecords: {found.folder}")


def audit(found: Audit, csv: Path, *, json: bool) -> None:
    """Print how much was found of each kind, and the first of each."""
    from cliplab.report.layout import lay_out, print_tables

    if json:
        as_json({**found._asdict(), "review": csv})
        return
    print(
        f"{found.dataset}:{found.task} · {found.n:,} pictures, {found.n_labelled:,} with a label · "
        f"encoder {found.encoder} · near-duplicates from a cosine of {found.threshold}\n"
    )
    counts = [[kind, f"{n:,}"] for kind, n in found.counts.items()]
    counts.insert(2, ["  across splits", f"{found.n_across_splits:,}"])
    print_tables(lay_out(["kind"], ["found"], counts))
    shown = [one for kind in found.counts for one in found.first(kind, 5)]
    if shown:
        print("\nThe first of each kind:\n")
        rows = [[one.kind, one.path or one.given, one.reason, one.other_path] for one in shown]
        print_tables(lay_out(["kind", "picture or class", "why", "the other one"], [], rows))
    for note in found.notes:
        print(f"\n{note}")
    print(f"\nreview: {csv}")


def beside_reported(found: Sequence[BesideReported], *, json: bool) -> None:
    """Print runs beside the reported results, each with what differs in candidates and counts."""
    from cliplab.report.layout import print_tables
    from cliplab.report.reported_tables import LEGEND, reported_table

    if json:
        as_json(found[0] if len(found) == 1 else found)
        return
    for beside in found:
        print(f"{beside.dataset}:{beside.task} ({beside.split}) · {beside.encoder} · {beside.run}")
        print(f"reported: {beside.source}\n")
        print_tables(reported_table(beside.numbers))
        print(f"\n{LEGEND}\n")
        for note in beside.notes:
            print(f"- {note}")
        print()


def reproduction(found: Reproduction, *, json: bool) -> None:
    """Print the reported tables beside ours, what differs, and what is not prepared."""
    from cliplab.report.layout import print_tables
    from cliplab.report.reported_tables import LEGEND, reproduced_notes, reproduced_tables

    if json:
        as_json(found)
        return
    print(f"\n{found.encoder} · reported: {found.source}\n")
    for title, table in reproduced_tables(found.tables):
        print(f"{title}\n")
        print_tables(table)
        print()
    print(f"{LEGEND}\n")
    for note in reproduced_notes(found.tables):
        print(f"- {note}")
    for part in found.tables:
        if part.fault:
            print(f"\n{part.dataset} could not be scored: {part.fault}")
    missing: dict[str, dict[str, None]] = {}
    for part in found.tables:
        missing.setdefault(part.table, {}).update(dict.fromkeys(part.prepare))
    commands = [" ".join(["  cliplab prepare", *names]) for names in missing.values() if names]
    if commands:
        print("\n".join(["\nNot prepared here, so not measured:", *commands]))


def classified(answer: Classified, *, json: bool) -> None:
    """Print the probability of each label for each picture."""
    from cliplab.report.layout import lay_out, percent, print_tables

    if json:
        as_json(answer)
        return
    shown = answer.top(5)
    for picture, row in zip(answer.ids, shown, strict=True):
        print(picture)
        print_tables(lay_out(["label"], ["%"], [[name, percent(p)] for name, p in row]))
        print()
    if answer.note:
        print(answer.note)
    for skipped in answer.skipped:
        print(f"skipped {skipped.id}: {skipped.reason}")


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str], *, json: bool) -> None:
    """Print a list of alike things; the columns in `names` are words, the others numbers."""
    from cliplab.report.layout import lay_out, print_tables

    if json:
        as_json(rows)
        return
    if not rows:
        print("None.")
        return
    numbers = [key for key in rows[0] if key not in names]
    cells = [[_cell(row[key]) for key in (*names, *numbers)] for row in rows]
    print_tables(lay_out(list(names), numbers, cells))


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def demonstration(made: Demonstration, *, json: bool) -> None:
    """Print what the demo found, then what the tiny CLIP says of one digit."""
    if json:
        as_json({**made._asdict(), "record": made.record.data})
        return
    records([made.record], json=False, all_classes=True)
    print(f"\nOne held-out digit, a {made.truth}, asked about in words:\n")
    classified(made.answer, json=False)
    run = made.record.run
    print(f"drawings: {made.drawings}\n")
    print(f"the trained CLIP: {made.encoder}\nlook closer: cliplab compare {run} · cliplab --help")


def fields(values: Mapping[str, Any], *, json: bool) -> None:
    """Print named values, one a line."""
    if json:
        as_json(values)
        return
    for key, value in values.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else _cell(value)
        print(f"{key.replace('_', ' ').removeprefix('n ')}: {shown}")


_NAMES = ("data set", "tasks (classes)", "splits", "state")


def _lines_of(entry: CatalogueEntry) -> Iterator[dict[str, object]]:
    """Give the lines of a data set in the table: as many as it has tasks or splits."""
    tasks = [f"{task} ({n})" for task, n in entry.tasks.items()]
    splits = [f"{split} {n:,}" for split, n in entry.splits.items()]
    about: tuple[object, ...] = (entry.name, entry.state, entry.pictures, entry.unreadable)
    about += (None if entry.size is None else _megabytes(entry.size),)
    for number, (task, split) in enumerate(zip_longest(tasks, splits, fillvalue="")):
        name, state, pictures, unreadable, size = about if number == 0 else ("",) * 5
        yield {
            **dict(zip(_NAMES, (name, task, split, state), strict=True)),
            "pictures": pictures,
            "unreadable": unreadable,
            "MB": size,
        }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e9 else f"{size / 1e6:,.0f}"


def data_sets(entries: Sequence[CatalogueEntry], *, json: bool) -> None:
    """Print the catalogue: tasks with their classes, splits with their pictures, licence, state."""
    if json:
        as_json([entry._asdict() for entry in entries])
        return
    table([line for entry in entries for line in _lines_of(entry)], _NAMES, json=False)
    licences: dict[str, list[str]] = {}
    for entry in entries:
        licences.setdefault(entry.licence or "not stated by the source", []).append(entry.name)
    print("\nLicences")
    for licence, names in licences.items():
        print(f"  {', '.join(names)}: {licence}")
    print("\nMB: to download, or on the disk where it is prepared (cliplab prepare NAME).")
    print("Any folder of class folders is a data set too: cliplab evaluate FOLDER")


def addresses(found: Sequence[Address], *, json: bool) -> None:
    """Print each address of the catalogue with its length beside ours."""
    rows = [
        {"data set": a.data_set, "address": a.url, "state": a.state, "ours": a.expected,
         "theirs": a.stated}
        for a in found
    ]  # fmt: skip
    if json:
        as_json([address._asdict() for address in found])
    else:
        table(rows, ("data set", "address", "state"), json=False)


def prepared(folders: Sequence[Path], *, json: bool) -> None:
    """Print where the Parquet lies."""
    if json:
        as_json(folders)
        return
    for folder in folders:
        print(folder)


def trained(folder: Path, *, json: bool) -> None:
    """Print where the encoder lies and what its training came to."""
    from cliplab.encoders.trained import NOTES
    from cliplab.runtime.storage import read_json

    notes = read_json(folder / NOTES)
    if json:
        as_json({"encoder": folder, **notes})
        return
    losses = notes["losses"]
    skipped = f", {len(notes['skipped'])} that cannot be read left out" if notes["skipped"] else ""
    print(f"trained on {notes['n_train']:,} pictures of {notes['data_set']}{skipped}")
    print(f"loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last of {len(losses)}")
    print(f"the encoder: {folder}\nuse it: cliplab evaluate DATASET --encoder {folder}")


def tokenizer(folder: Path, record: Record | None, *, json: bool) -> None:
    """Print where the tokenizer lies, and how well it keeps held-out pictures."""
    from cliplab.report.layout import print_tables
    from cliplab.report.tokenizer_record import distances_table, tokenizer_lines

    if json:
        as_json({"tokenizer": folder, "record": None if record is None else record.data})
        return
    if record is not None:
        print_tables(distances_table(record))
        print("\n" + "\n".join(tokenizer_lines(record)))
        print(f"record: {record.run / 'record.json'}")
    print(f"the tokenizer: {folder}")
    print(f"look at it: cliplab reconstruct IMAGE... --tokenizer {folder} --out grid.png")


def reconstructed(found: Reconstructed, *, json: bool) -> None:
    """Print how far each reconstruction is from its picture, and where the grid lies."""
    from cliplab.metrics.reconstruction import psnr
    from cliplab.report.layout import lay_out, percent, print_tables

    if json:
        as_json(found)
        return
    distances = found.distances
    rows = [
        [
            name,
            percent(distances["l1"][place]),
            f"{float(psnr(distances['mse'][place])):.1f}",
            percent(distances["ssim"][place]),
            *([percent(distances["stroke_iou"][place])] if "stroke_iou" in distances else []),
        ]
        for place, name in enumerate(found.ids)
    ]
    strokes = ["stroke IoU %"] if "stroke_iou" in distances else []
    print_tables(lay_out(["picture"], ["L1 %", "PSNR dB", "SSIM %", *strokes], rows))
    for one in found.skipped:
        print(f"skipped {one.id}: {one.reason}")
    print(f"\noriginals above, reconstructions below: {found.out}")


def tokenized(found: Tokenized, *, json: bool) -> None:
    """Print where the tokens lie and how many pictures have some."""
    if json:
        as_json(found._asdict())
        return
    print(f"{found.n:,} pictures have tokens, {found.n_made:,} of them made now: {found.folder}")
    for one in found.skipped[:10]:
        print(f"skipped {one.id}: {one.reason}")
    if len(found.skipped) > 10:
        print(f"… and {len(found.skipped) - 10} more")
