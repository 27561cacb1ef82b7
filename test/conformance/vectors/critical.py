"""Critical fields (envelope.md §4 and §5, step 7), of a predicate or of a target file."""

import forms

NAMES_MAX = 32


def is_well_formed(fields):
    if "critical" not in fields:
        return True
    names = fields["critical"]
    return forms.is_list(names, 0, NAMES_MAX) and all(forms.is_text(name) for name in names)


def is_known(fields, known):
    known = {*known, "fleet", "critical"}
    return all(name in fields and name in known for name in fields.get("critical", []))
