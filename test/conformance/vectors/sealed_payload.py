"""sealed-payload.md: the encrypted bytes of one file."""

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outcome import Refused, demand

CHUNK_BYTES = 65_536
TAG_BYTES = 16
NONCE_BYTES = 16
PLAIN_BYTES_MAX = 2**40 - 2**30


def hkdf(ikm, salt, info, size):
    return HKDF(hashes.SHA256(), size, salt, info).derive(ikm)


def cipher_length(plain_bytes):
    chunks = max(1, -(-plain_bytes // CHUNK_BYTES))
    return NONCE_BYTES + plain_bytes + TAG_BYTES * chunks


def plain_length(cipher_bytes):
    """The one length of plaintext that gives this length of ciphertext."""
    chunks = -(-(cipher_bytes - NONCE_BYTES) // (CHUNK_BYTES + TAG_BYTES))
    plain_bytes = cipher_bytes - NONCE_BYTES - TAG_BYTES * chunks
    demand(0 <= plain_bytes <= PLAIN_BYTES_MAX, "PAYLOAD_LENGTH_INVALID")
    demand(cipher_length(plain_bytes) == cipher_bytes, "PAYLOAD_LENGTH_INVALID")
    return plain_bytes


def is_cipher_length(size):
    try:
        plain_length(size)
    except Refused:
        return False
    return True


def seal(file_key, nonce, plain):
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload", 32))
    starts = range(0, max(1, len(plain)), CHUNK_BYTES)
    sealed = [
        cipher.encrypt(_chunk_nonce(index, len(starts)), plain[start : start + CHUNK_BYTES], None)
        for index, start in enumerate(starts)
    ]
    return nonce + b"".join(sealed)


def open_whole(file_key, payload):
    plain_length(len(payload))
    nonce, body = payload[:NONCE_BYTES], payload[NONCE_BYTES:]
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload", 32))
    size = CHUNK_BYTES + TAG_BYTES
    starts = range(0, len(body), size)
    try:
        return b"".join(
            cipher.decrypt(_chunk_nonce(index, len(starts)), body[start : start + size], None)
            for index, start in enumerate(starts)
        )
    except InvalidTag:
        raise Refused("PAYLOAD_CORRUPT") from None


def _chunk_nonce(index, chunks):
    return index.to_bytes(11, "big") + (b"\x01" if index == chunks - 1 else b"\x00")


def _plaintext(size):
    """What the vectors seal (§9): byte i is the low eight bits of i ⊕ (i >> 8) ⊕ (i >> 16)."""
    blocks = [bytes(low ^ high for low in range(256)) for high in range(256)]
    places = range(size // 256 + 1)
    return b"".join(blocks[(i ^ i >> 8) & 255] for i in places)[:size]


def check_sound(fileKey, nonce, plainBytes):
    file_key, plain = base64.b64decode(fileKey), _plaintext(plainBytes)
    sealed = seal(file_key, base64.b64decode(nonce), plain)
    demand(open_whole(file_key, sealed) == plain, "PAYLOAD_CORRUPT")
    output = {
        "plainSha256": hashlib.sha256(plain).hexdigest(),
        "cipherBytes": len(sealed),
        "cipherSha256": hashlib.sha256(sealed).hexdigest(),
    }
    if len(sealed) <= 132:
        output["ciphertext"] = base64.b64encode(sealed).decode()
    return output


def check_fault(fileKey, nonce, plainBytes, pieces, cipherBytes, cipherSha256):
    """`pieces` of the right ciphertext, and other bytes, make the faulty one."""
    file_key = base64.b64decode(fileKey)
    right = seal(file_key, base64.b64decode(nonce), _plaintext(plainBytes))
    faulty = b"".join(
        base64.b64decode(piece["bytes"])
        if "bytes" in piece
        else right[piece["from"] : piece["to"]]
        for piece in pieces
    )
    # The vector has to be put together rightly before its code says anything.
    made = (len(faulty), hashlib.sha256(faulty).hexdigest())
    if made != (cipherBytes, cipherSha256):
        raise ValueError(f"the ciphertext has another length or digest: {made}")
    open_whole(file_key, faulty)


def check_length(cipherBytes):
    return {"plainBytes": plain_length(cipherBytes)}


PROCEDURES = {
    "empty": check_sound,
    "sound": check_sound,
    "length": check_length,
    **dict.fromkeys(
        (
            "chunk", "extra", "flipped", "index", "last", "missing", "other", "swapped",
            "truncated",
        ),
        check_fault,
    ),
}  # fmt: skip
