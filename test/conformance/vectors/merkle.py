"""The Merkle tree hash of RFC 6962 §2.1, and its audit paths."""

import hashlib


def _leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count):
    """The largest power of two below the count."""
    return 1 << (count - 1).bit_length() - 1


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return _leaf(leaves[0])
    at = _split(len(leaves))
    return _node(root(leaves[:at]), root(leaves[at:]))


def proof(leaves, index):
    """What stands beside the way from a leaf to the root, the lowest first."""
    if len(leaves) <= 1:
        return []
    at = _split(len(leaves))
    if index < at:
        return proof(leaves[:at], index) + [root(leaves[at:])]
    return proof(leaves[at:], index - at) + [root(leaves[:at])]


def root_from_proof(leaf, index, count, path):
    """The root that a proof leads to; None where it has another length than it must have."""
    if count <= 1:
        return _leaf(leaf) if path == [] and index == 0 and count == 1 else None
    if not path:
        return None
    at = _split(count)
    inner = (index, at) if index < at else (index - at, count - at)
    below = root_from_proof(leaf, *inner, path[:-1])
    if below is None:
        return None
    return _node(below, path[-1]) if index < at else _node(path[-1], below)
