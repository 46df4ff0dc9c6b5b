"""The codes that `elements.problem` may hold, each with its class.

`form`: the value is usable all the same, and its column in `images` has it. `value`: it is not,
or not in full. The rules are those of PS3.5, section 6.2 (value representations), 6.1 (character
sets) and 7 (data sets). What each code means stands in the seed `problem_codes`.
"""

from __future__ import annotations

from functools import lru_cache

PROBLEM_CLASS = {
    # The heaviest first: that is the order in which the problems of one element stand.
    "outside_meta": "value",  # of group 0002, behind the file meta information
    "overridden": "value",  # another occurrence of the tag counts
    "not_read": "value",  # longer than the bound on a value
    "cut_short": "value",  # what it stands in ends before its length says
    "items_invalid": "value",  # where a sequence's items should stand is something else
    "vr_unknown": "value",
    "type_differs": "value",  # what another VR holds is nothing for the attribute's own
    "length_invalid": "value",  # bytes that are not a whole number of values
    "number_invalid": "value",
    "number_nonfinite": "value",
    "number_out_of_range": "value",  # an IS beyond 32 bits
    "date_invalid": "value",
    "time_invalid": "value",
    "time_leap_second": "value",
    "datetime_invalid": "value",
    "uid_invalid": "value",
    "vm_not_one": "value",  # several values where the dictionary says one
    "vm_forbidden": "value",  # another number of values than the one that the dictionary says
    "charset_unknown": "value",  # SpecificCharacterSet names none that is known
    "charset_undecodable": "value",  # bytes that the character set does not hold
    "repeated": "form",  # the tag stands more than once in its data set
    "out_of_order": "form",  # tags rise in a data set, and this one does not
    "items_odd": "form",  # lengths or delimiters of a sequence disagree, its items are read
    "stray_delimiter": "form",  # a delimiter where no sequence is open
    "encoding_differs": "form",  # VR, byte order or compression of the data set is not as declared
    "encapsulation_differs": "form",  # pixels encapsulated in a native transfer syntax, or native
    "delimiter_missing": "form",  # no sequence delimiter ends the fragments of the pixel data
    "charset_undeclared": "form",  # text beyond the default repertoire, of no declared set
    "charset_misdeclared": "form",  # terms misspelt, or not those of the text
    "private_without_creator": "form",
    "un_known_tag": "form",  # UN for a tag whose VR is known
    "vr_differs": "form",  # another VR than the dictionary's
    "vm_differs": "form",  # more or fewer values than the dictionary's range, in a list
    "too_long": "form",  # longer than the VR allows
    "characters": "form",  # outside the VR's repertoire, such as a lower-case CS
    "age_invalid": "form",
    "date_partial": "form",  # 1993 or 199304
    "date_legacy": "form",  # 1993.04.30
    "time_legacy": "form",  # 11:27:24
    "fraction_too_long": "form",  # of a second, beyond microseconds
    "is_decimal": "form",  # 1.0 in an IS
}

NOT_COUNTED = frozenset({"outside_meta", "overridden"})
"""An element with one of these says nothing of its image."""

_WEIGHT = {code: weight for weight, code in enumerate(PROBLEM_CLASS)}


@lru_cache(1 << 12)
def joined(*problems: str | None) -> str | None:
    """The codes of several problems, each once, the heaviest first, joined by a blank."""
    codes = {code for problem in problems if problem for code in problem.split(" ")}
    return " ".join(sorted(codes, key=_WEIGHT.__getitem__)) or None


def class_of(problem: str) -> str:
    """The class of the heaviest of some joined codes: `value` where one of them is."""
    return PROBLEM_CLASS[problem.partition(" ")[0]]


def is_counted(problem: str | None) -> bool:
    return problem is None or NOT_COUNTED.isdisjoint(problem.split(" "))
