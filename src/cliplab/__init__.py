"""How well does CLIP see your pictures? And a small model that learns to draw them.

Everything here is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cliplab.classification import ClassifyConfig as ClassifyConfig
    from cliplab.classification import classify as classify
    from cliplab.classifiers.estimator import LinearProbe as LinearProbe
    from cliplab.datasets.family import open_dataset as open_dataset
    from cliplab.datasets.prepare import prepare as prepare
    from cliplab.drawing import draw as draw
    from cliplab.drawing_requests import DrawConfig as DrawConfig
    from cliplab.drawings import Drawings as Drawings
    from cliplab.embeddings.extract import embed as embed
    from cliplab.encoders.contrastive import ContrastiveConfig as ContrastiveConfig
    from cliplab.encoders.contrastive import train_clip as train_clip
    from cliplab.encoders.open_clip import load_encoder as load_encoder
    from cliplab.evaluation import evaluate as evaluate
    from cliplab.nouns import Dataset as Dataset
    from cliplab.nouns import Embeddings as Embeddings
    from cliplab.nouns import Encoder as Encoder
    from cliplab.nouns import ImageTokenizer as ImageTokenizer
    from cliplab.nouns import Predictions as Predictions
    from cliplab.nouns import Prior as Prior
    from cliplab.nouns import Record as Record
    from cliplab.prior_training import train_prior as train_prior
    from cliplab.priors.config import PriorConfig as PriorConfig
    from cliplab.priors.opening import load_prior as load_prior
    from cliplab.protocol import EvaluateConfig as EvaluateConfig
    from cliplab.report.compare import compare_runs as compare_runs
    from cliplab.report.record import read_run as read_run
    from cliplab.tokenizers.config import TokenizerConfig as TokenizerConfig
    from cliplab.tokenizers.opening import load_tokenizer as load_tokenizer
    from cliplab.tokenizers.training import train_tokenizer as train_tokenizer

__version__ = "0.1.0"

_HOMES = {
    "open_dataset": "datasets.family",
    "prepare": "datasets.prepare",
    "load_encoder": "encoders.open_clip",
    "train_clip": "encoders.contrastive",
    "embed": "embeddings.extract",
    "evaluate": "evaluation",
    "classify": "classification",
    "read_run": "report.record",
    "load_tokenizer": "tokenizers.opening",
    "train_tokenizer": "tokenizers.training",
    "train_prior": "prior_training",
    "load_prior": "priors.opening",
    "draw": "drawing",
    "Dataset": "nouns",
    "Encoder": "nouns",
    "ImageTokenizer": "nouns",
    "Prior": "nouns",
    "Embeddings": "nouns",
    "Predictions": "nouns",
    "Record": "nouns",
}

_FURTHER = {  # found here too, though not among the names to begin with
    "Drawings": "drawings",
    "DrawConfig": "drawing_requests",
    "EvaluateConfig": "protocol",
    "TokenizerConfig": "tokenizers.config",
    "ClassifyConfig": "classification",
    "ContrastiveConfig": "encoders.contrastive",
    "PriorConfig": "priors.config",
    "LinearProbe": "classifiers.estimator",
    "compare_runs": "report.compare",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or _FURTHER.get(name)
    if home is None:
        raise AttributeError(f"module 'cliplab' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cliplab.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_FURTHER])
