"""An encoder over an open_clip model: vectors of pictures and texts, and what they depend on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliplab.encoders import published
from cliplab.encoders.towers import image_tower
from cliplab.nouns import ImageVectors
from cliplab.pictures.decode import decode
from cliplab.pictures.preprocessing import Preprocessing
from cliplab.pictures.seen import as_seen
from cliplab.runtime.errors import MissingWeights

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # letters and digits, "child's" as one
BATCH = 64  # pictures or texts encoded at once by the conveniences below


class OpenClipEncoder:
    """Image and text towers of an open_clip model, with preprocessing and identity.

    Obeys the contract of `nouns.Encoder`. Vectors are raw: normalise them before taking cosines,
    or use `similarity`.
    """

    def __init__(
        self,
        *,
        name: str,
        model: Any,  # open_clip's CLIP, CustomTextCLIP or CoCa
        tokenize_source: str,
        architecture: Mapping[str, Any],
        weights_digest: str,
        device: str,
        precision: str,
        known_tokens: Sequence[int] | None = None,  # that its captions used; None: all
    ) -> None:
        from open_clip.model import get_input_dtype

        self.name = name
        self.device = device
        self.precision = precision
        self._model = model
        self._tokenize_source = tokenize_source
        self._known_tokens = None if known_tokens is None else frozenset(known_tokens)
        self._input_dtype: torch.dtype = get_input_dtype(precision)
        self._preprocessing = Preprocessing.from_open_clip(self._model.visual.preprocess_cfg)
        self._transform = self._preprocessing.transform()
        self.resolution = self._preprocessing.size
        self.logit_scale = float(self._model.logit_scale.detach().float().exp())
        bias = getattr(self._model, "logit_bias", None)
        self.logit_bias = 0.0 if bias is None else float(bias.detach().float())
        self._tower = image_tower(self._model.visual)
        self.feature_width = self._tower.feature_width
        self.width = self._measured_width()
        self.identity: Mapping[str, Any] = self._identify(architecture, weights_digest)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.width} wide, {self.resolution[0]} pixels, {self.precision}>"

    # ---------------------------------------------------------------------- the contract

    def preprocess(self, picture: Image) -> torch.Tensor:
        """(3, H, W) float32 of one 8-bit RGB picture, by open_clip's own transform."""
        return self._transform(picture)

    def encode_pixels(self, pixels: torch.Tensor) -> ImageVectors:
        """Vectors of a batch (B, 3, H, W) of preprocessed pictures, float32 on the CPU."""
        import torch

        with torch.inference_mode():
            features = self._tower.trunk(pixels.to(self.device, self._input_dtype))
            if self._tower.project is None:
                return ImageVectors(features.float().cpu(), None)
            embedding = self._tower.project(features)
            return ImageVectors(embedding.float().cpu(), features.float().cpu())

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 vectors of N texts; a text longer than the context is cut off at its end.

        Raises
        ------
        MissingWeights
            The architecture's tokenizer comes from a hub that cannot be reached.
        """
        import torch

        if not len(texts):
            return np.zeros((0, self.width), dtype=np.float32)
        tokens = self._tokenizer(list(texts))
        found = []
        with torch.inference_mode():
            for block in tokens.split(4 * BATCH):
                vectors = self._model.encode_text(block.to(self.device), normalize=False)
                found.append(vectors.float().cpu().numpy())
        return np.concatenate(found)

    # ---------------------------------------------------------------------- conveniences

    def encode_images(self, pictures: Sequence[Any]) -> np.ndarray:
        """(N, D) float32 vectors of N pictures: Pillow images, paths, or encoded bytes."""
        import torch

        found = [np.zeros((0, self.width), dtype=np.float32)]
        for start in range(0, len(pictures), BATCH):
            block = [self.preprocess(_as_rgb(p)) for p in pictures[start : start + BATCH]]
            found.append(self.encode_pixels(torch.stack(block)).embedding.numpy())
        return np.concatenate(found)

    def similarity(self, pictures: Sequence[Any], texts: Sequence[str]) -> np.ndarray:
        """(N, M) float32 probabilities that each of N pictures goes with each of M texts.

        The softmax over the texts of logit scale times cosine, CLIP's own job (Radford et al.
        2021, section 3.1.2); rows add up to 1.
        """
        from scipy.special import softmax

        images, captions = _unit(self.encode_images(pictures)), _unit(self.encode_texts(texts))
        logits = self.logit_scale * images @ captions.T + self.logit_bias
        probabilities: np.ndarray = softmax(logits, axis=1).astype(np.float32)
        return probabilities

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of a text that no caption of the training had, each once, as they stand there.

        What they say is lost on the encoder. A published one is taken to know every word; one that
        `cliplab train clip` made knows those of its captions.

        Examples
        --------
        >>> load_encoder("quickdraw").unknown_words("A cat on a unicycle!")  # doctest: +SKIP
        ('on', 'unicycle')
        """
        if self._known_tokens is None:
            return ()
        words = dict.fromkeys(_WORD.findall(text))
        encode = self._tokenizer.encode
        return tuple(word for word in words if not self._known_tokens.issuperset(encode(word)))

    # ---------------------------------------------------------------------- inside

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        try:
            return open_clip.get_tokenizer(self._tokenize_source, **self._tokenizer_settings())
        except Exception as error:  # whatever the hub's client raises
            raise MissingWeights(
                f"{self.name} wants a tokenizer from the hub ({error}). With a network: pip "
                "install transformers, and run once, so that it is cached. Its pictures can be "
                "encoded without: --classifier linear_probe."
            ) from error

    def _tokenizer_settings(self) -> dict[str, Any]:
        """Keep a hub's client, which is patient, to its cache where no hub answers."""
        import open_clip

        text = open_clip.get_model_config(self._tokenize_source).get("text_cfg", {})
        if text.get("hf_tokenizer_name") and (published.offline() or not published.hub_answers()):
            return {"local_files_only": True}
        return {}

    def _measured_width(self) -> int:
        """Width of the joint space, by one blank picture: configurations name it differently."""
        import torch

        return int(self.encode_pixels(torch.zeros(1, 3, *self.resolution)).embedding.shape[1])

    def _identify(self, architecture: Mapping[str, Any], weights_digest: str) -> dict[str, Any]:
        import torch

        from cliplab.runtime.machine import versions

        kind = self.device.partition(":")[0]
        installed = versions()
        numeric = ("torch", "torchvision", "open_clip_torch", "timm", "pillow", "numpy")
        return {
            "family": "open_clip",
            "weights": weights_digest,
            "architecture": architecture["digest"],
            "activation": "quick_gelu" if architecture["quick_gelu"] else "gelu",
            "preprocessing": self._preprocessing.identity(),
            "features": "before the projection" if self.feature_width else "none: one output",
            "precision": self.precision,
            "device": torch.cuda.get_device_name(self.device) if kind == "cuda" else kind,
            "threads": torch.get_num_threads() if kind == "cpu" else None,
            "versions": {name: installed[name] for name in numeric if name in installed},
        }


def _as_rgb(picture: Any) -> Image:
    if isinstance(picture, str | Path):
        return decode(Path(picture).read_bytes())
    if isinstance(picture, bytes):
        return decode(picture)
    picture.load()
    # A file's transparent colour may be stated in its own depth; a copy has no file behind it.
    return as_seen(picture.copy() if picture.has_transparency_data else picture, b"")


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
