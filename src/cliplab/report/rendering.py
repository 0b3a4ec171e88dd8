"""A page put together: template, style, scripts and data in one file that asks nobody for more.

Whatever comes from data is text: Jinja escapes it in the page, `in_script` in the JSON that scripts
read. A content security policy names the scripts by their digests and forbids all else, so that
nothing that slipped through could run, and nothing is ever fetched.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from cliplab.report.layout import percent, with_interval

if TYPE_CHECKING:
    import jinja2

TEMPLATES = "templates"
SCRIPTS = ("page.js", "charts.js", "confusion.js", "gallery.js", "map.js")
_IN_SCRIPT = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def render(template: str, context: Mapping[str, Any], data: object, pictures: list[str]) -> bytes:
    """Give the whole file, UTF-8.

    Parameters
    ----------
    template
        Its name in the folder of templates.
    context
        What the template shows.
    data, pictures
        What scripts are given: plain types, and `data:` addresses of pictures.
    """
    script = "\n".join(_text(name) for name in SCRIPTS)
    page = (
        _environment()
        .get_template(template)
        .render(
            **context,
            style=_text("page.css"),
            script=script,
            data=in_script(data),
            pictures=in_script(pictures),
            plotly=_plotly().packed,
            policy=_policy(script),
        )
    )
    return page.encode("utf-8", "replace")


def in_script(value: object) -> str:
    r"""Give JSON that may stand in a script element: no character ends or opens anything.

    >>> in_script({"name": "</script><b>"})
    '{"name":"\\u003c/script\\u003e\\u003cb\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in _IN_SCRIPT.items():
        text = text.replace(character, escaped)
    return text


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cliplab.report", TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "with_interval": with_interval}
    return environment


@functools.cache
def _text(name: str) -> str:
    folder = resources.files("cliplab.report").joinpath(TEMPLATES)
    return folder.joinpath(name).read_text("utf-8")


class _Packed:
    """Plotly's script, compressed for the page; unpacked, its digest."""

    def __init__(self, script: bytes) -> None:
        self.packed = base64.b64encode(gzip.compress(script, 9, mtime=0)).decode()
        self.digest = _digest(script)


@functools.cache
def _plotly() -> _Packed:
    path = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    return _Packed(path.read_bytes())


def _policy(script: str) -> str:
    scripts = f"'{_digest(script.encode())}' '{_plotly().digest}'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"
