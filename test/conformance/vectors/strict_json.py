"""Strict JSON (envelope.md §1)."""

import json
import re

NESTING_MAX = 16
INTEGER_MAX = 2**53 - 1
MARKS_MAX = 524_288


class Malformed(ValueError):
    pass


def parse(data, nesting_max=NESTING_MAX):
    """Gives the value, or raises Malformed."""
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_no_fraction,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from error
    if _nesting(value) > nesting_max:
        raise Malformed("too deep")
    if _marks(text) > MARKS_MAX:
        raise Malformed("too many values")
    if any(_is_half(one) for one in _texts(value)):
        raise Malformed("half of a surrogate pair")
    return value


def _object(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("a key stands twice")
    return fields


def _number(text):
    value = int(text)
    if text == "-0" or not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise Malformed("a number that is not exact")
    return value


def _no_fraction(text):
    raise Malformed(f"{text[:40]} is no whole number")


def _marks(text):
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.S)
    return sum(outside.count(mark) for mark in "[{,")


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _is_half(text):
    return any("\ud800" <= character <= "\udfff" for character in text)


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
