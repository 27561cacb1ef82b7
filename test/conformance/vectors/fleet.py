"""fleet.md: the access list and what it decides."""

import base64
import re

import age_files
import forms
import target_file
from outcome import demand

FILE_BYTES_MAX = 2 * 1024 * 1024
FIELDS = {"v", "fleet", "version", "issuedAt", "nodes", "groups", "rules", "revoked"}
VERBS = ("find", "fetch", "seed", "open", "publish", "approve", "admit", "vouch", "audit")
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


PROCEDURES = {"access": check_access, "may": check_may}
