"""From a value's bytes to its canonical text: lossless, without padding, the same for any reader.

Sources: PS3.5 section 6.2 (value representations, padding, lengths), 6.1 (character sets) and
6.4 (value multiplicity). Character sets are decoded by pydicom.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Iterable
from datetime import date, datetime, time
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

from dicomhouse.dicom.problems import PROBLEM_CLASS
from dicomhouse.standard.dictionary import attribute

BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW"})
"""Value representations whose value is kept as length and digest only."""

NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_BACKSLASH_IS_TEXT = frozenset({"ST", "LT", "UT", "UR"})
_CHARSET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_STRIP_BOTH = frozenset({"AE", "CS", "DS", "IS", "LO", "SH"})
_MAX_CHARACTERS = {
    "AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "ST": 1024, "LT": 10240,
    "UI": 64, "DT": 26, "TM": 16,
}  # fmt: skip
_TEXT = _CHARSET | _BACKSLASH_IS_TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}

DEFAULT_REPERTOIRE = ("iso8859",)
"""pydicom's name for ISO-IR 6, read as Latin-1 so that no byte is lost."""

_DS = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_IS = re.compile(r"[+-]?\d+")
_UID = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*")
_CS = re.compile(r"[A-Z0-9 _]*")
_AGE = re.compile(r"\d{3}[DWMY]")
_DA = re.compile(r"(\d{4})(\d{2})?(\d{2})?")
_DA_LEGACY = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_TM = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_TM_LEGACY = re.compile(r"(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
_DT = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"([+-]\d{4})?"
)
_RANGE_VM = re.compile(r"(\d+)(?:-(\d*)(n?))?")


class Value(NamedTuple):
    """A decoded value; the columns of `Element` that its bytes decide."""

    vm: int
    text: str | None = None
    number: float | None = None
    digest: str | None = None
    problem: str | None = None


class Charset(NamedTuple):
    """The character sets in force, as Python codecs, and whether all of their names are known."""

    encodings: tuple[str, ...] = DEFAULT_REPERTOIRE
    is_known: bool = True


DEFAULT_CHARSET = Charset()


@cache
def charset(terms: str) -> Charset:
    """The codecs of a SpecificCharacterSet, its terms joined by backslashes (PS3.3 C.12.1.1.2)."""
    names = [term.strip(" \0") for term in terms.split("\\")]
    known = all(name in python_encoding for name in names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Charset(tuple(convert_encodings(names)), known)
    except (LookupError, ValueError):
        return Charset(DEFAULT_REPERTOIRE, False)


def decode(
    raw: bytes,
    vr: str,
    tag: int,
    chars: Charset = DEFAULT_CHARSET,
    little_endian: bool = True,
) -> Value:
    """Decode the bytes of one element (not of a sequence) by its value representation.

    Never raises: what cannot be understood keeps its text, as far as there is one, with a
    problem of `problems.PROBLEM_CLASS`.
    """
    if not raw:
        return Value(0)
    if vr in NUMBERS:
        return _numbers(raw, vr, tag, little_endian)
    if vr in _TEXT:
        return _text(raw, vr, tag, chars)
    if vr == "AT":
        return _tags(raw, tag, little_endian)
    if vr in ("US or SS", "US or SS or OW"):  # nothing said which: read as pydicom does, unsigned
        return _numbers(raw, "US", tag, little_endian)
    return _bulk(raw, None if vr in BULK else "vr_unknown")


def _bulk(raw: bytes, problem: str | None) -> Value:
    return Value(1, digest=blake2b(raw, digest_size=16).hexdigest(), problem=problem)


def _numbers(raw: bytes, vr: str, tag: int, little_endian: bool) -> Value:
    code = NUMBERS[vr]
    size = struct.calcsize("=" + code)
    count, rest = divmod(len(raw), size)
    if rest:
        return _bulk(raw, "length_invalid")
    numbers = struct.unpack(f"{'<' if little_endian else '>'}{count}{code}", raw)
    problem = _vm_problem(tag, count)
    if code in "fd" and not all(map(math.isfinite, numbers)):
        problem = "number_nonfinite"
    first = float(numbers[0])
    return Value(
        count,
        "\\".join(map(repr, numbers)),
        first if math.isfinite(first) else None,
        problem=problem,
    )


def _tags(raw: bytes, tag: int, little_endian: bool) -> Value:
    count, rest = divmod(len(raw), 4)
    if rest:
        return _bulk(raw, "length_invalid")
    pairs = struct.unpack(f"{'<' if little_endian else '>'}{2 * count}H", raw)
    text = "\\".join(f"{pairs[i]:04X}{pairs[i + 1]:04X}" for i in range(0, 2 * count, 2))
    return Value(count, text, problem=_vm_problem(tag, count))


def _text(raw: bytes, vr: str, tag: int, chars: Charset) -> Value:
    problem = None
    is_ascii = raw.isascii()
    if vr not in _CHARSET or (is_ascii and b"\x1b" not in raw):
        text = raw.decode("ascii" if is_ascii else "latin-1")
        if not is_ascii:
            problem = "characters"
    else:
        text, problem = _decode_charset(raw, vr, chars)
    values = [text] if vr in _BACKSLASH_IS_TEXT else text.split("\\")
    if vr in _STRIP_BOTH:
        values = [value.strip(" \0") for value in values]
    elif vr == "PN":
        values = [_trim_name(value) for value in values]
    else:
        values = [value.rstrip(" \0") for value in values]
    if not any(values):
        # Blanks alone are an empty value; two empty values still are two (PS3.5 6.4).
        return Value(0) if len(values) == 1 else Value(len(values), "\\" * (len(values) - 1))
    problem = problem or _worst_problem(values, vr)
    problem = problem or _vm_problem(tag, len(values))
    if tag == 0x00080005 and not charset("\\".join(values)).is_known:
        problem = "charset_unknown"
    number = parse_number(values[0]) if vr in ("DS", "IS") else None
    return Value(len(values), "\\".join(values), number, problem=problem)


def _trim_name(name: str) -> str:
    """A person name without the blanks and the delimiters that end it (PS3.5 6.2.1)."""
    return "=".join(group.rstrip(" \0") for group in name.split("=")).rstrip("=")


def _decode_charset(raw: bytes, vr: str, chars: Charset) -> tuple[str, str | None]:
    encodings = list(chars.encodings)
    # The initial state comes back after these (PS3.5 6.1.2.5.3).
    ends = {0x0D, 0x0A, 0x09, 0x0C, 0x5C} | ({0x5E, 0x3D} if vr == "PN" else set())
    if vr in _BACKSLASH_IS_TEXT:
        ends.discard(0x5C)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            text = decode_bytes(raw, encodings, ends)
        problem = None if chars.is_known else "charset_unknown"
    except (UnicodeError, LookupError, UserWarning, ValueError):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                text = decode_bytes(raw, encodings, ends)
            except (UnicodeError, LookupError, ValueError):
                text = raw.decode("latin-1")
        problem = "charset_undecodable"
    return text, problem


def parse_number(text: str) -> float | None:
    """The number of a DS or IS, None where it is none or not finite."""
    if not _DS.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_date(text: str) -> date | None:
    """A DA, legacy form included; missing parts are the lowest."""
    match = _DA.fullmatch(text) or _DA_LEGACY.fullmatch(text)
    if not match:
        return None
    try:
        return date(*(int(part or 1) for part in match.groups()))
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """A TM, legacy form included; missing parts are 0. A leap second has no time of its own."""
    match = _TM.fullmatch(text) or _TM_LEGACY.fullmatch(text)
    if not match:
        return None
    hour, minute, second, fraction = match.groups()
    try:
        return time(
            int(hour), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0"))
        )
    except ValueError:
        return None


def parse_datetime(text: str) -> datetime | None:
    """A DT's wall time; missing parts are the lowest, the offset from UTC is dropped."""
    match = _DT.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, _ = match.groups()
    try:
        return datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            int(second or 0), int((fraction or "").ljust(6, "0")),
        )  # fmt: skip
    except ValueError:
        return None


def check_value(value: str, vr: str) -> str | None:
    """The problem of one value of a text VR, if it has one."""
    match vr:
        case "DS" | "IS":
            number = parse_number(value)
            if number is None:
                return "number_nonfinite" if _DS.fullmatch(value) else "number_invalid"
            if vr == "IS" and not _IS.fullmatch(value):
                return "is_decimal" if number.is_integer() else "number_invalid"
        case "DA":
            if parse_date(value) is None:
                return "date_invalid"
            if len(value) < 8:
                return "date_partial"
            if "." in value:
                return "date_legacy"
        case "TM":
            if parse_time(value) is None:
                is_leap = _TM.fullmatch(value) and value[4:6] == "60"
                return "time_leap_second" if is_leap else "time_invalid"
            if ":" in value:
                return "time_legacy"
        case "DT":
            if parse_datetime(value) is None:
                is_leap = _DT.fullmatch(value) and value[12:14] == "60"
                return "time_leap_second" if is_leap else "datetime_invalid"
        case "UI":
            if len(value) > 64 or not _UID.fullmatch(value):
                return "uid_invalid"
        case "CS":
            if not _CS.fullmatch(value):
                return "characters"
        case "AS":
            if not _AGE.fullmatch(value):
                return "age_invalid"
        case "PN":
            if any(len(group) > 64 for group in value.split("=")):
                return "too_long"
    limit = _MAX_CHARACTERS.get(vr)
    return "too_long" if limit is not None and len(value) > limit else None


def _worst_problem(values: Iterable[str], vr: str) -> str | None:
    """The first problem that makes a value useless, else the first one."""
    worst = None
    for value in values:
        problem = check_value(value, vr) if value else None
        if problem and PROBLEM_CLASS[problem] == "value":
            return problem
        worst = worst or problem
    return worst


@cache
def _vm_bounds(vm: str) -> tuple[int, float, int]:
    """Least, most and step of a dictionary VM such as `1`, `1-3`, `2-n`, `3-3n`."""
    choices = [_RANGE_VM.fullmatch(choice) for choice in vm.split(" or ")]
    least, most, step = math.inf, 0.0, 1
    for match in choices:
        if match is None:
            return 0, math.inf, 1
        low, high, n = match.groups()
        least = min(least, int(low))
        if n:
            most, step = math.inf, int(high or 1)
        else:
            most = max(most, int(high or low))
    return int(least), most, step


def _vm_problem(tag: int, count: int) -> str | None:
    entry = attribute(tag)
    if entry is None:
        return None
    if entry.vm == "1":
        return None if count == 1 else "vm_not_one"
    least, most, step = _vm_bounds(entry.vm)
    return None if least <= count <= most and count % step == 0 else "vm_differs"
