"""Files from the web that one can leave alone overnight: resumed, retried, verified."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of the web and what is known of it."""

    name: str  # of the file as it is kept: "clipart.zip"
    urls: tuple[str, ...]  # mirrors, tried in order; none: to be fetched by hand
    size: int | None = None  # bytes; None: not known
    digest: str | None = None  # "md5:…" or "sha256:…"; None: recorded at first use
    by_hand: str = ""  # what a person does where no mirror serves it
    other_names: tuple[str, ...] = ()  # under which people keep the same contents
