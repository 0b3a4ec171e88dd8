"""The mixture beside its parents at 1 to 16 shots, over sets whose captions know little or much.

For each set a zero-shot, a linear probe and their mixture (`classifiers/mixed.py`) are scored at
1, 2, 4, 8 and 16 shots, mean of five draws. Zero-shot's class vectors come from pictures that are
neither drawn from nor scored: the mean vector of 0 (random vectors), 1, 4 or 16 of them a class, or
the captions of a tiny CLIP trained on them. The last column is the mixture less the better parent,
marked where it is more than a point below. At one and two shots a set of ten classes gives ten and
twenty labels to weigh by, and the test pictures of PACS and Caltech are few: there it happens.

    python benchmarks/few_shot.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.classifiers import linear_probe, mixed, zero_shot
from cliplab.classifiers.family import Problem, take
from cliplab.classifiers.few_labels import settled
from cliplab.embeddings.normalise import normalise
from cliplab.few_shot import draw
from cliplab.nouns import Embeddings

SHOTS, REPEATS = (1, 2, 4, 8, 16), 5
ALLOWED = -0.01  # the mixture less the better parent


class Case(NamedTuple):
    """A set with a zero-shot of some quality."""

    name: str
    problem: Problem  # its training pictures are drawn from
    scored: Embeddings


# ------------------------------------------------------------------------------------- pictures


class Pixels(NamedTuple):
    """Pictures of a set, apart: to learn captions from, to draw from, to score."""

    name: str
    class_names: tuple[str, ...]
    grey: np.ndarray | None  # (N, H, W) uint8, where a tiny CLIP can be trained on them
    features: np.ndarray  # (N, 128) float32, a seeded random projection of 16x16 thumbnails
    labels: np.ndarray  # (N,) int64
    part: np.ndarray  # (N,) 0 captions, 1 to draw from, 2 scored


def parts(labels: np.ndarray, sizes: tuple[int, int, int]) -> np.ndarray:
    """Deal out the pictures of each class, so many to each part; -1: none of them."""
    found = np.full(len(labels), -1)
    for label in np.unique(labels):
        rows = np.random.default_rng(int(label)).permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(sizes)
        for number, (start, end) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
            found[rows[start:end]] = number
    return found


def projected(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 128) float32 of thumbnails (N, 16, 16, 3) in 0..255."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32) / 255 - 0.5
    matrix = np.random.default_rng(0).normal(size=(flat.shape[1], 128)) / 16
    return np.maximum(flat @ matrix.astype(np.float32), 0)


def thumbnail(picture) -> np.ndarray:
    """(16, 16, 3) uint8."""
    return np.asarray(picture.convert("RGB").resize((16, 16)))


def of_greys(name: str, names: list[str], greys: list[np.ndarray], sizes) -> Pixels:
    """Give the set of grey pictures, a list of arrays a class."""
    from PIL import Image

    greys = [grey[: sum(sizes)] for grey in greys]
    labels = np.repeat(np.arange(len(names)), [len(grey) for grey in greys])
    grey = np.concatenate(greys)
    part = parts(labels, sizes)
    small = np.stack([thumbnail(Image.fromarray(one)) for one in grey])
    return Pixels(name, tuple(names), grey, projected(small), labels, part)


def of_files(name: str, files: dict[str, list[Path]], sizes) -> Pixels:
    """Give the set of picture files by class."""
    from PIL import Image

    labels = np.repeat(np.arange(len(files)), [len(found) for found in files.values()])
    small = [thumbnail(Image.open(path)) for found in files.values() for path in found]
    part = parts(labels, sizes)
    return Pixels(name, tuple(files), None, projected(np.stack(small)), labels, part)


def sets(data: Path) -> Iterator[Pixels]:
    """Give the sets that are here: digits always, the others where `data` holds them."""
    from sklearn.datasets import load_digits

    from cliplab.datasets.digits import CLASS_NAMES

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    greys = [pixels[digits.target == label] for label in range(10)]
    yield of_greys("digits", list(CLASS_NAMES), greys, (70, 40, 64))
    drawings = data / "quickdraw/bitmaps_28px_29classes.npz"
    if drawings.is_file():
        found = np.load(drawings)
        names = found.files[:15]
        yield of_greys("quickdraw", names, [found[n] for n in names], (300, 16, 100))
    if (data / "pacs").is_dir():
        classes = sorted(folder.name for folder in (data / "pacs/photo").iterdir())
        files = {name: sorted((data / "pacs").glob(f"*/{name}/*")) for name in classes}
        yield of_files("pacs", files, (16, 16, 24))
    if (data / "caltech101").is_dir():
        folders = sorted(path for path in (data / "caltech101").iterdir() if path.is_dir())
        files = {folder.name: sorted(folder.iterdir()) for folder in folders}
        files = {name: found for name, found in files.items() if len(found) >= 36}
        yield of_files("caltech101", files, (8, 16, 16))


# ---------------------------------------------------------------------------------------- cases


def embeddings(pixels: Pixels, part: int, vectors: np.ndarray, features: np.ndarray | None = None):
    """Embeddings of a part, in the order of the pictures."""
    rows = np.flatnonzero(pixels.part == part)
    ids = np.array([f"{part}/{row}" for row in rows], dtype=object)
    held = None if features is None else features[rows]
    return Embeddings(ids, vectors[rows], held, pixels.labels[rows], pixels.class_names, {})


def by_means(pixels: Pixels, n: int) -> Case:
    """Zero-shot's class vectors are means of `n` other pictures; 0: random."""
    centre = pixels.features[pixels.part == 0].mean(axis=0)
    vectors = pixels.features - centre
    n_classes = len(pixels.class_names)
    if n:
        own = [
            np.flatnonzero((pixels.part == 0) & (pixels.labels == c))[:n] for c in range(n_classes)
        ]
        text = np.stack([vectors[rows].mean(axis=0) for rows in own])
    else:
        text = np.random.default_rng(1).normal(size=(n_classes, vectors.shape[1]))
    problem = Problem(
        class_names=pixels.class_names,
        class_vectors=normalise(text),
        logit_scale=20.0,
        train=embeddings(pixels, 1, vectors),
    )
    return Case(f"{pixels.name}, means of {n}", problem, embeddings(pixels, 2, vectors))


def by_captions(pixels: Pixels, epochs: int, folder: Path) -> Case:
    """Zero-shot by the captions of a tiny CLIP that was trained on the first part."""
    import hashlib

    import cliplab
    from cliplab.datasets.digits import GreyPictures, grey_png
    from cliplab.embeddings.extract import embed
    from cliplab.embeddings.prompts import named_prompts
    from cliplab.embeddings.texts import embed_class_names
    from cliplab.nouns import Dataset, Task

    assert pixels.grey is not None
    split = np.array(["train", "validation", "test", ""], dtype=object)[pixels.part]
    digests = [hashlib.sha256(grey_png(one)).hexdigest() for one in pixels.grey]
    data = Dataset(
        name=pixels.name,
        tasks={"label": Task("label", pixels.class_names)},
        ids=np.array([f"{row}.png" for row in range(len(split))], dtype=object),
        labels={"label": pixels.labels},
        splits={"label": split},
        digests=np.array(digests, dtype=object),
        source=GreyPictures(pixels.grey),
    )
    config = cliplab.ContrastiveConfig(
        epochs=epochs, device="cpu", prompt=("a photo of a {}.", "{}")
    )
    out = folder / f"{pixels.name}-{epochs}"
    encoder = cliplab.load_encoder(cliplab.train_clip(data, config, out), device="cpu")
    seen = embed(data, encoder, task="label", home=folder)[0]
    assert len(seen) == len(split)
    text = embed_class_names(encoder, pixels.class_names, named_prompts("simple"), home=folder)
    problem = Problem(
        class_names=pixels.class_names,
        class_vectors=text,
        logit_scale=encoder.logit_scale,
        train=embeddings(pixels, 1, seen.vectors, seen.features),
    )
    name = f"{pixels.name}, CLIP of {epochs} epochs"
    return Case(name, problem, embeddings(pixels, 2, seen.vectors, seen.features))


def cases(data: Path, folder: Path) -> Iterator[Case]:
    """Give every set with every zero-shot."""
    for pixels in sets(data):
        for n in (0, 1, 4, 16):
            if n <= (pixels.part == 0).sum() / len(pixels.class_names):
                yield by_means(pixels, n)
        if pixels.grey is not None:
            for epochs in (2, 4, 8) if pixels.name == "quickdraw" else (6, 8, 10, 15):
                yield by_captions(pixels, epochs, folder)


# ---------------------------------------------------------------------------------------- scores


def scored(case: Case, shots: int) -> tuple[float, float, float]:
    """Top-1 of zero-shot, probe and mixture, mean of the draws."""
    found = []
    for repeat in range(REPEATS):
        train = case.problem.train
        rows = draw(train.ids, train.labels, shots, repeat=repeat)
        drawn = settled(replace(case.problem, train=take(train, rows)), ["linear_probe"])
        told = [one.fit(drawn).predict(case.scored) for one in (zero_shot, linear_probe, mixed)]
        found.append([(one.predicted == one.labels).mean() for one in told])
    text, probe, both = np.mean(found, axis=0).tolist()
    return text, probe, both


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    beside = Path(__file__).resolve().parents[2] / "shared/data"
    parser.add_argument("--data", type=Path, default=beside)
    given = parser.parse_args()
    short = dict.fromkeys(SHOTS, 0)
    print(f"{'set':34}{'shots':>6}{'zero-shot':>11}{'probe':>8}{'mixed':>8}{'to the better':>15}")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(given.data, Path(folder)):
            for shots in SHOTS:
                text, probe, both = scored(case, shots)
                behind = both - max(text, probe)
                short[shots] += behind < ALLOWED
                shares = f"{100 * text:11.1f}{100 * probe:8.1f}{100 * both:8.1f}"
                mark = "  <-" if behind < ALLOWED else ""
                print(f"{case.name:34}{shots:6}{shares}{100 * behind:+15.1f}{mark}", flush=True)
    told = ", ".join(f"{n} at {shots}" for shots, n in short.items())
    print(f"more than a point below the better parent, by shots: {told}")


if __name__ == "__main__":
    main()
