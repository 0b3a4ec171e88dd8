"""The paper's whole search for λ beside the same search with scikit-learn, in one run.

Features are synthetic, of unit length around a common mean with a power-law spectrum, as CLIP has;
classes overlap. Both sides search by the same rule (seven starts, then halving) on the same
validation pictures, and fit the winner again on all pictures. cliplab proves a gap of 1e-4
(protocol `paper`; `fast`, the default, is printed too). scikit-learn's `tol` is tightened from 1e-4
by tens until its own gap is at most 1e-4, or 1,000 iterations are spent; only the fit that gets
there is counted, in the dtype that is faster for it. cliplab's searches run before, between and
after scikit-learn's fits, so that a busy machine is busy for both; wall-clock seconds and the
processor's are given. Peak memory is of cliplab's process, beyond the features themselves.

    python benchmarks/probe.py [--classes 100 345] [--quick] [--threads 2]

`--quick` times 60 of scikit-learn's iterations where it would spend all 1,000, and says so. On a
machine with CUDA the search over 120,906 pictures of 345 classes is timed as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

GAP, ITERATIONS, SAMPLED = 1e-4, 1000, 60
VALIDATION = 0.2  # as many held-out pictures, relative to those trained on


class Made(NamedTuple):
    """Features and labels to fit on and to choose on."""

    x: np.ndarray  # (N, F) float32, unit L2 norm
    y: np.ndarray  # (N,) int64
    x_held: np.ndarray
    y_held: np.ndarray


def make(pictures: int, width: int, classes: int) -> Made:
    """Draw features: a shared mean, class means that come in families, and a power-law spectrum."""
    chance = np.random.default_rng(0)
    held = int(VALIDATION * pictures)
    spectrum = (1.0 + np.arange(width)) ** -0.5
    spectrum /= np.linalg.norm(spectrum)
    turn = np.linalg.qr(chance.normal(size=(width, width)))[0]
    mean = chance.normal(size=width)
    families = chance.normal(size=(max(2, classes // 8), width))
    own = 0.75 * families[chance.integers(len(families), size=classes)]
    means = (own + 0.65 * chance.normal(size=(classes, width))) * spectrum
    share = (1.0 + chance.permutation(classes)) ** -0.5
    y = chance.choice(classes, pictures + held, p=share / share.sum())
    y[:classes] = np.arange(classes)
    x = 0.2 * means[y] + 0.9 * chance.normal(size=(len(y), width)) * spectrum
    x = x @ turn.T + 0.95 * mean / np.linalg.norm(mean)
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    return Made(x[:pictures], y[:pictures], x[pictures:], y[pictures:])


def embeddings(x: np.ndarray, y: np.ndarray, classes: int) -> Any:
    """Wrap features as the classifiers take them."""
    from cliplab.nouns import Embeddings

    ids = np.array([str(row) for row in range(len(y))], dtype=object)
    names = tuple(f"class {k}" for k in range(classes))
    return Embeddings(ids, x, None, y, names, {})


class Peak:
    """Largest resident memory while a block runs, in MB above what it was before."""

    def __enter__(self) -> Peak:
        import psutil

        self.process, self.over = psutil.Process(), threading.Event()
        self.before = self.most = self.process.memory_info().rss
        self.watch = threading.Thread(target=self._look)
        self.watch.start()
        return self

    def _look(self) -> None:
        while not self.over.wait(0.005):
            self.most = max(self.most, self.process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.watch.join()
        self.megabytes = (self.most - self.before) / 1e6


def timed(work: Any) -> tuple[Any, float, float]:
    """Give what `work()` gives, the seconds on the clock, and those of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - processor


# ------------------------------------------------------------------------------- the two sides


def cliplab_search(made: Made, classes: int, protocol: str, device: str) -> dict[str, Any]:
    """Search and fit again, as `cliplab evaluate` does."""
    from cliplab.classifiers import linear_probe
    from cliplab.classifiers.family import ProbeConfig, Problem

    problem = Problem(
        class_names=tuple(f"class {k}" for k in range(classes)),
        train=embeddings(made.x, made.y, classes),
        validation=embeddings(made.x_held, made.y_held, classes),
        device=device,
        config=ProbeConfig(protocol=protocol, features="post"),
    )
    with Peak() as peak:
        fitted, wall, processor = timed(lambda: linear_probe.fit(problem))
    best = max(fitted.trace, key=lambda entry: (entry["accuracy"], -entry["loss"]))
    return {
        "wall": wall,
        "processor": processor,
        "C": best["C"],
        "accuracy": best["accuracy"],
        "evaluations": sum(e["evaluations"] for e in fitted.trace) + fitted.settings["evaluations"],
        "trace": list(fitted.trace),
        "final_gap": fitted.settings["gap"],
        "megabytes": peak.megabytes,
    }


def cliplab_fit(made: Made, classes: int, c: float, tol: float) -> dict[str, Any]:
    """One fit by the estimator."""
    from cliplab.classifiers.estimator import LinearProbe

    probe = LinearProbe(C=c, tol=tol, device="cpu")
    with Peak() as peak:
        _, wall, processor = timed(lambda: probe.fit(made.x, made.y))
    value = objective(made.x, made.y, probe.coef_, probe.intercept_, c)
    return {
        "wall": wall,
        "processor": processor,
        "gap": probe.gap_,
        "bound": value / (1 + probe.gap_),
        "evaluations": probe.n_evaluations_,
        "megabytes": peak.megabytes,
    }


def objective(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, intercept: np.ndarray, c: float
) -> float:
    """scikit-learn's objective in float64."""
    from scipy.special import logsumexp

    total = 0.0
    for first in range(0, len(x), 4096):
        rows = slice(first, first + 4096)
        logits = x[rows].astype(np.float64) @ weights.T.astype(np.float64) + intercept
        total += float((logsumexp(logits, axis=1) - logits[np.arange(len(logits)), y[rows]]).sum())
    return c * total + 0.5 * float(np.square(weights, dtype=np.float64).sum())


class Peer:
    """scikit-learn's fits, each tightened until its own gap is small enough."""

    def __init__(self, classes: int, quick: bool, dtype: np.dtype[Any]) -> None:
        self.classes, self.quick, self.dtype = classes, quick, dtype
        self.tol_at: dict[float, float] = {}  # C → the tol that was tight enough

    def _once(self, x: np.ndarray, y: np.ndarray, c: float, tol: float, most: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=c, tol=tol, max_iter=most)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timed(lambda: model.fit(x, y))

    def fit(self, x: np.ndarray, y: np.ndarray, c: float, bound: float) -> dict[str, Any]:
        """Fit at the loosest tol (by tens) whose gap to `bound` is small enough."""
        near = min(self.tol_at, key=lambda known: abs(np.log(known / c)), default=None)
        tol, known = 1e-4 if near is None else self.tol_at[near], {}
        given = x.astype(self.dtype)
        if self.quick and c >= 1e4:
            _, wall, processor = self._once(given, y, c, 0.0, SAMPLED)
            share = ITERATIONS / SAMPLED
            return {"wall": wall * share, "processor": processor * share, "model": None,
                    "iterations": ITERATIONS, "gap": 0, "tol": 0, "sampled": True}  # fmt: skip
        while True:
            model, wall, processor = self._once(given, y, c, tol, ITERATIONS)
            gap = objective(x, y, model.coef_, model.intercept_, c) / bound - 1
            spent = int(model.n_iter_[0])
            known[tol] = {"wall": wall, "processor": processor, "model": model, "gap": gap,
                          "iterations": spent, "tol": tol, "sampled": False}  # fmt: skip
            enough = gap <= GAP or spent >= ITERATIONS
            looser, tighter = round_ten(tol * 10), round_ten(tol / 10)
            if enough and tol < 1e-4 and looser not in known:
                tol = looser
            elif not enough and tighter not in known:
                tol = tighter
            else:
                good = [
                    e for e in known.values() if e["gap"] <= GAP or e["iterations"] >= ITERATIONS
                ]
                best = min(good, key=lambda entry: entry["wall"])
                self.tol_at[c] = best["tol"]
                return best


def round_ten(value: float) -> float:
    """Nearest power of ten."""
    return float(10.0 ** round(np.log10(value)))


def compare(options: argparse.Namespace, classes: int) -> None:
    """Run both searches and print their ratio."""
    from cliplab.classifiers.protocols import DECADES, SPANS, STARTS, STEPS_A_DECADE, c_at
    from cliplab.classifiers.selection import halving_search

    made = make(options.pictures, options.width, classes)
    print(f"\n{options.pictures:,} pictures, {options.width} features, {classes} classes")
    dtype = faster_dtype(made)
    peer = Peer(classes, options.quick, dtype)
    ours = {"paper": [], "fast": []}  # type: dict[str, list[dict[str, Any]]]

    def measure_ours() -> None:
        for protocol, found in ours.items():
            found.append(cliplab_search(made, classes, protocol, "cpu"))
            print(f"  cliplab {protocol}: {summary(found[-1])}", flush=True)

    measure_ours()
    total, fits = {"wall": 0.0, "processor": 0.0}, {}  # type: ignore[var-annotated]

    def score(position: int) -> tuple[float, float]:
        c = c_at(position)
        reference = cliplab_fit(made, classes, c, 1e-5)
        entry = peer.fit(made.x, made.y, c, reference["bound"])
        if entry["model"] is None:  # a sample of its iterations: its place goes to our accuracy
            known = [e for e in ours["paper"][0]["trace"] if np.isclose(e["C"], c)]
            quality = (known[0]["accuracy"], -known[0]["loss"]) if known else (0.0, 0.0)
        else:
            told = entry["model"].predict_log_proba(made.x_held)
            loss = -float(told[np.arange(len(told)), made.y_held].mean())
            quality = (float((told.argmax(axis=1) == made.y_held).mean()), -loss)
        fits[position] = {**entry, "accuracy": quality[0], "model": None}
        total["wall"] += entry["wall"]
        total["processor"] += entry["processor"]
        print(f"  scikit-learn C={c:9.3g}: {peer_summary(entry, quality[0])}", flush=True)
        if len(fits) == len(STARTS):
            measure_ours()
        return quality

    best = halving_search(score, DECADES * STEPS_A_DECADE + 1, STARTS, SPANS)
    everything = np.concatenate([made.x, made.x_held]), np.concatenate([made.y, made.y_held])
    whole = Made(*everything, made.x_held, made.y_held)
    reference = cliplab_fit(whole, classes, c_at(best), 1e-5)
    last = peer.fit(*everything, c_at(best), reference["bound"])
    total = {key: total[key] + last[key] for key in total}
    print(f"  scikit-learn, again on all pictures: {peer_summary(last)}")
    measure_ours()
    report(made, classes, c_at(best), fits[best], total, ours)


def faster_dtype(made: Made) -> np.dtype[Any]:
    """Find the dtype in which scikit-learn is faster here."""
    seconds = {}
    for dtype in (np.float32, np.float64):
        peer = Peer(0, quick=True, dtype=np.dtype(dtype))
        seconds[dtype] = peer._once(made.x.astype(dtype), made.y, 1.0, 0.0, 8)[1] / 8
    best = min(seconds, key=seconds.__getitem__)
    told = ", ".join(f"{np.dtype(k)} {v:.3f}" for k, v in seconds.items())
    print(f"  scikit-learn, seconds an iteration: {told}; taken: {np.dtype(best)}")
    return np.dtype(best)


def summary(found: dict[str, Any]) -> str:
    """Put a search of cliplab's in a line."""
    return (
        f"{found['wall']:.1f} s ({found['processor']:.1f} s of processor), "
        f"{found['evaluations']} passes, C={found['C']:.3g}, validation {found['accuracy']:.2%}, "
        f"peak +{found['megabytes']:.0f} MB"
    )


def peer_summary(entry: dict[str, Any], accuracy: float | None = None) -> str:
    """Put a fit of scikit-learn's in a line."""
    if entry["sampled"]:
        return f"{entry['wall']:.1f} s for 1,000 iterations, from {SAMPLED} of them"
    judged = "" if accuracy is None else f", validation {accuracy:.2%}"
    return (
        f"{entry['wall']:.1f} s, {entry['iterations']} iterations at tol={entry['tol']:.0e}, "
        f"gap {entry['gap']:.1e}{judged}"
    )


def report(
    made: Made,
    classes: int,
    c: float,
    theirs: dict[str, Any],
    total: dict[str, float],
    ours: dict[str, list[dict[str, Any]]],
) -> None:
    """Print ratios of the searches and of one fit, and what memory went to."""
    print(f"  scikit-learn, the whole search: {total['wall']:.1f} s ({total['processor']:.1f} s of "
          f"processor), C={c:.3g}, validation {theirs['accuracy']:.2%}")  # fmt: skip
    for protocol, runs in ours.items():
        mean = {key: float(np.mean([run[key] for run in runs])) for key in total}
        print(
            f"  the whole search, {protocol}: {total['wall'] / mean['wall']:.1f} times faster "
            f"({total['processor'] / mean['processor']:.1f} by processor time), validation "
            f"{runs[0]['accuracy']:.2%} against {theirs['accuracy']:.2%}"
        )
    fits = [cliplab_fit(made, classes, c, GAP) for _ in range(3)]
    wall = float(np.mean([fit["wall"] for fit in fits]))
    print(
        f"  one fit at C={c:.3g}, gap {GAP:.0e}: {wall:.2f} s, {fits[0]['evaluations']} passes, "
        f"{theirs['wall'] / wall:.1f} times faster"
    )
    copy = made.x.nbytes / 1e6
    score = made.x.shape[1] * classes * 8 / 1e6
    print(
        f"  peak memory of that fit beyond the features: "
        f"{max(f['megabytes'] for f in fits):.0f} MB (a rotated copy is {copy:.0f} MB, twenty "
        f"arrays of features x classes {20 * score:.0f} MB)"
    )


def on_gpu() -> None:
    """Time the whole search at the size of DomainNet's real pictures."""
    made = make(120_906, 512, 345)
    for protocol in ("paper", "fast"):
        cliplab_search(make(2000, 512, 345), 345, protocol, "cuda")  # warm
        found = cliplab_search(made, 345, protocol, "cuda")
        print(f"GPU, 120,906 pictures, 512 features, 345 classes, {protocol}: {summary(found)}")


def main() -> None:
    """Run in a process whose numerical libraries are as fast as they can be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--classes", type=int, nargs="+", default=[100, 345])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:  # these two slow scikit-learn down where they are set
        held = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        environment = {k: v for k, v in os.environ.items() if k not in held}
        environment["OMP_NUM_THREADS"] = str(options.threads)
        environment.setdefault(
            "OMP_WAIT_POLICY", "PASSIVE"
        )  # for a machine that has other work too
        command = [sys.executable, __file__, *sys.argv[1:], "--inside"]
        raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)
    import torch

    torch.set_num_threads(options.threads)
    about = {"threads": options.threads, "torch": torch.__version__, "load": os.getloadavg()}
    print(json.dumps(about), Path(__file__).name)
    for classes in options.classes:
        compare(options, classes)
    if torch.cuda.is_available():
        on_gpu()


if __name__ == "__main__":
    main()
