"""From a value's bytes to its canonical text: lossless, without padding, the same for any reader.

Sources: PS3.5 section 6.2 (value representations, padding, lengths), 6.1 (character sets) and
6.4 (value multiplicity). Character sets are decoded by pydicom.
"""

from __future__ import annotations

import math
import re
import struct
import sys
import warnings
from collections.abc import Iterable
from datetime import date, datetime, time
from functools import cache, lru_cache
from hashlib import blake2b
from typing import NamedTuple

import dicomhouse.without_decoders  # noqa: F401

# isort: split
from pydicom.charset import CODES_TO_ENCODINGS, convert_encodings, decode_bytes, python_encoding

from dicomhouse.dicom.problems import joined
from dicomhouse.standard.dictionary import attribute
from dicomhouse.standard.tags import CHARACTER_SET

BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW"})
"""Value representations whose value is kept as length and digest; readable text of UN as well."""

NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
NUMBER_SIZES = {vr: struct.calcsize("=" + code) for vr, code in NUMBERS.items()}
"""Bytes of one value."""

_BACKSLASH_IS_TEXT = frozenset({"ST", "LT", "UT", "UR"})
_CHARSET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_MAX_CHARACTERS = {
    "AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "ST": 1024, "LT": 10240, "DT": 26,
    "TM": 16,
}  # fmt: skip
TEXT = _CHARSET | _BACKSLASH_IS_TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}
"""Value representations whose value is text."""

_LEAST_CHARACTERS, _MOST_UNKNOWN_BYTES = 4, 1024
"""Of a text in a value of an unknown representation."""
_TERM = re.compile(r"ISO[ _-]?(2022)?[ _-]?IR[ _-]?([0-9]+)", re.IGNORECASE)
_LATIN_9 = ("ISO_IR 203", "ISO 2022 IR 203")
"""Younger than pydicom's table."""
_WINDOWS = {"iso8859": "cp1252", "latin_1": "cp1252", "iso_ir_148": "cp1254"}
"""What writers of Windows mean by a character set: letters and quotes where it has controls."""
_LATIN = frozenset({*_WINDOWS, "iso8859_15"})
"""Character sets in which two-byte sequences of UTF-8 are a letter and a sign."""
_UNICODE = frozenset({"utf8", "gb18030"})
_UPPER_CONTROLS = re.compile("[\x80-\x9f]")
_LOWER_CONTROLS = re.compile("[\0-\x1a\x1c-\x1f\x7f]")
_ONE_LINE = frozenset({"LO", "PN", "SH", "UC"})
"""Value representations that hold no control character but ESC."""
_PAIRS = re.compile(rb"(?<![\x80-\xff])(?:[\xb0-\xd7][\xa1-\xfe]){2,}(?![\x80-\xff])")
"""Words as common Chinese (GB 2312) and half-width Japanese have them, and hardly any Latin."""
_EXTENSIONS = tuple(CODES_TO_ENCODINGS.values())
_ESCAPE = b"\x1b"
_MAX_TERMS = 1000
"""Characters of all character sets that the standard knows, twice."""

_ASCII = "ascii"
DEFAULT_REPERTOIRE = ("iso8859",)
"""pydicom's name for ISO-IR 6, read as Latin-1 so that no byte is lost."""

_DS = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_IS = re.compile(r"[+-]?[0-9]+")
_INT32 = (-(1 << 31), (1 << 31) - 1)
_NONFINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_UID = re.compile(r"(?!0[0-9])[0-9]++(?:\.(?!0[0-9])[0-9]++)*+")
_CS = re.compile(r"[A-Z0-9 _]*")
_AGE = re.compile(r"[0-9]{3}[DWMY]")
_DA = re.compile(r"([0-9]{4})([0-9]{2})?([0-9]{2})?")
_DA_LEGACY = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TM = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]+))?)?)?")
_TM_LEGACY = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?")
_DT = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]+))?)?)?)?)?)?"
    r"([+-][0-9]{4})?"
)
_MICROSECONDS = 6
"""Decimals of a second that a TM or DT may have."""
_RANGE_VM = re.compile(r"([0-9]+)(?:-([0-9]*)(n?))?")


class Value(NamedTuple):
    """A decoded value; the columns of `Element` that its bytes decide."""

    vm: int
    text: str | None = None
    number: float | None = None
    digest: str | None = None
    problem: str | None = None
    """Codes of `problems`, joined."""


_value = tuple.__new__
"""Makes a `Value` of a tuple in half the time: most values come this way."""


class Charset(NamedTuple):
    """The character sets in force, as Python codecs, and what is wrong with how they are named."""

    encodings: tuple[str, ...] = DEFAULT_REPERTOIRE
    problem: str | None = None
    """Of text that needs them."""
    own_problem: str | None = None
    """Of the element that names them."""


DEFAULT_CHARSET = Charset()


def charset(terms: str) -> Charset:
    """The codecs of a SpecificCharacterSet, its terms joined by backslashes (PS3.3 C.12.1.1.2)."""
    if len(terms) > _MAX_TERMS:
        return Charset(DEFAULT_REPERTOIRE, "charset_unknown", "charset_unknown")
    return _charset(terms)


@lru_cache(1 << 10)
def _charset(terms: str) -> Charset:
    names = [term.strip(" \0") for term in terms.split("\\")]
    corrected = [_corrected(name) for name in names]
    unknown = [not _is_charset(name) for name in corrected]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encodings = tuple(convert_encodings(corrected))
    except (LookupError, ValueError):
        return Charset(DEFAULT_REPERTOIRE, "charset_unknown", "charset_unknown")
    # pydicom leaves out what does not go together with the others.
    is_odd = len(encodings) < len(names) or any(
        name not in python_encoding and name not in _LATIN_9 for name in names
    )
    odd = "charset_misdeclared" if is_odd else None
    # Text without escapes needs the first term alone.
    return Charset(
        encodings,
        "charset_unknown" if unknown[0] else odd,
        "charset_unknown" if any(unknown) else odd,
    )


def _corrected(term: str) -> str:
    """The term that is meant, with its blanks, and code extensions where it has no other form."""
    if not (match := _TERM.fullmatch(term)):
        return term
    extended, number = match.groups()
    plain, with_extensions = f"ISO_IR {number}", f"ISO 2022 IR {number}"
    if plain in _LATIN_9:
        return "iso8859_15"
    forms = (with_extensions, plain) if extended else (plain, with_extensions)
    return next((form for form in forms if form in python_encoding), term)


def _is_charset(term: str) -> bool:
    """Whether pydicom finds a codec for a term, Python's own name included."""
    if term in python_encoding:
        return True
    try:
        b"a".decode(term)
    except (LookupError, ValueError) as error:
        return isinstance(error, UnicodeError)  # there is one, for other bytes
    return True


def decode(
    raw: bytes,
    vr: str,
    tag: int,
    chars: Charset = DEFAULT_CHARSET,
    little_endian: bool = True,
    most_text: int = 1 << 20,
) -> Value:
    """Decode the bytes of one element (not of a sequence) by its value representation.

    Never raises: what cannot be understood keeps its text, as far as there is one, with a
    problem of `problems.PROBLEM_CLASS`. A text of more than `most_text` bytes has a digest only.
    """
    if not raw:
        return Value(0)
    if len(raw) > most_text and vr not in BULK:
        return _bulk(raw, "not_read")
    if vr in NUMBERS:
        return _numbers(raw, vr, tag, little_endian)
    if vr in TEXT:
        return _text(raw, vr, tag, chars)
    if vr == "AT":
        return _tags(raw, tag, little_endian)
    if vr in ("US or SS", "US or SS or OW"):  # nothing said which: read as pydicom does, unsigned
        return _numbers(raw, "US", tag, little_endian)
    value = _bulk(raw, None if vr in BULK else "vr_unknown")
    return value._replace(text=_readable(raw, chars)) if vr == "UN" else value


def _readable(raw: bytes, chars: Charset) -> str | None:
    """The text of an unknown value, where all of it is one; names and dates are left there too.

    Few bytes, and many, are taken for what they are: bytes.
    """
    if len(raw) > _MOST_UNKNOWN_BYTES:
        return None
    text: str | None
    if raw.isascii():
        text = raw.decode("ascii")
    else:
        text, problem = _decode_charset(raw, "UT", chars)
        if problem is not None:
            return None
    text = _trim_end(text)
    return text if len(text) >= _LEAST_CHARACTERS and text.isprintable() else None


def _bulk(raw: bytes, problem: str | None) -> Value:
    return Value(1, digest=blake2b(raw, digest_size=16).hexdigest(), problem=problem)


def _numbers(raw: bytes, vr: str, tag: int, little_endian: bool) -> Value:
    code = NUMBERS[vr]
    count, rest = divmod(len(raw), NUMBER_SIZES[vr])
    if rest:
        return _bulk(raw, "length_invalid")
    numbers = struct.unpack(f"{'<' if little_endian else '>'}{count}{code}", raw)
    problem = _vm_problem(tag, count)
    if code in "fd" and not all(map(math.isfinite, numbers)):
        problem = joined(problem, "number_nonfinite")
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
    trim = _TRIM.get(vr, _trim_end)
    if vr in _ONE_LINE and not text.isprintable() and _LOWER_CONTROLS.search(text.rstrip(" \0")):
        problem = joined(problem, "characters")
    number = None
    if vr in _BACKSLASH_IS_TEXT or "\\" not in text:
        text = trim(text)
        if not text:
            return Value(0)  # blanks alone are an empty value
        count = 1
        if vr in ("DS", "IS"):
            number = parse_number(text)
        if number is None or vr != "DS" or len(text) > _MAX_CHARACTERS["DS"]:
            found = check_value(text, vr)
            problem = joined(problem, found) if problem and found else problem or found
    else:
        values = [trim(value) for value in text.split("\\")]
        text, count = "\\".join(values), len(values)
        if not any(values):
            return Value(count, text)  # two empty values still are two (PS3.5 6.4)
        if vr in ("DS", "IS"):
            number = parse_number(values[0])
        found = _problems(values, vr)
        problem = joined(problem, found) if problem and found else problem or found
    found = _vm_problem(tag, count)
    if tag == CHARACTER_SET:
        found = joined(found, charset(text).own_problem)
    if found is not None:
        problem = joined(problem, found)
    return _value(Value, (count, text, number, None, problem))


def _trim_end(text: str) -> str:
    return text.rstrip(" \0")


def _trim_both(text: str) -> str:
    return text.strip(" \0")


def _trim_name(name: str) -> str:
    """A person name without the blanks and the delimiters that end it (PS3.5 6.2.1)."""
    return "=".join(group.rstrip(" \0") for group in name.split("=")).rstrip("=")


_TRIM = {**dict.fromkeys(("AE", "CS", "DS", "IS", "LO", "SH"), _trim_both), "PN": _trim_name}
"""Blanks that are not part of a value; those behind it in all other VRs (PS3.5 6.2)."""


def _decode_charset(raw: bytes, vr: str, chars: Charset) -> tuple[str, str | None]:
    encodings = list(chars.encodings)
    # The initial state comes back after these (PS3.5 6.1.2.5.3).
    ends = {0x0D, 0x0A, 0x09, 0x0C, 0x5C} | ({0x5E, 0x3D} if vr == "PN" else set())
    if vr in _BACKSLASH_IS_TEXT:
        ends.discard(0x5C)
    # Latin-1 may be declared as one of several, and its escape forgotten.
    is_default = encodings[0] == DEFAULT_REPERTOIRE[0] and "latin_1" not in encodings
    problem = chars.problem
    text = _decoded(raw, [_ASCII, *encodings[1:]] if is_default else encodings, ends)
    if text is None and is_default:
        text = _as_utf8(raw) or _decoded(raw, encodings, ends)
        # Where a term is unknown, it may be the one that was meant.
        is_unknown = chars.own_problem == "charset_unknown"
        problem = "charset_unknown" if is_unknown else "charset_undeclared"
    elif (meant := _as_utf8(raw)) and _is_meant(text, encodings):
        text, problem = meant, "charset_misdeclared"
    elif encodings[0] == "latin_1" and _PAIRS.search(raw):
        problem = joined(problem, "charset_doubtful")
    if text is None and _ESCAPE in raw:
        text = _decoded(raw, [*encodings, *_EXTENSIONS], ends)
        problem = "charset_undeclared" if is_default else "charset_misdeclared"
    if text is None:
        problem = "charset_undecodable"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                text = decode_bytes(raw, encodings, ends)
            except (UnicodeError, LookupError, ValueError):
                text = raw.decode("latin-1")
    elif _UPPER_CONTROLS.search(text):
        text, found = _without_controls(raw, text, encodings[0])
        problem = joined(problem, found if found or is_default else "charset_misdeclared")
    return text.replace("\x1b$)A", ""), problem  # pydicom leaves this escape in


def _is_meant(text: str | None, encodings: list[str]) -> bool:
    """Whether valid UTF-8 is that, and not what the declared character set makes of it."""
    return encodings[0] in _LATIN or (text is not None and bool(_UPPER_CONTROLS.search(text)))


def _without_controls(raw: bytes, text: str, encoding: str) -> tuple[str, str | None]:
    """Text with controls where letters should be, as Windows has it, or told as undecodable.

    Of Chinese and Japanese in such bytes every other character would be a control.
    """
    controls = len(_UPPER_CONTROLS.findall(text))
    if encoding in _WINDOWS and _ESCAPE not in raw and 4 * controls <= len(text.strip(" \0")):
        try:
            return raw.decode(_WINDOWS[encoding]), None
        except UnicodeDecodeError:
            pass
    return text, "characters" if encoding in _UNICODE else "charset_undecodable"


def _as_utf8(raw: bytes) -> str | None:
    """Text beyond ASCII that is valid UTF-8, which Latin-1 that anybody can read never is."""
    try:
        return None if raw.isascii() else raw.decode()
    except UnicodeDecodeError:
        return None


def _decoded(raw: bytes, encodings: list[str], ends: set[int]) -> str | None:
    """The text, None where pydicom would replace any of its bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return decode_bytes(raw, encodings, ends)
        except (UnicodeError, LookupError, UserWarning, ValueError):
            return None


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
    """A TM, legacy form included; missing parts are 0. A leap second has no time of its own.

    Decimals beyond microseconds are cut.
    """
    match = _TM.fullmatch(text) or _TM_LEGACY.fullmatch(text)
    if not match:
        return None
    hour, minute, second, fraction = match.groups()
    try:
        return time(int(hour), int(minute or 0), int(second or 0), _microseconds(fraction))
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
            int(second or 0), _microseconds(fraction),
        )  # fmt: skip
    except ValueError:
        return None


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "")[:_MICROSECONDS].ljust(_MICROSECONDS, "0"))


def check_value(value: str, vr: str) -> str | None:
    """The problems of one value of a text VR, if it has any."""
    check = _CHECKS.get(vr)
    problem = check(value) if check is not None else None
    if len(value) > _MAX_CHARACTERS.get(vr, len(value)):
        return joined(problem, "too_long")
    return problem


def _check_decimal(value: str) -> str | None:
    if parse_number(value) is not None:
        return None
    is_number = _DS.fullmatch(value) or _NONFINITE.fullmatch(value)
    return "number_nonfinite" if is_number else "number_invalid"


def _check_integer(value: str) -> str | None:
    number = parse_number(value)
    if number is None:
        return _check_decimal(value)
    if not number.is_integer():
        return "number_invalid"
    problem = None if _IS.fullmatch(value) else "is_decimal"
    least, most = _INT32
    return problem if least <= number <= most else joined(problem, "number_out_of_range")


def _check_date(value: str) -> str | None:
    if parse_date(value) is None:
        return "date_invalid"
    if len(value) < 8:
        return "date_partial"
    return "date_legacy" if "." in value else None


def _check_time(value: str) -> str | None:
    if parse_time(value) is None:
        is_leap = _TM.fullmatch(value) and value[4:6] == "60"
        return "time_leap_second" if is_leap else "time_invalid"
    return joined("time_legacy" if ":" in value else None, _check_fraction(value))


def _check_datetime(value: str) -> str | None:
    if parse_datetime(value) is None:
        is_leap = _DT.fullmatch(value) and value[12:14] == "60"
        return "time_leap_second" if is_leap else "datetime_invalid"
    return _check_fraction(re.split(r"[+-]", value)[0])


def _check_fraction(value: str) -> str | None:
    _, _, fraction = value.partition(".")
    return "fraction_too_long" if len(fraction) > _MICROSECONDS else None


def _check_uid(value: str) -> str | None:
    return None if len(value) <= 64 and _UID.fullmatch(value) else "uid_invalid"


def _check_code(value: str) -> str | None:
    return None if _CS.fullmatch(value) else "characters"


def _check_age(value: str) -> str | None:
    return None if _AGE.fullmatch(value) else "age_invalid"


def _check_name(value: str) -> str | None:
    return "too_long" if any(len(group) > 64 for group in value.split("=")) else None


_CHECKS = {
    "DS": _check_decimal, "IS": _check_integer, "DA": _check_date, "TM": _check_time,
    "DT": _check_datetime, "UI": _check_uid, "CS": _check_code, "AS": _check_age,
    "PN": _check_name,
}  # fmt: skip


def _problems(values: Iterable[str], vr: str) -> str | None:
    """The problems of all values, each once."""
    found = None
    check, limit = _CHECKS.get(vr), _MAX_CHARACTERS.get(vr, sys.maxsize)
    for value in values:
        if not value:
            continue
        problem = check(value) if check is not None else None
        if len(value) > limit:
            problem = joined(problem, "too_long")
        if problem is not None:
            found = joined(found, problem)
    return found


@cache
def _vm_bounds(vm: str) -> tuple[int, float, int, str]:
    """Least, most and step of a dictionary VM such as `6`, `1-3`, `2-n`, `3-3n`; the problem of
    other numbers of values."""
    choices = [_RANGE_VM.fullmatch(choice) for choice in vm.split(" or ")]
    least, most, step = math.inf, 0.0, 1
    for match in choices:
        if match is None:
            return 0, math.inf, 1, ""
        low, high, n = match.groups()
        least = min(least, int(low))
        if n:
            most, step = math.inf, int(high or 1)
        else:
            most = max(most, int(high or low))
    return int(least), most, step, "vm_forbidden" if vm.isdigit() else "vm_differs"


def _vm_problem(tag: int, count: int) -> str | None:
    entry = attribute(tag)
    if entry is None:
        return None
    if entry.vm == "1":
        return None if count == 1 else "vm_not_one"
    least, most, step, problem = _vm_bounds(entry.vm)
    return None if least <= count <= most and count % step == 0 else problem
