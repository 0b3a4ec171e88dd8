"""The recipe of all 345 classes runs from strokes to a prior that draws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cliplab.encoders.open_clip import load_encoder
from cliplab.priors.saved import read_prior
from cliplab.tokenizers.opening import load_tokenizer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_few_steps_end_to_end(shared_data, tmp_path):
    call = [sys.executable, ROOT / "recipes" / "quickdraw_345.py"]
    call += [shared_data / "quickdraw" / "strokes_simplified", tmp_path / "out"]
    call += ["--share", "0.00004", "--memory", "4GiB"]
    run = subprocess.run(
        [str(part) for part in call],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert run.returncode == 0, run.stderr
    out = tmp_path / "out"
    prior = read_prior(out / "prior")
    tokenizer = load_tokenizer(out / "shipped" / "tokenizer")
    encoder = load_encoder(out / "shipped" / "clip", device="cpu")
    assert len(prior.class_names) == 345
    assert prior.tokenizer["weights"] == tokenizer.identity["weights"]
    assert prior.encoder["weights"] == encoder.identity["weights"]
    assert encoder.unknown_words("a zigzag, a zebra, The Eiffel Tower") == ()
    vector = encoder.encode_texts(["a zebra"])
    tokens = prior.sample(vector / np.linalg.norm(vector), seed=0)
    assert tokenizer.decode(tokens).shape == (1, 1, 28, 28)
    notes = json.loads((out / "clip" / "cliplab.json").read_text())
    assert notes["identity"]["targets"] == "classes"
