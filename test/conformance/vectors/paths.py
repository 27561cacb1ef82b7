"""Paths of files (release.md §4)."""

import re
import unicodedata

import forms

PATH_BYTES_MAX = 1024
PART_BYTES_MAX = 255
PARTS_MAX = 32
FORBIDDEN = set('\\:<>"|?*\u115f\u1160\u3164\uffa0')
UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
SHORT_NAME = re.compile("~[0-9]")
DEVICE = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]")


def is_safe(path):
    if not forms.is_text(path):
        return False
    try:
        encoded = path.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return (
        1 <= len(encoded) <= PATH_BYTES_MAX
        and unicodedata.is_normalized("NFC", path)
        and not any(c in FORBIDDEN or unicodedata.category(c) in UNSEEN for c in path)
        and len(path.split("/")) <= PARTS_MAX
        and all(_is_safe_part(part) for part in path.split("/"))
    )


def _is_safe_part(part):
    stem = part.partition(".")[0].rstrip(" ").lower()
    return (
        1 <= len(part.encode()) <= PART_BYTES_MAX
        and part[-1] not in ". "
        and DEVICE.fullmatch(stem) is None
        and SHORT_NAME.search(part) is None
    )


def fold(path):
    return unicodedata.normalize("NFC", path.lower().upper().lower())


def is_safe_set(paths):
    if not all(is_safe(path) for path in paths):
        return False
    folded = [fold(path) for path in paths]
    folders = {path[:i] for path in folded for i, c in enumerate(path) if c == "/"}
    return forms.is_distinct(folded) and not folders & set(folded)
