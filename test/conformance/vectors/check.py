"""Runs the vectors of the pages below. Each page is implemented from its own text alone.

Prints a line for each vector that differs, and at the end `N vectors agree, M differ`. Exits 1 if any
differs, if a page has no vectors, or if a vector has a shape that nobody here knows.
"""

import importlib
import inspect
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from outcome import Refused  # noqa: E402

PROTOCOL = Path(__file__).resolve().parents[3] / "protocol"
PAGES = (
    "keys", "envelope", "policy", "fleet", "beacon", "sealed-payload", "key-schedule", "release",
    "rollout",
)  # fmt: skip
FIELDS = {"page", "case", "comment", "input", "expect"}


class UnknownShape(Exception):
    pass


def outcome_of(procedure, given):
    """What the procedure gives: `ok` or a code, and its output."""
    try:
        inspect.signature(procedure).bind(**given)
    except TypeError as error:
        raise UnknownShape(f"its input: {error}") from None
    try:
        return "ok", procedure(**given) or {}
    except Refused as refusal:
        return refusal.code, refusal.output


def difference(page, path, procedures):
    """What is wrong with a vector, or None."""
    vector = json.loads(path.read_text("utf-8"))
    if not FIELDS <= vector.keys() <= FIELDS | {"output"}:
        raise UnknownShape(f"its fields: {', '.join(sorted(vector))}")
    if (vector["page"], vector["case"]) != (page, path.stem):
        return "is not the case that its file is named after"
    names = [name for name in procedures if path.stem.startswith(f"{name}-")]
    procedure = procedures[max(names, key=len)] if names else None
    if procedure is None:
        raise UnknownShape("no procedure of this name")
    code, output = outcome_of(procedure, vector["input"])
    if code != vector["expect"]:
        return f"expects {vector['expect']}, got {code}"
    if output != vector.get("output", {}):
        return f"expects {vector.get('output')}, got {output}"
    return None


# Cosignatures are not written in this language yet: the page `witness`, and what rests on it.
UNCHECKED = {"rollout": "witnessed-"}


def main():
    agree, differ = 0, 0
    for page in PAGES:
        procedures = importlib.import_module(page.replace("-", "_")).PROCEDURES
        paths = sorted((PROTOCOL / page / "vectors").glob("*.json"))
        if not paths:
            print(f"{page}: no vectors")
            differ += 1
        for path in paths:
            if path.stem.startswith(UNCHECKED.get(page, " ")):
                continue
            try:
                fault = difference(page, path, procedures)
            except UnknownShape as error:
                fault = f"has an unknown shape: {error}"
            except Exception as error:  # the rest goes on
                fault = f"ends with {type(error).__name__}: {error}"
            if fault is None:
                agree += 1
            else:
                differ += 1
                print(f"{page}/{path.stem}: {fault}"[:400])
    print(f"{agree} vectors agree, {differ} differ")
    return 1 if differ > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
