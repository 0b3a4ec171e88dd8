"""Files as OpenAI published its dVAE: whole modules of a package `dall_e`, pickled by torch.save.

The package is written on the spot with the originals' names and attributes, imported to pickle its
modules, and forgotten again, so that whoever reads the files cannot import it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch

UTILS = """
from torch import nn

class Conv2d(nn.Module):
    def __init__(self, w, b):
        super().__init__()
        self.n_in, self.n_out, self.kw = w.shape[1], w.shape[0], w.shape[2]
        self.use_float16, self.device, self.requires_grad = True, DEVICE, False
        self.w, self.b = nn.Parameter(w), nn.Parameter(b)

import torch
DEVICE = torch.device("cpu")
"""

NETWORK = """
from collections import OrderedDict
import torch
from torch import nn
from dall_e.utils import Conv2d

class {block}(nn.Module):
    def __init__(self, convolutions):
        super().__init__()
        self.id_path = convolutions.pop("id_path", nn.Identity())
        self.res_path = nn.Sequential(OrderedDict(
            (name, convolutions.get(name, nn.ReLU()))
            for n in range(1, 5) for name in (f"relu_{{n}}", f"conv_{{n}}")))

class {network}(nn.Module):
    def __init__(self, state, groups=4, blocks=2):
        super().__init__()
        self.group_count, self.n_blk_per_group = groups, blocks
        self.device, self.requires_grad, self.use_mixed_precision = torch.device("cpu"), False, True
        def conv(name):
            return Conv2d(state[name + ".w"], state[name + ".b"])
        def block(name):
            inside = {{f"conv_{{n}}": conv(f"{{name}}.res_path.conv_{{n}}") for n in range(1, 5)}}
            if name + ".id_path.w" in state:
                inside["id_path"] = conv(name + ".id_path")
            return {block}(inside)
        def group(number):
            name = f"blocks.group_{{number}}"
            numbers = range(1, blocks + 1)
            layers = [(f"block_{{b}}", block(f"{{name}}.block_{{b}}")) for b in numbers]
            if number < groups:
                layers.append(("between", nn.{between}))
            return nn.Sequential(OrderedDict(layers))
        self.blocks = nn.Sequential(OrderedDict([
            ("input", conv("blocks.input")),
            *((f"group_{{n}}", group(n)) for n in range(1, groups + 1)),
            ("output", nn.Sequential(OrderedDict([("relu", nn.ReLU()),
                                                 ("conv", conv("blocks.output.conv"))]))),
        ]))
"""


def write_published(
    folder: Path,
    encoder: Mapping[str, torch.Tensor],
    decoder: Mapping[str, torch.Tensor],
    *,
    zipped: bool,
) -> None:
    """Write encoder.pkl and decoder.pkl of state dicts under the originals' names.

    `zipped`: the layout of torch.save from PyTorch 1.6 on, else the one before.
    """
    place = folder / "source"
    (place / "dall_e").mkdir(parents=True)
    (place / "dall_e" / "__init__.py").write_text("")
    (place / "dall_e" / "utils.py").write_text(UTILS)
    for name, between in (("encoder", "MaxPool2d(2)"), ("decoder", "Upsample(scale_factor=2)")):
        text = NETWORK.format(network=name.title(), block=f"{name.title()}Block", between=between)
        (place / "dall_e" / f"{name}.py").write_text(text)
    sys.path.insert(0, str(place))
    try:
        import dall_e.decoder
        import dall_e.encoder

        for network, state, file in (
            (dall_e.encoder.Encoder, encoder, "encoder.pkl"),
            (dall_e.decoder.Decoder, decoder, "decoder.pkl"),
        ):
            module = network(state).eval()
            torch.save(module, folder / file, _use_new_zipfile_serialization=zipped)
    finally:
        sys.path.remove(str(place))
        for name in [name for name in sys.modules if name.split(".")[0] == "dall_e"]:
            del sys.modules[name]
