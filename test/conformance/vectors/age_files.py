"""age v1 files to one recipient (C2SP age.md), recipients and identities (key-schedule.md)."""

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import bech32
import mlkem768
import sealed_payload
from outcome import Refused, demand

FILE_BYTES_MAX = 16 * 1024
CONTENT_BYTES_MAX = 12 * 1024
RECIPIENT_CHARACTERS_MAX = 4096
POST_QUANTUM_PREFIXES = ("age1pq1", "age1tagpq1")
HEADER = re.compile(
    rb"age-encryption\.org/v1\n"
    rb"-> (?P<kind>[!-~]+) (?P<argument>[A-Za-z0-9+/]+)\n"
    rb"(?P<body>[A-Za-z0-9+/]{43})\n"
    rb"---"
)
FOOTER = re.compile(rb" (?P<mac>[A-Za-z0-9+/]{43})\n")
X25519_INFO = b"age-encryption.org/v1/X25519"
HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
HYBRID_LABEL = rb"\.//^" + b"\\"
# HPKE with MLKEM768-X25519, HKDF-SHA-256 and ChaCha20-Poly1305.
HYBRID_SUITE = b"HPKE" + bytes.fromhex("647a00010003")


def is_post_quantum(recipient):
    return recipient.startswith(POST_QUANTUM_PREFIXES)


def is_recipient(text):
    """Whether something can be sealed to it."""
    decoded = bech32.decode(text) if len(text) <= RECIPIENT_CHARACTERS_MAX else None
    if decoded is None:
        return False
    prefix, key = decoded
    if prefix == "age":
        return _is_x25519_key(key)
    if prefix == "age1tag":
        return len(key) == 33 and _is_p256_key(key)
    is_hybrid = len(key) >= 1184 and mlkem768.is_encapsulation_key(key[:1184])
    if prefix == "age1pq":
        return is_hybrid and _is_x25519_key(key[1184:])
    return prefix == "age1tagpq" and is_hybrid and _is_p256_key(key[1184:])


def parse_identity(text):
    """Gives what opens a file whose stanza is of a kind, by that kind."""
    decoded = bech32.decode(text.lower()) if text.upper() == text else None
    demand(decoded is not None and len(decoded[1]) == 32, "IDENTITY_INVALID")
    openers = {
        "age-secret-key-": (b"X25519", _open_x25519),
        "age-secret-key-pq-": (b"mlkem768x25519", _open_hybrid),
    }
    demand(decoded[0] in openers, "IDENTITY_INVALID")
    kind, open_body = openers[decoded[0]]
    return kind, lambda argument, body: open_body(decoded[1], argument, body)


def open_file(identity, file, code="AGE_FILE_NOT_OPENED"):
    demand(len(file) <= FILE_BYTES_MAX, code)
    # The expression has room for one stanza only.
    header = HEADER.match(file)
    footer = FOOTER.match(file, header.end()) if header is not None else None
    kind, open_body = identity
    demand(footer is not None and header["kind"] == kind, code)
    argument, body, mac = (
        _unpadded(text) for text in (header["argument"], header["body"], footer["mac"])
    )
    demand(None not in (argument, body, mac), code)
    try:
        file_key = open_body(argument, body)
        expected = hmac.digest(
            sealed_payload.hkdf(file_key, b"", b"header", 32), header[0], "sha256"
        )
        demand(hmac.compare_digest(expected, mac), code)
        content = sealed_payload.open_whole(file_key, file[footer.end() :])
    except (InvalidTag, ValueError, Refused):
        raise Refused(code) from None
    demand(len(content) <= CONTENT_BYTES_MAX, code)
    return content


def _open_x25519(secret, share, body):
    private = X25519PrivateKey.from_private_bytes(secret)
    shared = private.exchange(X25519PublicKey.from_public_bytes(share))
    wrap_key = sealed_payload.hkdf(shared, share + _x25519_public(private), X25519_INFO, 32)
    return ChaCha20Poly1305(wrap_key).decrypt(bytes(12), body, None)


def _open_hybrid(seed, encapsulated, body):
    """The key encapsulation is that of X-Wing."""
    if len(encapsulated) != 1088 + 32:
        raise ValueError("another length")
    secrets = hashlib.shake_256(seed).digest(96)
    _, lattice_key = mlkem768.key_pair(secrets[:32], secrets[32:64])
    private = X25519PrivateKey.from_private_bytes(secrets[64:])
    share = encapsulated[1088:]
    lattice_secret = mlkem768.decapsulate(lattice_key, encapsulated[:1088])
    curve_secret = private.exchange(X25519PublicKey.from_public_bytes(share))
    shared = hashlib.sha3_256(
        lattice_secret + curve_secret + share + _x25519_public(private) + HYBRID_LABEL
    ).digest()
    key, nonce = _hpke_key_and_nonce(shared)
    return ChaCha20Poly1305(key).decrypt(nonce, body, None)


def _hpke_key_and_nonce(shared):
    """RFC 9180 §5.1, mode base."""

    def extract(salt, label, ikm):
        return hmac.digest(salt, b"HPKE-v1" + HYBRID_SUITE + label + ikm, "sha256")

    def expand(label, size):
        labelled = size.to_bytes(2, "big") + b"HPKE-v1" + HYBRID_SUITE + label + context
        return HKDFExpand(hashes.SHA256(), size, labelled).derive(secret)

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", HYBRID_INFO)
    secret = extract(shared, b"secret", b"")
    return expand(b"key", 32), expand(b"base_nonce", 12)


def _x25519_public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _is_x25519_key(key):
    if len(key) != 32:
        return False
    try:
        # A key of small order gives zeros, which is refused.
        private = X25519PrivateKey.from_private_bytes(bytes(32))
        private.exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return False
    return True


def _is_p256_key(key):
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key)
    except ValueError:
        return False
    return True


def _unpadded(text):
    decoded = base64.b64decode(text + b"=" * (-len(text) % 4))
    return decoded if base64.b64encode(decoded).rstrip(b"=") == text else None
