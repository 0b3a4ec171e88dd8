"""Files from the web that one can leave alone overnight: resumed, retried, verified."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cliplab.runtime.errors import DownloadFailed, Faults, UsageError
from cliplab.runtime.patience import Patience
from cliplab.runtime.progress import say
from cliplab.runtime.storage import locked, make_folder, sweep_parts
from cliplab.runtime.transfer import Interrupted, Part, Unavailable, Wanted, check_space, transfer
from cliplab.runtime.verified import algorithm_of, refuse_changed, remember, verified

if TYPE_CHECKING:
    import httpx

RECORDS = "digests"  # folder below the downloads, of what is remembered of each file
CONNECT_TIMEOUT = 20.0  # seconds
MOST_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of the web and what is known of it."""

    name: str  # of the file as it is kept: "clipart.zip"
    urls: tuple[str, ...]  # mirrors, tried in order; none: to be fetched by hand
    size: int | None = None  # bytes; None: not known
    digest: str | None = None  # "md5:…" or "sha256:…"; None: recorded at first use
    by_hand: str = ""  # what a person does where no mirror serves it
    other_names: tuple[str, ...] = ()  # under which people keep the same contents


class Fetched(NamedTuple):
    """A file that is here, and its digest as it was verified."""

    path: Path
    digest: str  # "md5:…" or "sha256:…"


def find_file(remote: Remote, folders: Sequence[Path]) -> Path | None:
    """Find a file by its name (or another that people use) in folders, also one level down."""
    for folder in folders:
        for name in (remote.name, *remote.other_names):
            if (folder / name).is_file():
                return folder / name
        below = (
            sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        )
        for name in (remote.name, *remote.other_names):
            for inner in below:
                if (inner / name).is_file():
                    return inner / name
    return None


def find_or_fetch(
    remotes: Sequence[Remote],
    folder: Path,
    *,
    archives: Path | None = None,
    offline: bool = False,
    patience: Patience | None = None,
) -> dict[str, Fetched]:
    """Give each file where it lies: found and verified, or downloaded and verified.

    All that is missing and cannot be downloaded is told of before the first byte.

    Parameters
    ----------
    remotes
        The files.
    folder
        Where downloads go, and where those of earlier times lie.
    archives
        A folder of the user's that is looked through first; it is only read.
    offline
        Whether nothing may be downloaded.
    patience
        How long to keep trying.

    Returns
    -------
    dict
        `Remote.name` → the file and its digest.

    Raises
    ------
    DownloadFailed
        If a file is not here and no mirror serves it, or it must be fetched by hand; the message
        says how.
    DataError
        If a file that is here is not what is expected.
    StorageError
        If there is not enough space.
    """
    if archives is not None and not archives.is_dir():
        raise UsageError(f"--archives {archives}: there is no such folder.")
    places = [place for place in (archives, folder) if place is not None]
    found = {remote.name: find_file(remote, places) for remote in remotes}
    missing = [remote for remote in remotes if found[remote.name] is None]
    _refuse_missing(missing, places, offline)
    if missing:
        _check_space(missing, make_folder(folder))
    files = {}
    for remote in remotes:
        path = found[remote.name]
        if path is None:
            files[remote.name] = fetch(remote, folder, patience=patience)
        else:
            files[remote.name] = _as_expected(path, remote, folder)
    return files


def _check_space(missing: Sequence[Remote], folder: Path) -> None:
    """See that all that is to come has room, as far as sizes are known."""
    needed = 0
    for remote in missing:
        part = folder / f"{remote.name}.part"
        received = part.stat().st_size if part.is_file() else 0
        needed += max(0, (remote.size or 0) - received)
    check_space(folder, needed, f"What is to be downloaded ({len(missing)} files)")


def _as_expected(path: Path, remote: Remote, folder: Path) -> Fetched:
    records = folder / RECORDS
    digest = verified(path, size=remote.size, digest=remote.digest, records=records)
    return Fetched(path, digest)


def _refuse_missing(missing: Sequence[Remote], places: Sequence[Path], offline: bool) -> None:
    faults = Faults()
    for remote in missing:
        if remote.urls and not offline:
            continue
        names = " or ".join((remote.name, *remote.other_names))
        where = remote.by_hand or (f"download {remote.urls[0]}" if remote.urls else "")
        faults.add(f"{names}{_size_of(remote)}: {where}")
    looked = " and ".join(map(str, places))
    reason = "--offline allows no download" if offline else "have to be fetched by hand"
    faults.raise_any(
        f"Files are missing in {looked}, and {reason}. Put them in a folder and name it with "
        "--archives FOLDER:",
        DownloadFailed,
    )


def _size_of(remote: Remote) -> str:
    return "" if remote.size is None else f" ({remote.size / 1e6:,.1f} MB)"


def fetch(
    remote: Remote,
    folder: Path,
    *,
    patience: Patience | None = None,
    client: httpx.Client | None = None,
) -> Fetched:
    """Download a file to `folder`, or give the one that is there; verified either way.

    What a killed run received (`NAME.part`) is gone on with. A second process waits for the first,
    and finds its file.

    Parameters
    ----------
    remote
        The file.
    folder
        Where it appears, by rename once it is whole and verified.
    patience
        How long to keep trying.
    client
        Asks the servers; by default one that follows redirects and the system's proxies.

    Raises
    ------
    DownloadFailed
        If no mirror serves it; each is named with its reason.
    DataError
        If what is there, or what is served now, is not what is expected.
    StorageError
        If the disk is full or cannot be written.
    """
    patience = patience or Patience()
    target = make_folder(folder) / remote.name
    with locked(target, lambda: say(f"Another process is fetching {target}; waiting for it.")):
        sweep_parts(folder, glob.escape(f"{remote.name}.part.json"))
        if target.is_file():
            return _as_expected(target, remote, folder)
        if client is not None:
            return _download(remote, target, patience, client)
        with web_client(patience) as own:
            return _download(remote, target, patience, own)


def web_client(patience: Patience) -> httpx.Client:
    """Make the client that asks the servers: follows redirects and the system's proxies."""
    import httpx

    import cliplab

    return httpx.Client(
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        timeout=httpx.Timeout(patience.timeout, connect=min(CONNECT_TIMEOUT, patience.timeout)),
        headers={"User-Agent": f"cliplab/{cliplab.__version__}"},
    )


def _download(remote: Remote, target: Path, patience: Patience, client: httpx.Client) -> Fetched:
    algorithm = algorithm_of(remote.digest)
    wanted = Wanted(remote.name, remote.size, algorithm, remote.digest is not None)
    part, faults = Part(target, wanted), Faults()
    for place, url in enumerate(remote.urls, start=1):
        try:
            digest = _from_mirror(client, url, part, wanted, remote.digest, patience)
        except Unavailable as error:
            faults.add(f"{url} {error}")
            if place < len(remote.urls):
                say(f"{remote.name}: {url} {error}; trying {remote.urls[place]}.")
            continue
        refuse_changed(target, digest, target.parent / RECORDS)
        part.finish()
        remember(target, digest, target.parent / RECORDS)
        return Fetched(target, digest)
    kept = (
        f" What was received ({part.size:,} bytes) is kept and gone on with." if part.size else ""
    )
    by_hand = f" By hand: {remote.by_hand}" if remote.by_hand else ""
    faults.raise_any(
        f"{remote.name} could not be downloaded. Check the network and run the same command again, "
        f"or fetch it by other means and name its folder with --archives FOLDER.{kept}{by_hand}",
        DownloadFailed,
    )
    raise DownloadFailed(f"{remote.name} has no address to download it from.{by_hand}")


def _from_mirror(
    client: httpx.Client,
    url: str,
    part: Part,
    wanted: Wanted,
    expected: str | None,
    patience: Patience,
) -> str:
    """Receive the file from one mirror, however often it is cut; give its digest, as expected."""
    was_continued = part.size > 0
    _receive_all(client, url, part, wanted, patience)
    digest = f"{wanted.algorithm}:{part.digest()}"
    if expected in (None, digest):
        return digest
    part.forget()
    if was_continued:  # the first bytes may have been those of another file
        return _from_mirror(client, url, part, wanted, expected, patience)
    raise Unavailable(f"serves a file with {digest}, expected {expected}")


def _receive_all(
    client: httpx.Client, url: str, part: Part, wanted: Wanted, patience: Patience
) -> None:
    failures = 0
    while True:
        before = part.size
        try:
            transfer(client, url, part, wanted)
        except Interrupted as error:
            failures = 1 if part.size > before else failures + 1
            if failures >= patience.attempts:
                raise Unavailable(
                    f"failed {failures} times in a row; the last time: {error}"
                ) from error
            wait = patience.wait(failures, error.wait)
            say(f"{wanted.name}: {error}; trying again in {wait:,.0f} s.")
            patience.sleep(wait)
        else:
            return
