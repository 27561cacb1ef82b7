"""How single values are written: digests, names, base64, lists of parts."""

import base64
import re

import strict_json

HEX_32_BYTES = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
BASE64_PADDED = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
BASE64_LOOSE = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")


def is_text(value, least=0, most=None):
    return isinstance(value, str) and least <= len(value) and (most is None or len(value) <= most)


def is_integer(value, least=0, most=strict_json.INTEGER_MAX):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_list(value, least, most):
    return isinstance(value, list) and least <= len(value) <= most


def is_digest(value):
    return is_text(value) and HEX_32_BYTES.fullmatch(value) is not None


def is_name(value, most=64):
    """As a namespace (policy.md §4)."""
    return is_text(value, 1, most) and NAME.fullmatch(value) is not None


def is_distinct(values):
    return len(set(values)) == len(values)


def from_base64(value):
    """RFC 4648 §4, padded, without stray bits; None if it is not that."""
    if not is_text(value) or BASE64_PADDED.fullmatch(value) is None:
        return None
    decoded = base64.b64decode(value)
    return decoded if base64.b64encode(decoded).decode() == value else None


def from_loose_base64(value):
    """Either alphabet, padded or not (envelope.md §4); None if it is not that."""
    if not is_text(value) or BASE64_LOOSE.fullmatch(value) is None:
        return None
    bare = value.rstrip("=").translate(str.maketrans("-_", "+/"))
    if value.endswith("=") and len(value) % 4 != 0:
        return None
    return from_base64(bare + "=" * (-len(bare) % 4))


def u64(number):
    return number.to_bytes(8, "big")


def length_prefixed(*parts):
    """`LP` (key-schedule.md §1)."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
