"""What policies and access lists have in common: strict JSON of one fleet, with critical fields."""

import critical
import forms
import strict_json
from outcome import Refused, demand


def parse(file, bytes_max, known, code):
    """Its fields, where they are an object of version 1; else `code`. The rest is each page's."""
    demand(len(file) <= bytes_max, code)
    try:
        fields = strict_json.parse(file)
    except strict_json.Malformed:
        raise Refused(code) from None
    demand(isinstance(fields, dict), code)
    demand(forms.is_integer(fields.get("v"), 1, 1), code)
    demand(critical.is_well_formed(fields), code)
    demand(critical.is_known(fields, known), "CRITICAL_UNKNOWN")
    demand(forms.is_digest(fields.get("fleet")), code)
    demand(forms.is_integer(fields.get("version"), 1), code)
    return fields


def is_recipient(value):
    """Only its outer form: the pages' vectors have recipients that are no keys."""
    return forms.is_text(value, 5, 4096) and value.isascii() and value.startswith("age1")
