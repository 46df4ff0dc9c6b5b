"""Reads a tag in whichever form people write it, and tells its kind by its number.

Eight digits are always hexadecimal: `00100010` is PatientName, and so is `1048592`, but `16777216`
is group 1677, not (0100,0000). A decimal number has one to ten digits, not eight, and does not
begin with 0; the tags that are eight digits in decimal, (0098,9680) to (05F5,E0FF), need another
form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from dicomhouse.errors import UsageError
from dicomhouse.standard import TABLES

TRANSFER_SYNTAX = 0x00020010
DIRECTORY = 0x00041220
CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103

_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]{8})|0x([0-9a-f]{1,7})", re.IGNORECASE)
_HALF = "([0-9a-f]{4}|0x[0-9a-f]{1,4})"
_PAIR = re.compile(rf"{_HALF}\s*,\s*{_HALF}|\(\s*{_HALF}\s*,\s*{_HALF}\s*\)", re.IGNORECASE)
# As the standard writes the attributes of a repeating group: (60xx,3000).
_REPEATING = re.compile(
    r"([0-9a-f]{2})xx\s*,?\s*([0-9a-f]{4})|\(\s*([0-9a-f]{2})xx\s*,\s*([0-9a-f]{4})\s*\)",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
_PRIVATE = re.compile(
    r'\(\s*([0-9a-f]{4})\s*,\s*(?:\?|"((?:[^"]|"")*)")\s*(?:,\s*([0-9a-f]{2})\s*)?\)',
    re.IGNORECASE,
)
# As other programs write them, the creator quoted or not: 0019,xx0C,CREATOR with the block or
# without, 0019,CREATOR,0C, and 0019[CREATOR]0C; each in parentheses or not.
_CREATOR = r'"?(?P<creator>[^"]+(?:""[^"]*)*)"?'
_OTHER_PRIVATE = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<group>[0-9a-f]{{4}})\s*,\s*(?:xx|[0-9a-f]{{2}})(?P<element>[0-9a-f]{{2}})\s*,\s*{_CREATOR}",
        rf"(?P<group>[0-9a-f]{{4}})\s*,\s*{_CREATOR}\s*,\s*(?P<element>[0-9a-f]{{2}})",
        rf"(?P<group>[0-9a-f]{{4}})\s*\[{_CREATOR}\]\s*(?:xx)?(?P<element>[0-9a-f]{{2}})",
    )
]
_LONGEST_NAME = 200
_NEAREST = 5
_SHORTEST_PART = 3
_FORMS = 'PatientName, "Patient\'s Name", 0010,0010, 0x00100010 or (0019,"CREATOR",0C)'


@dataclass(frozen=True)
class PrivateTag:
    """A private element by its creator, whichever block a file puts it in.

    `creator` is None for data without a valid one, `element` (the low byte) is None for the
    creator element itself. The text form is the element's `path` in the lake.
    """

    group: int
    creator: str | None
    element: int | None

    def __str__(self) -> str:
        return private_path(self.group, self.creator, self.element)


def private_path(group: int, creator: str | None, element: int | None) -> str:
    """The text form of `PrivateTag`, of its three fields."""
    quoted = "?" if creator is None else '"' + creator.replace('"', '""') + '"'
    return f"({group:04X},{quoted})" if element is None else f"({group:04X},{quoted},{element:02X})"


def parse_tag(text: str) -> int | PrivateTag:
    """The tag that a text names; an attribute of a repeating group gives the first of its tags.

    Keywords and names are found in any case, names without their apostrophes too. A number need
    not stand in the dictionary.

    Raises:
        UsageError: the text is not a tag; the message names the nearest keywords.
    """
    text = text.strip()
    if match := _HEXADECIMAL.fullmatch(text):
        return int(match[1] or match[2], 16)
    if match := _PAIR.fullmatch(text):
        return int(match[1] or match[3], 16) << 16 | int(match[2] or match[4], 16)
    if match := _REPEATING.fullmatch(text):
        return int((match[1] or match[3]) + "00" + (match[2] or match[4]), 16)
    if _DECIMAL.fullmatch(text) and int(text) <= 0xFFFFFFFF:
        return int(text)
    if match := _PRIVATE.fullmatch(text):
        return _private(*match.groups())
    bare = text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text
    for pattern in _OTHER_PRIVATE:
        if match := pattern.fullmatch(bare):
            return _private(match["group"], match["creator"], match["element"])
    tag = _tag_of().get(_folded(text))
    if tag is None:
        raise UsageError(_unknown(text))
    return tag


def is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Whether the tag reserves a private block (PS3.5 7.8.1)."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def is_structural(tag: int) -> bool:
    """Whether it tells of the file's form: file meta information, group lengths, creators."""
    return tag >> 16 == 2 or not tag & 0xFFFF or is_creator(tag)


def nearest_keywords(tag: int) -> list[str]:
    """Keywords of up to five tags of the same group, the nearest first."""
    group = [(abs(other - tag), word) for other, word, _ in _entries() if other >> 16 == tag >> 16]
    return [word for _, word in sorted(group)[:_NEAREST]]


def _private(group: str, creator: str | None, element: str | None) -> PrivateTag:
    if int(group, 16) % 2 == 0:
        raise UsageError(f"Group {group} is not private: private groups are odd.")
    if creator is not None:
        creator = creator.replace('""', '"').strip(" \0")
        if not creator:
            raise UsageError(f"The creator is empty; without a valid one write ({group},?,0C).")
    return PrivateTag(int(group, 16), creator, None if element is None else int(element, 16))


def _folded(text: str) -> str:
    return text.replace("’", "").replace("'", "").casefold()


@cache
def _entries() -> list[tuple[int, str, str]]:
    """Tag, keyword and name of the dictionary. Numbers need none of it, so Arrow waits here."""
    import pyarrow.parquet as pq

    table = pq.read_table(TABLES / "attributes.parquet", columns=["tag", "keyword", "name"])
    return [
        (int(tag.replace("x", "0"), 16), keyword, name)
        for tag, keyword, name in zip(*table.to_pydict().values(), strict=True)
        if keyword
    ]


@cache
def _tag_of() -> dict[str, int]:
    return {_folded(text): tag for tag, *texts in _entries() for text in texts}


def _unknown(text: str) -> str:
    if len(text) > _LONGEST_NAME:
        return f"A text of {len(text)} characters is not a DICOM tag. A tag is written as {_FORMS}."
    letters = "".join(filter(str.isalnum, text)).casefold()
    keywords = {keyword.casefold(): keyword for _, keyword, _ in _entries()}
    nearest = [keywords[match] for match in get_close_matches(letters, keywords, n=_NEAREST)]
    if len(letters) >= _SHORTEST_PART:
        # A part of a keyword is like none by its length: Slice, Kernel.
        parts = (keyword for keyword in keywords if letters in keyword)
        longer = sorted(parts, key=lambda word: (not word.startswith(letters), len(word), word))
        nearest += [keywords[word] for word in longer if keywords[word] not in nearest]
    nearest = nearest[:_NEAREST]
    if not nearest:
        return f"{text!r} is not a DICOM tag. A tag is written as {_FORMS}."
    return f"{text!r} is not a DICOM tag. The nearest keywords are {', '.join(nearest)}."
