"""Small archives with the exact layout of the real ones: names of the real lists, a few pictures.

Each `make_…` fills a folder as somebody's download folder would be, and says what is in it. Names
come from the real lists where those lie beside the project, and are made up in the same form
elsewhere. A picture's colour tells its class, so that a probe can learn it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from cliplab.datasets import domainnet, oxford, paris, wikiart

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NO_TRAINING, NO_TEST = ("painting", 327), ("painting", 300)  # t-shirt, syringe
MOVED = "<!DOCTYPE HTML><html><head><title>302 Found</title></head><body>Found</body></html>"


class Made(NamedTuple):
    """What was put into a folder."""

    folder: Path
    pictures: Mapping[str, bytes]  # id → encoded bytes, of those that the data set should hold
    known: Mapping[str, domainnet.Known]  # file → size and MD5, to be expected instead of the real


def picture(name: str, of_class: str) -> bytes:
    """A JPEG of 8x8 pixels whose colour is the class's, with some noise of its own."""
    from PIL import Image

    colour = np.random.default_rng(zlib.crc32(of_class.encode())).integers(40, 216, 3)
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 8, (8, 8, 3))
    pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def real_text(path: str) -> str | None:
    """Text of a real list or file beside the project; None where it is not there."""
    file = SHARED / path
    if not file.is_file():
        return None
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return content.decode("utf-8")


def write_zip(path: Path, contents: Mapping[str, bytes]) -> None:
    """Write a zip with an entry for each folder, as the real ones have."""
    folders = sorted({str(f) + "/" for n in contents for f in PurePosixPath(n).parents} - {"./"})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in folders:
            archive.writestr(zipfile.ZipInfo(folder), b"")
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def write_tgz(path: Path, contents: Mapping[str, bytes]) -> None:
    """Write a tar.gz whose bytes depend on its contents alone."""
    with (
        gzip.GzipFile(path, "wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def known_of(folder: Path, files: Iterable[str]) -> dict[str, domainnet.Known]:
    """Size and MD5 of files, as the package knows the real ones."""
    contents = {file: (folder / file).read_bytes() for file in files}
    md5 = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
    return {file: domainnet.Known(len(content), md5[file]) for file, content in contents.items()}


def accept(monkeypatch, made: Made) -> None:
    """Let the package expect these files of DomainNet in place of the real ones."""
    monkeypatch.setattr(domainnet, "FILES", {**domainnet.FILES, **made.known})


# ------------------------------------------------------------------------------- DomainNet


def make_domainnet(
    folder: Path,
    domains: Sequence[str] = domainnet.DOMAINS,
    per_class: int = 1,
    labels: Sequence[int] | None = None,
) -> Made:
    """Archives and lists of `domains`: `per_class` pictures a class and split, of `labels` alone.

    As in the real archives there is a picture that the cleaning removed beside those of the lists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, bytes] = {}
    files: list[str] = []
    for domain in domains:
        inside: dict[str, bytes] = {}
        for split in ("train", "test"):
            lines = _domainnet_lines(domain, split, per_class, labels)
            text = "".join(f"{path} {label}\n" for path, label in lines)
            (folder / f"{domain}_{split}.txt").write_text(text)
            inside |= {path: picture(path, path.split("/")[1]) for path, _label in lines}
        removed = f"{domain}/{domainnet.class_folders()[0]}/{domain}_001_999999.jpg"
        write_zip(folder / f"{domain}.zip", {removed: picture(removed, "?"), **inside})
        pictures |= inside
        files += [f"{domain}.zip", f"{domain}_train.txt", f"{domain}_test.txt"]
    return Made(folder, pictures, known_of(folder, files))


def _domainnet_lines(
    domain: str, split: str, per_class: int, labels: Sequence[int] | None
) -> list[tuple[str, int]]:
    text = real_text(f"domainnet/lists/{domain}_{split}.txt.gz") or _made_up_list(domain, split)
    taken: dict[int, int] = {}
    found = []
    for line in text.splitlines():
        path, _, label = line.rpartition(" ")
        number = int(label)
        if (labels is None or number in labels) and taken.get(number, 0) < per_class:
            taken[number] = taken.get(number, 0) + 1
            found.append((path, number))
    return found


def _made_up_list(domain: str, split: str) -> str:
    gap = {"train": NO_TRAINING, "test": NO_TEST}[split]
    first, suffix = (
        {"train": 900_001, "test": 900_501}[split],
        "png" if domain == "quickdraw" else "jpg",
    )
    return "\n".join(
        f"{domain}/{name}/{domain}_{label + 1:03d}_{first + i:06d}.{suffix} {label}"
        for label, name in enumerate(domainnet.class_folders())
        for i in range(4)
        if (domain, label) != gap
    )


# ------------------------------------------------------------------------------- landmarks


def make_oxford(folder: Path, per_class: int = 4, *, blurred: bool = True) -> Made:
    """The archive of photographs and that of the ground truth, both flat."""
    folder.mkdir(parents=True, exist_ok=True)
    stems, truth = _stems_and_truth(oxford.BUILDINGS, per_class)
    pictures = {f"{stem}.jpg": picture(stem, stem.rpartition("_")[0]) for stem in stems}
    archive = oxford.PHOTOGRAPHS if blurred else "oxbuild_images.tgz"
    write_tgz(folder / archive, pictures)
    write_tgz(folder / oxford.TRUTH, {name: text.encode() for name, text in truth.items()})
    return Made(folder, pictures, {})


def make_paris(folder: Path, per_class: int = 4, *, blurred: bool = True) -> Made:
    """Both archives of photographs, a folder a search word, and that of the ground truth.

    The 20 damaged files are pages that say where they have gone to, or end in the middle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems, truth = _stems_and_truth(paris.BUILDINGS, per_class)
    whole = {f"{stem}.jpg": picture(stem, stem.split("_")[1]) for stem in stems}
    damaged = {
        name: MOVED.encode() if number % 2 else picture(name, "?")[:300]
        for number, name in enumerate(paris.BUILDINGS.damaged)
    }
    half = paris.BUILDINGS.words[:6]
    contents: list[dict[str, bytes]] = [{}, {}]
    for name, content in sorted((whole | damaged).items()):
        word = name.split("_")[1]
        contents[word not in half][f"paris/{word}/{name}"] = content
    for archive, inside in zip(paris.PHOTOGRAPHS, contents, strict=True):
        write_tgz(folder / (archive if blurred else archive.replace("-v1", "")), inside)
    inside = {f"paris_120310/{name}": text.encode() for name, text in truth.items()}
    write_tgz(folder / paris.TRUTH, inside)
    return Made(folder, whole | damaged, {})


def _stems_and_truth(buildings, per_class: int) -> tuple[list[str], dict[str, str]]:
    """Names of photographs, `per_class` a word and landmark and all queries; and the truth."""
    truth = _real_truth(buildings.name) or _made_up_truth(buildings)
    names = real_text(f"{buildings.name}/image_names.txt")
    stems = [PurePosixPath(name).stem for name in names.split()] if names else []
    if not names:
        numbers = range(max(per_class, 6))
        stems = [f"{buildings.prefix}{w}_{i:06d}" for w in buildings.words for i in numbers]
    wanted: set[str] = set()
    for name, text in truth.items():
        if name.endswith("_query.txt"):
            wanted.add(text.split()[0].removeprefix(buildings.query_prefix))
        elif not name.endswith("_junk.txt"):
            wanted |= set(text.split()[:per_class])
    for word in buildings.words:
        start = f"{buildings.prefix}{word}_"
        of_word = [s for s in stems if s.startswith(start) and s[len(start) :].isdigit()]
        wanted |= set(of_word[:per_class])
    return [stem for stem in stems if stem in wanted], truth


def _real_truth(name: str) -> dict[str, str]:
    root = SHARED / name / "ground_truth"
    return {path.name: path.read_text() for path in sorted(root.rglob("*_*.txt"))}


def _made_up_truth(buildings) -> dict[str, str]:
    truth = {}
    for landmark in buildings.landmarks:
        stems = [f"{buildings.prefix}{landmark}_{i:06d}" for i in range(6)]
        for number in range(1, 6):
            start = f"{landmark}_{number}"
            query = f"{buildings.query_prefix}{stems[number]}"
            truth[f"{start}_query.txt"] = f"{query} 1.0 1.5 6.0 7.0\n"
            truth[f"{start}_good.txt"] = "\n".join(stems[:2])
            truth[f"{start}_ok.txt"] = "\n".join(stems[2:5])
            truth[f"{start}_junk.txt"] = stems[5]
    return truth


# ------------------------------------------------------------------------------- WikiArt


def make_wikiart(folder: Path, per_class: int = 2, *, whole: bool = False) -> Made:
    """The archive and six lists: `per_class` paintings a class and split of each task.

    Among them are broken names, which the archive spells in several ways, one painting that the
    archive lacks (unless it is `whole`), and file names that stand under two styles, on both sides
    of the split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lists = _wikiart_lists(per_class)
    for (task, part), lines in lists.items():
        comma, end = (",,", "\n") if task == "artist" else (",", "\r\n")
        head = "(Path to image),, (Groundtruth class) \n\n" if task == "artist" else ""
        text = head + "".join(f"{path}{comma}{label}{end}" for path, label in lines)
        (folder / f"{task}_{part}.csv").write_bytes(text.encode())
    paths = list(dict.fromkeys(path for lines in lists.values() for path, _ in lines))
    inside = {path: picture(path, path.split("/")[0]) for path in paths[: None if whole else -1]}
    contents = {}
    for number, (path, content) in enumerate(inside.items()):
        contents[f"wikiart/{path if path.isascii() else _spelled(path, number)}"] = content
    extra = "wikiart/Cubism/nobody_not-in-any-list.jpg"
    write_zip(folder / wikiart.ARCHIVE, {**contents, extra: picture(extra, "?")})
    return Made(folder, {wikiart.repaired(path): c for path, c in inside.items()}, {})


def _spelled(path: str, number: int) -> str:
    """A broken name as one or another copy of the archive has it."""
    mended = wikiart.repaired(path)
    escaped = "".join(c if c.isascii() else f"#U{ord(c):04x}" for c in path)
    dashed = "".join(c if c.isascii() else "-" for c in mended)
    return (path, mended, escaped, dashed)[number % 4]


def _wikiart_lists(per_class: int) -> dict[tuple[str, str], list[tuple[str, int]]]:
    from cliplab.datasets.wikiart_lists import parse_list

    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for task, classes in wikiart.CLASSES.items():
        for part in ("train", "val"):
            text = next(
                (
                    t
                    for end in (".csv.gz", ".gz")
                    if (t := real_text(f"wikiart/{task}_{part}{end}"))
                ),
                None,
            )
            lines = parse_list(text, len(classes), part) if text else _made_up_lines(task, part)
            found[task, part] = _some(lines, per_class)
    doubled = [path for path, _ in found["style", "train"][:2]]
    cubism = wikiart.CLASSES["style"].index("Cubism")
    for path, part in zip(doubled, ("train", "val"), strict=True):
        again = f"Cubism/{path.split('/')[1]}"
        found["style", part].append((again, cubism))
    return found


def _some(lines: Iterable[tuple[str, int]], per_class: int) -> list[tuple[str, int]]:
    """`per_class` lines of each class, and as many whose names are broken."""
    taken: dict[object, int] = {}
    kept = []
    for path, label in lines:
        group = label if path.isascii() else "broken"
        if taken.get(group, 0) < (per_class if path.isascii() else 6):
            taken[group] = taken.get(group, 0) + 1
            kept.append((path, label))
    return kept


def _made_up_lines(task: str, part: str) -> list[tuple[str, int]]:
    first = {"train": 0, "val": 50}[part]
    lines = []
    for label, folder in enumerate(wikiart.style_folders()):
        for i in range(first, first + 8):
            of_task = {"style": label, "genre": (label + i) % 10, "artist": i % 23}[task]
            lines.append((f"{folder}/painter-{i % 9}_work-{label}-{i}.jpg", of_task))
    broken = wikiart.style_folders().index("Impressionism")
    names = [f"Impressionism/joaquã\xadn-sorolla_work-{first + i}.jpg" for i in range(8)]
    return lines + [(name, broken if task == "style" else 0) for name in names]
