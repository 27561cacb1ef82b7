"""fleet.md: the access list and what it decides, node keys, life signs and fingerprints."""

import base64
import hashlib
import re

import age_files
import envelope
import forms
import keys
import strict_json
import target_file
from outcome import Refused, demand

FILE_BYTES_MAX = 2 * 1024 * 1024
FIELDS = {"v", "fleet", "version", "issuedAt", "nodes", "groups", "rules", "revoked"}
VERBS = ("find", "fetch", "seed", "open", "publish", "approve", "admit", "vouch", "audit")
NODE_KEY_KIND = "sealift:node-key/v1"
NODE_KEY_FIELDS = ["peer", "counter", "recipient", "notBefore", "notAfter"]
NODE_KEY_BYTES_MAX = 8 * 1024
NODE_KEY_LIFE_MAX = 30 * 86_400_000
NODE_KEY_SKEW = 5 * 60_000
LIFE_SIGN_KIND = "sealift:life-sign/v1"
LIFE_SIGN_FIELDS = ["peer", "boot", "others", "nodeKey", "root", "timestamp", "log"]
LIFE_SIGN_BYTES_MAX = 4 * 1024
BOOT_ID = re.compile(r"[0-9a-f]{32}")
HASH = re.compile(r"[0-9a-f]{64}")
LABEL = re.compile(r"[A-Za-z0-9._-]{1,63}")
BASE58_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# An identity multihash of 36 bytes: a public key message of type Ed25519 with 32 bytes.
PEER_ID_PREFIX = bytes.fromhex("002408011220")


def accept(file, fleet):
    """Accepting a list, without what an earlier list decides."""
    access = target_file.parse(file, FILE_BYTES_MAX, FIELDS, "ACCESS_INVALID")
    demand(_is_well_formed(access), "ACCESS_INVALID")
    demand(access["fleet"] == fleet, "FLEET_WRONG")
    return access


def may(access, peer, verb, where):
    nodes = [node for node in access["nodes"] if node["peer"] == peer]
    if not nodes:
        return False
    whos = {"all", f"node:{peer}", *(f"group:{name}" for name in nodes[0]["groups"])}
    return any(
        rule["who"] in whos and verb in rule["verbs"] and _is_within(where, rule["where"])
        for rule in access["rules"]
    )


def peer_key(value):
    """The 32 bytes of the Ed25519 key that a peer id names; None if it is none."""
    if not forms.is_text(value, 1, 64) or any(digit not in BASE58_DIGITS for digit in value):
        return None
    number = 0
    for digit in value:
        number = number * 58 + BASE58_DIGITS.index(digit)
    # Its first byte is 0, which base58 writes as one `1`.
    size = len(PEER_ID_PREFIX) + 32
    if number >= 256 ** (size - 1) or not value.startswith("1") or value.startswith("11"):
        return None
    decoded = number.to_bytes(size, "big")
    return decoded[-32:] if decoded.startswith(PEER_ID_PREFIX) else None


def is_peer_id(value):
    return peer_key(value) is not None


def _is_within(where, places):
    for place in places:
        if place in ("*", where) or (place.endswith("/*") and where.startswith(place[:-1])):
            return True
    return False


def _is_well_formed(access):
    nodes, groups, rules, revoked = (
        access.get(key) for key in ("nodes", "groups", "rules", "revoked")
    )
    if not forms.is_list(groups, 0, 256) or not all(_is_group(group) for group in groups):
        return False
    names = [group["name"] for group in groups]
    if not forms.is_list(nodes, 0, 10_000) or not all(_is_node(node, names) for node in nodes):
        return False
    if not forms.is_list(revoked, 0, 10_000) or not all(is_peer_id(peer) for peer in revoked):
        return False
    peers = [node["peer"] for node in nodes]
    return (
        forms.is_integer(access.get("issuedAt"))
        and forms.is_distinct(names)
        and forms.is_distinct(peers)
        and not set(peers) & set(revoked)
        and forms.is_list(rules, 0, 256)
        and all(_is_rule(rule, names) for rule in rules)
    )


def _is_node(value, group_names):
    if not isinstance(value, dict) or not is_peer_id(value.get("peer")):
        return False
    groups, labels = value.get("groups"), value.get("labels")
    return (
        forms.is_list(groups, 0, 16)
        and all(name in group_names for name in groups)
        and isinstance(labels, dict)
        and len(labels) <= 16
        and all(is_label(text) for entry in labels.items() for text in entry)
        and isinstance(value.get("anchor", False), bool)
        and forms.is_integer(value.get("minCounter", 0))
    )


def is_label(value):
    return forms.is_text(value) and LABEL.fullmatch(value) is not None


def _is_group(value):
    return (
        isinstance(value, dict)
        and forms.is_name(value.get("name"))
        and value["name"] != "all"
        and forms.is_integer(value.get("epoch"), 1)
        and target_file.is_recipient(value.get("recipient"))
        and age_files.is_post_quantum(value["recipient"])
        and forms.is_integer(value.get("since"))
        and forms.is_list(value.get("previous"), 0, 16)
        and all(forms.from_base64(file) is not None for file in value["previous"])
    )


def _is_rule(value, group_names):
    if not isinstance(value, dict):
        return False
    verbs, where = value.get("verbs"), value.get("where")
    return (
        _is_who(value.get("who"), group_names)
        and forms.is_list(verbs, 0, len(VERBS))
        and all(verb in VERBS for verb in verbs)
        and forms.is_list(where, 1, 64)
        and all(forms.is_text(place, 1) for place in where)
    )


def _is_who(value, group_names):
    if not forms.is_text(value):
        return False
    kind, _, name = value.partition(":")
    return (
        value == "all"
        or (kind == "group" and name in group_names)
        or (kind == "node" and is_peer_id(name))
    )


def check_access(file, fleet):
    access = accept(base64.b64decode(file), fleet)
    return {
        "version": access["version"],
        "peers": [node["peer"] for node in access["nodes"]],
        "groups": [group["name"] for group in access["groups"]],
    }


def check_may(file, fleet, peer, verb, where):
    access = accept(base64.b64decode(file), fleet)
    return {"isAllowed": may(access, peer, verb, where)}


def read_node_key(file, fleet, peer, now, min_counter):
    """Reading a node key, steps 1 to 6."""
    demand(len(file) <= NODE_KEY_BYTES_MAX, "NODE_KEY_INVALID")
    key = peer_key(peer)
    demand(key is not None and not keys.is_weak(key), "NODE_KEY_INVALID")
    try:
        _, _, signatures = envelope.parse_envelope(file)
        signers = [signer for signer, _ in signatures]
        demand(signers == [key.hex()], "NODE_KEY_INVALID")
        read = envelope.read(file, signers, fleet, {NODE_KEY_KIND: NODE_KEY_FIELDS})
    except Refused:
        raise Refused("NODE_KEY_INVALID") from None
    predicate = read["statement"]["predicate"]
    demand(_is_node_key(predicate) and predicate["peer"] == peer, "NODE_KEY_INVALID")
    recipient = predicate["recipient"]
    about = [(one["name"], one["digest"]["sha256"]) for one in read["statement"]["subject"]]
    digest = hashlib.sha256(recipient.encode()).hexdigest()
    demand(about == [(peer, digest)], "NODE_KEY_INVALID")
    counts = predicate["notBefore"] - NODE_KEY_SKEW <= now <= predicate["notAfter"]
    demand(counts and predicate["counter"] >= min_counter, "NODE_KEY_INVALID")
    demand(age_files.is_recipient(recipient), "NODE_KEY_INVALID")
    return predicate


def _is_node_key(value):
    if not all(forms.is_integer(value.get(key), 1) for key in ("counter", "notBefore", "notAfter")):
        return False
    return (
        is_peer_id(value.get("peer"))
        and target_file.is_recipient(value.get("recipient"))
        and age_files.is_post_quantum(value["recipient"])
        and 0 < value["notAfter"] - value["notBefore"] <= NODE_KEY_LIFE_MAX
    )


def check_node_key(file, fleet, peer, now, minCounter):
    key = read_node_key(base64.b64decode(file), fleet, peer, now, minCounter)
    return {name: key[name] for name in ("counter", "recipient", "notBefore", "notAfter")}


def read_life_sign(file, fleet, peer):
    """Reading a life sign."""
    demand(len(file) <= LIFE_SIGN_BYTES_MAX, "LIFE_SIGN_INVALID")
    key = peer_key(peer)
    demand(key is not None and not keys.is_weak(key), "LIFE_SIGN_INVALID")
    try:
        read = envelope.read(file, [key.hex()], fleet, {LIFE_SIGN_KIND: LIFE_SIGN_FIELDS})
    except Refused:
        raise Refused("LIFE_SIGN_INVALID") from None
    predicate = read["statement"]["predicate"]
    demand(_is_life_sign(predicate) and predicate["peer"] == peer, "LIFE_SIGN_INVALID")
    about = [(one["name"], one["digest"]["sha256"]) for one in read["statement"]["subject"]]
    digest = hashlib.sha256(predicate["boot"].encode()).hexdigest()
    demand(about == [(peer, digest)], "LIFE_SIGN_INVALID")
    return predicate


def _is_life_sign(value):
    log, others = value.get("log"), value.get("others")
    return (
        is_peer_id(value.get("peer"))
        and _matches(BOOT_ID, value.get("boot"))
        and forms.is_list(others, 0, 8)
        and all(_matches(BOOT_ID, one) for one in others)
        and forms.is_distinct([*others, value["boot"]])
        and all(forms.is_integer(value.get(key)) for key in ("nodeKey", "root", "timestamp"))
        and isinstance(log, dict)
        and forms.is_integer(log.get("incarnation"), 1)
        and forms.is_integer(log.get("size"))
        and _matches(HASH, log.get("root"))
    )


def _matches(form, value):
    return forms.is_text(value) and form.fullmatch(value) is not None


def check_life_sign(file, fleet, peer):
    sign = read_life_sign(base64.b64decode(file), fleet, peer)
    return {name: sign[name] for name in LIFE_SIGN_FIELDS if name != "peer"}


def check_fingerprint(fleet, peer):
    parts = forms.length_prefixed("sealift/fingerprint/v1", bytes.fromhex(fleet), peer)
    shown = hashlib.sha256(parts).hexdigest()[:32]
    return {"fingerprint": " ".join(shown[at : at + 4] for at in range(0, 32, 4))}


def check_node_keys(file, fleet):
    """Node keys for the road: the form, and the fleet."""
    try:
        carried = strict_json.parse(base64.b64decode(file))
    except strict_json.Malformed:
        raise Refused("NODE_KEY_INVALID") from None
    wrong = "NODE_KEY_INVALID"
    demand(isinstance(carried, dict) and forms.is_integer(carried.get("v"), 1, 1), wrong)
    demand(forms.is_digest(carried.get("fleet")), wrong)
    entries = carried.get("nodeKeys")
    demand(forms.is_list(entries, 1, 10_000), wrong)
    demand(all(isinstance(entry, dict) for entry in entries), wrong)
    statements = [forms.from_base64(entry.get("statement")) for entry in entries]
    demand(all(one is not None and len(one) <= NODE_KEY_BYTES_MAX for one in statements), wrong)
    demand(carried["fleet"] == fleet, "FLEET_WRONG")
    return {"statements": [entry["statement"] for entry in entries]}


PROCEDURES = {
    "access": check_access,
    "may": check_may,
    "node-key": check_node_key,
    "life-sign": check_life_sign,
    "node-keys": check_node_keys,
    "fingerprint": check_fingerprint,
}
