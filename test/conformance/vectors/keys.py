"""keys.md: which keys are registered, which signatures are accepted."""

import base64
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import ed25519_points as curve
import forms
from outcome import demand


@lru_cache(maxsize=None)
def is_weak(key):
    """Steps 2 and 3 of registering, of 32 bytes."""
    point = curve.decode(key)
    return (
        point is None or curve.is_of_small_order(point) or not curve.is_in_prime_subgroup(point)
    )


def register(key):
    demand(forms.is_digest(key), "KEY_MALFORMED")
    demand(not is_weak(bytes.fromhex(key)), "KEY_WEAK")


def accepts(key, message, signature):
    """Whether the signature of a registered key, as text, is accepted."""
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= curve.L:
        return False
    point = curve.decode(signature[:32])
    if point is None or curve.is_of_small_order(point):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def check_register(key):
    register(key)


def check_verify(key, message, signature):
    register(key)
    decoded = (base64.b64decode(message), base64.b64decode(signature))
    return {"accepted": accepts(key, *decoded)}


PROCEDURES = {"register": check_register, "verify": check_verify}
