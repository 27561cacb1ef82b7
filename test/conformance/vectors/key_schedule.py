"""key-schedule.md: shares, the release key, the bag and grants."""

import base64
import hashlib
import hmac
import json
import re

import age_files
import forms
import paths
import sealed_payload
import shamir
import strict_json
from outcome import Refused, demand

PARTIES_MAX = 16
DEVICES_MAX = 16
FILES_MAX = 5_000
BAG_BYTES_MAX = 1_572_864
ENTRY_FIELDS = ("cipher", "key", "path", "sizeBytes", "mediaType", "plain", "mode", "unpack")
ARCHIVE_TYPES = ("application/x-tar", "application/x-tar+gzip")
ENTRIES_MAX = 100_000
MEDIA_TYPE = re.compile(r"[!-.0-~]{1,127}/[!-.0-~]{1,127}")


def hmac_of(key, message):
    return hmac.digest(key, message, "sha256")


# 4 Format


def audience_digest(audience):
    return hashlib.sha256(forms.length_prefixed("sealift/audience/v1", *audience)).digest()


def context_of(fields, ciphers):
    return hashlib.sha256(
        forms.length_prefixed(
            "sealift/ctx/v1",
            bytes.fromhex(fields["fleet"]),
            fields["namespace"],
            fields["name"],
            forms.u64(fields["sequence"]),
            forms.length_prefixed(*fields["parties"]),
            bytes.fromhex(fields["policy"]),
            audience_digest(fields["audience"]),
            fields["gate"],
            "pq" if fields["pq"] else "classical",
            forms.length_prefixed(*map(bytes.fromhex, ciphers)),
        )
    ).digest()


def file_key_commitment(file_key, cipher):
    return hmac_of(file_key, forms.length_prefixed("sealift/file-key/v1", bytes.fromhex(cipher)))


def share_commitment(share, context, holder, *device):
    named = [bytes.fromhex(key) for key in device]
    return hmac_of(share, forms.length_prefixed("sealift/share/v1", context, holder, *named))


def release_key(shares, context):
    return sealed_payload.hkdf(b"".join(shares), context, b"sealift/release/v1", 32)


def key_commitment(key):
    return hmac_of(key, b"sealift/commit/v1")


def bag_key(key):
    return sealed_payload.hkdf(key, b"", b"sealift/bag/v1", 16)


def require_recipient(recipient, pq):
    demand(age_files.is_recipient(recipient), "RECIPIENT_INVALID")
    demand(not pq or age_files.is_post_quantum(recipient), "RECIPIENT_NOT_POST_QUANTUM")


# 5 Procedures


def check_form(release):
    """Steps 1 and 2 of checking a release, with which each procedure begins. Gives the context."""
    fields = release["fields"]
    context = context_of(fields, [file["cipher"] for file in release["files"]])
    demand(release["context"] == context.hex(), "CONTEXT_WRONG")
    entries = [entry.encode() for entry in fields["audience"]]
    demand(entries == sorted(set(entries)), "CONTEXT_WRONG")
    parties, holders = fields["parties"], release["holders"]
    demand(1 <= len(parties) <= PARTIES_MAX and forms.is_distinct(parties), "HOLDERS_WRONG")
    demand("gate" not in parties, "HOLDERS_WRONG")
    expected = parties + ([] if fields["gate"] == "none" else ["gate"])
    demand([holder["name"] for holder in holders] == expected, "HOLDERS_WRONG")
    for holder in holders:
        demand(len(holder["devices"]) <= DEVICES_MAX, "HOLDERS_WRONG")
        demand(1 <= holder["threshold"] <= len(holder["devices"]), "HOLDERS_WRONG")
    keys = [device["key"] for holder in holders for device in holder["devices"]]
    demand(forms.is_distinct(keys), "HOLDERS_WRONG")
    return context


def check_release(release, known):
    context = check_form(release)
    commitments = {}
    for file in known + release["files"]:
        first = commitments.setdefault(file["cipher"], file["commitment"])
        demand(first == file["commitment"], "FILE_KEY_CONFLICT")
    return context


def holds(share, context, holder, device):
    """Whether a share, as it stands in a file, has the form and the commitment it must have."""
    decoded = forms.from_base64(share)
    if decoded is None:
        return False
    if holder["threshold"] == 1:
        made = share_commitment(decoded, context, holder["name"])
        return len(decoded) == 32 and made.hex() == holder["commitment"]
    made = share_commitment(decoded, context, holder["name"], device["key"])
    is_part = len(decoded) == shamir.PART_BYTES and decoded[-1] != 0
    return is_part and made.hex() == device["commitment"]


def parse_inner(content, code, **expected):
    """The JSON of a sealed file, whose fields MUST be those expected."""
    try:
        fields = strict_json.parse(content)
    except strict_json.Malformed:
        raise Refused(code) from None
    demand(isinstance(fields, dict) and forms.is_integer(fields.get("v"), 1, 1), code)
    demand(all(fields.get(name) == value for name, value in expected.items()), code)
    return fields


def take_share(release, device_key, secret):
    context = check_form(release)
    identity = age_files.parse_identity(secret)
    holder, device = _device_of(release, device_key, "SHARE_NOT_FOR_THIS_DEVICE")
    file = base64.b64decode(device["share"])
    content = age_files.open_file(identity, file, "SHARE_NOT_FOR_THIS_DEVICE")
    wrong = "SHARE_NOT_FOR_THIS_RELEASE"
    named = {"ctx": context.hex(), "holder": holder["name"], "device": device_key}
    fields = parse_inner(content, wrong, **named)
    demand(holds(fields.get("share"), context, holder, device), wrong)
    return holder["name"], base64.b64decode(fields["share"])


def take_grant(release, digest, holder_name, device_key, recipient, secret, grant, now):
    context = check_form(release)
    identity = age_files.parse_identity(secret)
    content = age_files.open_file(identity, grant, "GRANT_NOT_FOR_THIS_NODE")
    wrong = "GRANT_NOT_FOR_THIS_RELEASE"
    fields = parse_inner(
        content,
        wrong,
        ctx=context.hex(),
        release=digest,
        holder=holder_name,
        device=device_key,
        recipient=recipient,
    )
    holder, device = _device_of(release, device_key, wrong)
    demand(holder["name"] == holder_name, wrong)
    demand(forms.is_integer(fields.get("notAfter")), wrong)
    demand(now <= fields["notAfter"], "GRANT_EXPIRED")
    blamed = {"holder": holder_name, "device": device_key}
    demand(holds(fields.get("share"), context, holder, device), "SHARE_WRONG", **blamed)
    return base64.b64decode(fields["share"])


def _device_of(release, key, code):
    for holder in release["holders"]:
        for device in holder["devices"]:
            if device["key"] == key:
                return holder, device
    raise Refused(code)


def open_release(release, grants):
    """`grants`: what was taken, as holder, device and share."""
    context = check_form(release)
    gathered = [(holder, _shares_of(holder, grants)) for holder in release["holders"]]
    missing = [
        holder["name"] for holder, shares in gathered if len(shares) < holder["threshold"]
    ]
    demand(not missing, "SHARES_MISSING", holders=missing)
    secrets = []
    for holder, shares in gathered:
        used = shares[: holder["threshold"]]
        try:
            secret = used[0] if len(used) == 1 else shamir.combine(used)
        except Refused:
            raise Refused("SHARE_WRONG", holder=holder["name"]) from None
        made = share_commitment(secret, context, holder["name"]).hex()
        demand(made == holder["commitment"], "SHARE_WRONG", holder=holder["name"])
        secrets.append(secret)
    return open_with(release, release_key(secrets, context))


def _shares_of(holder, grants):
    """At most one of each of its devices, in the release's order."""
    shares = {
        grant["device"]: bytes.fromhex(grant["share"])
        for grant in reversed(grants)
        if grant["holder"] == holder["name"]
    }
    return [shares[device["key"]] for device in holder["devices"] if device["key"] in shares]


def open_with(release, key):
    """Opening from step 3 on."""
    demand(key_commitment(key).hex() == release["keyCommitment"], "RELEASE_KEY_WRONG")
    entries = open_bag(base64.b64decode(release["bag"]), key)
    listed = [(file["cipher"], file["cipherBytes"]) for file in release["files"]]
    sealed = [
        (entry["cipher"], sealed_payload.cipher_length(entry["sizeBytes"])) for entry in entries
    ]
    demand(sealed == listed, "BAG_INVALID")
    plain_by_cipher = {}
    for entry in entries:
        first = plain_by_cipher.setdefault(entry["cipher"], entry["plain"])
        demand(first == entry["plain"], "BAG_INVALID")
    for index, (entry, file) in enumerate(zip(entries, release["files"])):
        made = file_key_commitment(base64.b64decode(entry["key"]), entry["cipher"])
        demand(made.hex() == file["commitment"], "FILE_KEY_WRONG", index=index)
    return entries


def open_bag(bag, key):
    demand(len(bag) <= BAG_BYTES_MAX, "BAG_INVALID")
    try:
        content = sealed_payload.open_whole(bag_key(key), bag)
    except Refused:
        raise Refused("BAG_INVALID") from None
    entries = parse_inner(content, "BAG_INVALID").get("files")
    demand(forms.is_list(entries, 1, FILES_MAX), "BAG_INVALID")
    demand(all(_is_entry(entry) for entry in entries), "BAG_INVALID")
    demand(paths.is_safe_set([entry["path"] for entry in entries]), "BAG_INVALID")
    return [
        {name: entry[name] for name in ENTRY_FIELDS if name != "unpack" or name in entry}
        for entry in entries
    ]


def _is_entry(value):
    if not isinstance(value, dict):
        return False
    file_key = forms.from_base64(value.get("key"))
    return (
        forms.is_digest(value.get("cipher"))
        and file_key is not None
        and len(file_key) == 16
        and forms.is_integer(value.get("sizeBytes"), 0, sealed_payload.PLAIN_BYTES_MAX)
        and forms.is_digest(value.get("plain"))
        and is_media_and_mode(value)
    )


def is_media_and_mode(value):
    media_type = value.get("mediaType")
    return (
        forms.is_text(media_type)
        and MEDIA_TYPE.fullmatch(media_type) is not None
        and forms.is_integer(value.get("mode"), 0, 0o777)
        and ("unpack" not in value or _is_unpacked(value["unpack"], media_type))
    )


def _is_unpacked(value, media_type):
    return (
        media_type in ARCHIVE_TYPES
        and isinstance(value, dict)
        and forms.is_integer(value.get("entries"), 1, ENTRIES_MAX)
        and forms.is_integer(value.get("sizeBytes"), 0, 2**40)
    )


def inspect(release, recipient, secret):
    context = check_form(release)
    identity = age_files.parse_identity(secret)
    wrong = "NOT_FOR_THIS_INSPECTOR"
    files = [each["file"] for each in release["inspectors"] if each["recipient"] == recipient]
    demand(files, wrong)
    content = age_files.open_file(identity, base64.b64decode(files[0]), wrong)
    fields = parse_inner(content, wrong, ctx=context.hex(), recipient=recipient)
    key = forms.from_base64(fields.get("key"))
    demand(key is not None and len(key) == 32, wrong)
    return open_with(release, key)


# 9 Vectors


def check_ctx(fields, ciphers):
    return {
        "audience": audience_digest(fields["audience"]).hex(),
        "ctx": context_of(fields, ciphers).hex(),
    }


def check_schedule(fields, files, holders, nonce):
    context = context_of(fields, [file["cipher"] for file in files])
    secrets, commitments = [], []
    for holder in holders:
        secret, devices = bytes.fromhex(holder["share"]), holder["devices"]
        parts = [bytes.fromhex(device["part"]) for device in devices if "part" in device]
        if parts and shamir.combine(parts[: holder["threshold"]]) != secret:
            raise ValueError(f"the parts of {holder['name']} do not give its secret")
        made = [
            share_commitment(
                bytes.fromhex(device["part"]), context, holder["name"], device["key"]
            ).hex()
            if "part" in device
            else None
            for device in devices
        ]
        commitment = share_commitment(secret, context, holder["name"]).hex()
        commitments.append({"name": holder["name"], "commitment": commitment, "devices": made})
        secrets.append(secret)
    key = release_key(secrets, context)
    content = json.dumps({"v": 1, "files": files}, separators=(",", ":"), ensure_ascii=False)
    bag = sealed_payload.seal(bag_key(key), bytes.fromhex(nonce), content.encode())
    file_keys = [(base64.b64decode(file["key"]), file["cipher"]) for file in files]
    return {
        "ctx": context.hex(),
        "commitments": commitments,
        "releaseKey": key.hex(),
        "keyCommitment": key_commitment(key).hex(),
        "bagKey": bag_key(key).hex(),
        "fileKeyCommitments": [file_key_commitment(*each).hex() for each in file_keys],
        "bag": base64.b64encode(bag).decode(),
    }


def check_part(parts):
    return {"share": shamir.combine([bytes.fromhex(part) for part in parts]).hex()}


def check_recipient(recipient, pq):
    require_recipient(recipient, pq)


def check_check(release, known):
    return {"ctx": check_release(release, known).hex()}


def check_take_share(release, device, secret):
    holder, share = take_share(release, device, secret)
    return {"holder": holder, "share": share.hex()}


def check_take_grant(release, digest, holder, device, recipient, secret, grant, now):
    sealed = base64.b64decode(grant)
    share = take_grant(release, digest, holder, device, recipient, secret, sealed, now)
    return {"holder": holder, "share": share.hex()}


def check_inspect(release, recipient, secret):
    return {"files": inspect(release, recipient, secret)}


def check_open(release, grants):
    return {"files": open_release(release, grants)}


PROCEDURES = {
    "ctx": check_ctx,
    "schedule": check_schedule,
    "part": check_part,
    "recipient": check_recipient,
    "check": check_check,
    "take-share": check_take_share,
    "take-grant": check_take_grant,
    "inspect": check_inspect,
    "open": check_open,
}
