"""What makes a page one file that nothing can break out of."""

from __future__ import annotations

import json

import pytest

from cliplab.report.rendering import SCRIPTS, TEMPLATES, _text, in_script


@pytest.mark.parametrize(
    "text", ["</script>", "<!--", "]]>", "a\u2028b\u2029", "&lt;", "\x00", "\ud83d"]
)
def test_json_in_a_script_ends_nothing_and_is_the_same(text):
    shown = in_script({"name": [text, {text: 1}]})
    assert not set(shown) & set("<>&\u2028\u2029")
    assert json.loads(shown) == {"name": [text, {text: 1}]}


def test_numbers_that_are_no_json_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        in_script(float("nan"))


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css"])
def test_what_is_inlined_ends_no_element_and_names_no_address(name):
    text = _text(name)
    assert "</" not in text
    assert "http" not in text
    assert "innerHTML" not in text
    assert "insertAdjacentHTML" not in text
    assert "eval(" not in text
    assert TEMPLATES
