"""Published weights: which tags there are, where their files lie, and what to do without them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cliplab.runtime.errors import MissingWeights, UnknownName, UsageError
from cliplab.runtime.progress import say

OPENAI_CACHE = Path("~/.cache/clip")  # where OpenAI's own package keeps its archives
_PATIENCE = 4.0  # seconds to wait for an answer of the hub before saying that there is none


def tag_settings(architecture: str, tag: str) -> Mapping[str, Any]:
    """Give what open_clip knows of a published tag; unknown names give the closest ones."""
    import open_clip

    check_architecture(architecture)
    found: Mapping[str, Any] = open_clip.get_pretrained_cfg(architecture, tag)
    if not found:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if not tags:
            raise UsageError(
                f"No published weights for {architecture}; give a file of yours with "
                f"--encoder {architecture} --weights FILE, or see `cliplab encoders`."
            )
        raise UnknownName("tag", tag, tags, hint=f"of {architecture}")
    return found


def wants_quick_gelu(settings: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Tell whether a tag's weights want QuickGELU: as the tag says, else as its architecture."""
    return bool(settings.get("quick_gelu", config.get("quick_gelu", False)))


def check_architecture(architecture: str) -> None:
    """Refuse a name that is no architecture of open_clip's, with the closest that are."""
    import open_clip

    if architecture not in (known := open_clip.list_models()):
        raise UnknownName("encoder", architecture, known, hint="(ARCH/TAG, or an existing folder)")


def find_weights(name: str, settings: Mapping[str, Any]) -> Path:
    """Path of a tag's weights: from the caches, else downloaded.

    Raises
    ------
    MissingWeights
        At once, where they are in no cache and the network cannot be reached; with the way out.
    """
    if (cached := cached_weights(settings)) is not None:
        return cached
    if offline() or not _reachable(settings):
        raise MissingWeights(_way_out(name, settings, "there is no network here"))
    import open_clip

    say(f"Downloading {name} …")
    try:
        return Path(open_clip.download_pretrained(dict(settings)))
    except Exception as error:  # whatever the hub's client raises
        raise MissingWeights(_way_out(name, settings, f"the download failed: {error}")) from error


def cached_weights(settings: Mapping[str, Any]) -> Path | None:
    """Path of a tag's weights if they are here: in the hub's cache, or in OpenAI's."""
    from huggingface_hub import try_to_load_from_cache

    if "file" in settings:
        return Path(settings["file"])
    repository, names = _hub_files(settings)
    for name in names:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    url = settings.get("url", "")
    beside = OPENAI_CACHE.expanduser() / url.rpartition("/")[2]
    return beside if url and beside.is_file() else None


def _hub_files(settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Repository and the file names to look for, the safest first."""
    repository, _, name = settings.get("hf_hub", "").rpartition("/")
    if not repository:
        return "", []
    name = name or "open_clip_pytorch_model.bin"
    safe = {"open_clip_pytorch_model.bin": ["open_clip_model.safetensors"]}.get(name, [])
    if name.endswith((".bin", ".pth")):
        safe = [*safe, name[:-4] + ".safetensors"]
    return repository, [*safe, name]


def offline() -> bool:
    """Whether the user told hubs to stay offline (`HF_HUB_OFFLINE=1`)."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _reachable(settings: Mapping[str, Any]) -> bool:
    return hub_answers() if settings.get("hf_hub") else answers(settings.get("url", ""))


def hub_answers() -> bool:
    """Tell at once whether the Hugging Face hub answers, or the mirror that `HF_ENDPOINT` names."""
    return answers(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")


def answers(url: str) -> bool:
    """Tell within `_PATIENCE` seconds whether the server of a URL, or the proxy to it, answers."""
    found: list[bool] = []
    # Looking a name up has no time limit of its own, so it is left behind in a thread.
    asked = threading.Thread(target=lambda: found.append(_connects(url)), daemon=True)
    asked.start()
    asked.join(_PATIENCE)
    return bool(found) and found[0]


def _connects(url: str) -> bool:
    wanted = urlsplit(url)
    proxies = {} if proxy_bypass(wanted.hostname or "") else getproxies()
    proxy = proxies.get(wanted.scheme) or proxies.get("all") or url
    try:
        server = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((server.hostname, port), timeout=_PATIENCE).close()
    except (OSError, ValueError):  # no answer; no address
        return False
    return True


def _way_out(name: str, settings: Mapping[str, Any], why: str) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    repository, names = _hub_files(settings)
    url = settings.get("url", "")
    places = []
    if repository:
        places.append(
            f"{names[0]} of {repository} on the Hugging Face hub (cache folder: {HF_HUB_CACHE})"
        )
    if url:
        places.append(f"{url} (cache folder: {OPENAI_CACHE})")
    return (
        f"The weights of {name} are not on this machine, and {why}. On a machine with a network "
        f"fetch {' or '.join(places)}; then name the file here: --encoder {name} --weights FILE, "
        "or copy the cache folder."
    )
