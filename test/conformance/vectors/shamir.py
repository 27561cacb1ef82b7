"""Shamir's scheme over GF(2^8), polynomial x⁸+x⁴+x³+x+1 (key-schedule.md §4)."""

from outcome import demand

PART_BYTES = 33


def combine(parts):
    """The values at place 0. A part is 32 bytes of values, then its place."""
    demand(len(parts) >= 2, "SHARE_WRONG")
    demand(all(len(part) == PART_BYTES for part in parts), "SHARE_WRONG")
    places = [part[-1] for part in parts]
    demand(0 not in places and len(set(places)) == len(places), "SHARE_WRONG")
    secret = bytearray(PART_BYTES - 1)
    for part in parts:
        weight = 1
        for place in places:
            if place != part[-1]:
                weight = _multiply(weight, _multiply(place, _inverse(place ^ part[-1])))
        for i, value in enumerate(part[:-1]):
            secret[i] ^= _multiply(weight, value)
    return bytes(secret)


def _multiply(a, b):
    product = 0
    while b > 0:
        if b % 2 == 1:
            product ^= a
        a = a << 1 ^ (0x11B if a >= 128 else 0)
        b //= 2
    return product


def _inverse(a):
    return next(b for b in range(1, 256) if _multiply(a, b) == 1)
