"""DALLE-pytorch 1.6.6 in an environment of its own, for the benchmarks that stand beside it.

Its package does not install whole any more, so it comes without its dependencies. What its
networks compute with is pinned beside it, at versions of its own day; PyTorch, NumPy and einops are
those of the environment that runs this, so that both sides run on the same. Modules that it imports
for its VQGAN and its downloads alone are stood in for by empty ones.

    python benchmarks/dalle_pytorch_peer.py

makes the environment where it is missing (ten seconds, 30 MB) and prints its interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".venv-dalle-pytorch"
PINS = (
    "dalle-pytorch==1.6.6",
    "axial-positional-embedding==0.2.1",
    "rotary-embedding-torch==0.2.3",
    "setuptools==79.0.1",  # the last of those that still bring the module pkg_resources
)
STAND_INS = {
    "omegaconf.py": "OmegaConf = None\n",
    "requests.py": "",
    "taming/__init__.py": "",
    "taming/models/__init__.py": "",
    "taming/models/vqgan.py": "VQModel = GumbelVQ = None\n",
}
IMPORT = "import torch, dalle_pytorch"


class NoPeer(Exception):
    """DALLE-pytorch is not to be had here; the message says why."""


def peer_python() -> str:
    """Give the interpreter of the environment, which is made where it is missing.

    Raises
    ------
    NoPeer
        It cannot be made, for instance without a network.
    """
    python, stamp = FOLDER / "bin" / "python", FOLDER / "made-of.txt"
    made_of = "\n".join((*PINS, *STAND_INS, sys.prefix, sys.version))
    if stamp.is_file() and stamp.read_text() == made_of:
        return str(python)
    print(f"Making an environment with DALLE-pytorch in {FOLDER} …", file=sys.stderr)
    _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", *PINS)
    found = _run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    packages = Path(found.strip())
    for name, text in STAND_INS.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    # Last on the path, so that what is pinned here comes first.
    shared = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "shared.pth").write_text("\n".join(shared) + "\n")
    _run(str(python), "-W", "ignore", "-c", IMPORT)
    stamp.write_text(made_of)
    return str(python)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        what = " ".join(command)
        raise NoPeer(f"`{what}` failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def main() -> None:
    """Make it and say where it is."""
    try:
        print(peer_python())
    except NoPeer as error:
        sys.exit(f"DALLE-pytorch is not to be had. {error}")


if __name__ == "__main__":
    main()
