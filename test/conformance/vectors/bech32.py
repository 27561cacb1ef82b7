"""Bech32 (BIP 173) without its limit of 90 characters, as age writes keys."""

DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def decode(text):
    """Gives the prefix and the bytes of a text in lower case; None if it is none."""
    prefix, _, digits = text.rpartition("1")
    if prefix == "" or len(digits) < 6 or any(digit not in DIGITS for digit in digits):
        return None
    if any(not "!" <= character <= "~" for character in prefix) or prefix.lower() != prefix:
        return None
    values = [DIGITS.index(digit) for digit in digits]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    if _checksum(expanded + values) != 1:
        return None
    number, bits = 0, 5 * (len(values) - 6)
    for value in values[:-6]:
        number = number * 32 + value
    stray = bits % 8
    if stray >= 5 or number % 2**stray != 0:
        return None
    return prefix, (number >> stray).to_bytes(bits // 8, "big")


def _checksum(values):
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(GENERATORS):
            if top >> i & 1:
                state ^= generator
    return state
