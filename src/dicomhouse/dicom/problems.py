"""The codes that `elements.problem` may hold, each with its class.

`form`: the value is usable all the same. `value`: it is not, or not in full.
The rules are those of PS3.5, section 6.2 (value representations) and 6.1 (character sets).
"""

PROBLEM_CLASS = {
    "un_known_tag": "form",  # UN for a tag whose VR is known
    "vr_differs": "form",  # another VR than the dictionary's
    "too_long": "form",  # longer than the VR allows
    "characters": "form",  # outside the VR's repertoire, such as a lower-case CS
    "age_invalid": "form",
    "date_partial": "form",  # 1993 or 199304
    "date_legacy": "form",  # 1993.04.30
    "time_legacy": "form",  # 11:27:24
    "is_decimal": "form",  # 1.0 in an IS
    "vm_differs": "form",  # more or fewer values than the dictionary's VM, in a list
    "vm_not_one": "value",  # several values where the dictionary says one
    "number_invalid": "value",
    "number_nonfinite": "value",
    "date_invalid": "value",
    "time_invalid": "value",
    "time_leap_second": "value",
    "datetime_invalid": "value",
    "uid_invalid": "value",
    "length_invalid": "value",  # bytes that are no whole number of values
    "charset_unknown": "value",  # SpecificCharacterSet names none that is known
    "charset_undecodable": "value",  # bytes that the character set does not hold
    "not_read": "value",  # longer than the bound on a value
    "vr_unknown": "value",
}
