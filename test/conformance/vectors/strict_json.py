"""Strict JSON (envelope.md §1)."""

import json

NESTING_MAX = 16
INTEGER_MAX = 2**53 - 1


class Malformed(ValueError):
    pass


def parse(data, nesting_max=NESTING_MAX):
    """Gives the value, or raises Malformed. Whole numbers come as int, however they are written."""
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if _nesting(value) > nesting_max:
        raise Malformed("too deep")
    return value


def _object(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a key stands twice")
    return fields


def _number(text):
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise Malformed("a number that is not exact")
    return int(value) if value == int(value) else value


def _no_constant(name):
    raise Malformed(f"{name} is no JSON")


def _nesting(value):
    deepest, level = 0, [value]
    while True:
        level = [item for item in level if isinstance(item, (dict, list))]
        if not level:
            return deepest
        deepest += 1
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
