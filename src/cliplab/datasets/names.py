"""Names of classes: from folders to words, and names that are no words at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_CODE = re.compile(
    r"[\d\W_]+"  # 7, 0012, 3-1
    r"|[a-z]{1,2}[\W_]*\d+"  # n01440764, id123, c-7
    r"|(class|label|category|cls|target|synset|type|group|item|folder)[\W_]*\d+"
    r"|(?=.*\d)[0-9a-f]{8,}"  # a hash
)


def is_code(name: str) -> bool:
    """Whether a class name is a number or an identifier rather than a word.

    >>> [is_code(name) for name in ("n01440764", "7", "class_3", "sea_horse", "boeing 747")]
    [True, True, True, False, False]
    """
    return _CODE.fullmatch(name.strip().lower()) is not None


def looks_like_codes(class_names: Sequence[str]) -> bool:
    """Whether half of the class names or more are codes, of which a text tower knows nothing."""
    return bool(class_names) and 2 * sum(map(is_code, class_names)) >= len(class_names)


def readable_names(names: Sequence[str]) -> tuple[str, ...]:
    """Give class names as they may stand in a caption: `sea_horse` becomes `sea horse`.

    Underscores become spaces; case is kept. Codes (`class_3`) stay as they are, and so do names
    that would become equal.

    >>> readable_names(["sea_horse", "The_Eiffel_Tower", "n01440764", "a_b", "a b"])
    ('sea horse', 'The Eiffel Tower', 'n01440764', 'a_b', 'a b')
    """
    words = [name if is_code(name) else " ".join(name.replace("_", " ").split()) for name in names]
    count = Counter(words)
    pairs = zip(names, words, strict=True)
    return tuple(word if word and count[word] == 1 else name for name, word in pairs)
