"""release.md: what releases, approvals, withdrawals and gate grants say."""

import base64
import hashlib
import re
import unicodedata

import age_files
import envelope
import fleet as fleet_page
import forms
import key_schedule
import merkle
import policy as policy_page
import sealed_payload
from outcome import Refused, demand
from paths import is_safe_set

LIFE_MS_MAX = 1_096 * 24 * 60 * 60 * 1000
GATE_GRANT_MS_MAX = 7 * 24 * 60 * 60 * 1000
NAME_PARTS_MAX = 8
NAME_CHARACTERS_MAX = 128
FILES_MAX = 5_000
FILE_BYTES_MAX = 2**40
AUDIENCE_MAX = 10_000
GRANTS_MAX = 10_000
LIST_BYTES_MAX = 64 * 1024 * 1024
PROVEN_BYTES_MAX = 32 * 1024
PROOF_HASHES_MAX = 14
REASON_BYTES_MAX = 1_024
RELEASE_FIELDS = {
    "fleet", "namespace", "name", "sequence", "createdAt", "expiresAt", "floor", "policy",
    "parties", "visibility", "audience", "gate", "files", "variants", "requires", "activation",
    "reissues", "seal",
}  # fmt: skip
APPROVAL_FIELDS = {"fleet", "party", "device", "access", "notBefore", "notAfter", "grants"}
WITHDRAWAL_FIELDS = {"fleet", "by", "reason"}
GATE_GRANT_FIELDS = {"fleet", "device", "node", "access", "issuedAt", "notAfter", "file"}
SEALED_ONLY = ("audience", "gate", "seal")
PLAIN_ONLY = ("path", "mediaType", "mode", "unpack")
VERSION_TEXT = re.compile(r"(?P<asset>[^@]+)@(?P<sequence>[1-9][0-9]{0,15})")
AUDIENCE_GROUP = re.compile(r"group:(?P<name>[^:]+):(?P<epoch>[1-9][0-9]{0,15})")
# Marks that turn the direction of text (Unicode's Bidi_Control).
DIRECTION_MARKS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_asset_name(value):
    return (
        forms.is_text(value, 1, NAME_CHARACTERS_MAX)
        and value.count("/") < NAME_PARTS_MAX
        and all(
            forms.is_name(part, NAME_CHARACTERS_MAX) and not part.endswith(".json")
            for part in value.split("/")
        )
    )


def text_form(release):
    return f"{release['namespace']}/{release['name']}@{release['sequence']}"


def parse_text_form(value):
    match = VERSION_TEXT.fullmatch(value) if forms.is_text(value) else None
    demand(match is not None, "ASSET_VERSION_INVALID")
    namespace, _, name = match["asset"].partition("/")
    sequence = int(match["sequence"])
    is_right = (
        forms.is_name(namespace) and is_asset_name(name) and forms.is_integer(sequence, 1)
    )
    demand(is_right, "ASSET_VERSION_INVALID")
    return {"namespace": namespace, "name": name, "sequence": sequence}


def is_audience_entry(value):
    if not forms.is_text(value):
        return False
    group = AUDIENCE_GROUP.fullmatch(value)
    if group is not None:
        is_group = forms.is_name(group["name"]) and group["name"] != "all"
        return is_group and forms.is_integer(int(group["epoch"]), 1)
    return value.startswith("node:") and fleet_page.is_peer_id(value[len("node:") :])


def read_release(file, keys, fleet, known):
    """Reading a release, steps 1 to 6. `known`: file keys' commitments of other releases."""
    read = envelope.read(file, keys, fleet, {"sealift:release/v1": RELEASE_FIELDS})
    release = read["statement"]["predicate"]
    demand(_is_release(release), "RELEASE_INVALID")
    subjects = [(each["name"], each["digest"]["sha256"]) for each in read["statement"]["subject"]]
    files = [
        (f"{text_form(release)}#{place}", file["digest"])
        for place, file in enumerate(release["files"])
    ]
    demand(subjects == files, "RELEASE_INVALID")
    if release["visibility"] == "sealed":
        key_schedule.check_release(as_fields(release), known)
    return read


def as_fields(release):
    """A sealed release as the key schedule's procedures take it."""
    names = ("fleet", "namespace", "name", "sequence", "parties", "audience", "gate")
    fields = {name: release[name] for name in names}
    seal = release["seal"]
    return {
        "fields": {**fields, "policy": release["policy"]["digest"], "pq": seal["pq"]},
        "context": seal["context"],
        "files": [
            {
                "cipher": file["digest"],
                "cipherBytes": file["sizeBytes"],
                "commitment": file["fileKeyCommitment"],
            }
            for file in release["files"]
        ],
        "keyCommitment": seal["keyCommitment"],
        "bag": seal["bag"],
        "holders": seal["holders"],
        "inspectors": seal["inspectors"],
    }


def _is_release(value):
    names = ("files", "variants", "parties", "visibility")
    files, variants, parties, visibility = (value.get(name) for name in names)
    is_sealed = visibility == "sealed"
    requires = value.get("requires", [])
    return (
        forms.is_name(value.get("namespace"))
        and is_asset_name(value.get("name"))
        and forms.is_integer(value.get("sequence"), 1)
        and forms.is_integer(value.get("createdAt"))
        and forms.is_integer(
            value.get("expiresAt"), value["createdAt"] + 1, value["createdAt"] + LIFE_MS_MAX
        )
        and forms.is_integer(value.get("floor", 1), 1, value["sequence"])
        and _is_pinned(value.get("policy"))
        and forms.is_list(parties, 1, key_schedule.PARTIES_MAX)
        and all(forms.is_name(party) and party != "gate" for party in parties)
        and forms.is_distinct(parties)
        and visibility in ("sealed", "fleet", "public")
        and forms.is_list(files, 1, FILES_MAX)
        and all(_is_file(file) for file in files)
        and len({file["digest"] for file in files})
        == len({(file["digest"], file["sizeBytes"]) for file in files})
        and (_are_sealed_files(files) if is_sealed else _are_plain_files(files))
        and forms.is_list(variants, 1, 64)
        and all(_is_variant(variant, len(files)) for variant in variants)
        and forms.is_distinct([tuple(sorted(each["slots"].items())) for each in variants])
        and forms.is_list(requires, 0, 16)
        and all(_is_requirement(each, value) for each in requires)
        and forms.is_distinct([each["release"] for each in requires])
        and isinstance(value.get("activation", {}), dict)
        and (
            "reissues" not in value
            or forms.is_integer(value["reissues"], 1, value["sequence"] - 1)
        )
        and (_is_sealed(value) if is_sealed else not any(name in value for name in SEALED_ONLY))
    )


def _is_pinned(value):
    return (
        isinstance(value, dict)
        and forms.is_integer(value.get("version"), 1)
        and forms.is_digest(value.get("digest"))
    )


def _is_file(value):
    return (
        isinstance(value, dict)
        and forms.is_digest(value.get("digest"))
        and forms.is_integer(value.get("sizeBytes"), 0, FILE_BYTES_MAX)
    )


def _are_sealed_files(files):
    return all(
        forms.is_digest(file.get("fileKeyCommitment"))
        and sealed_payload.is_cipher_length(file["sizeBytes"])
        and not any(name in file for name in PLAIN_ONLY)
        for file in files
    )


def _are_plain_files(files):
    return all(
        key_schedule.is_media_and_mode(file) and "fileKeyCommitment" not in file for file in files
    ) and is_safe_set([file.get("path") for file in files])


def _is_variant(value, count):
    if not isinstance(value, dict) or not isinstance(value.get("slots"), dict):
        return False
    slots, files = value["slots"], value.get("files")
    return (
        len(slots) <= 16
        and all(fleet_page.is_label(text) for slot in slots.items() for text in slot)
        and forms.is_list(files, 1, count)
        and all(forms.is_integer(place, 0, count - 1) for place in files)
        and forms.is_distinct(files)
    )


def _is_requirement(value, release):
    if not isinstance(value, dict) or not forms.is_digest(value.get("digest")):
        return False
    try:
        parse_text_form(value.get("release"))
    except Refused:
        return False
    return value["release"] != text_form(release)


def _is_sealed(value):
    """The form of what only a sealed release has. Its order is for the key schedule to check."""
    audience, seal = value.get("audience"), value.get("seal")
    if not isinstance(seal, dict) or value.get("gate") not in ("open", "hold", "none"):
        return False
    bag, holders, inspectors = (seal.get(key) for key in ("bag", "holders", "inspectors"))
    decoded = forms.from_base64(bag)
    return (
        forms.is_list(audience, 1, AUDIENCE_MAX)
        and all(is_audience_entry(entry) for entry in audience)
        and audience == sorted(set(audience))
        and (value["gate"] != "none" or all(entry.startswith("node:") for entry in audience))
        and forms.is_digest(seal.get("context"))
        and forms.is_digest(seal.get("keyCommitment"))
        and isinstance(seal.get("pq"), bool)
        and decoded is not None
        and 1 <= len(decoded) <= key_schedule.BAG_BYTES_MAX
        and forms.is_list(holders, 1, key_schedule.PARTIES_MAX + 1)
        and all(_is_holder(holder) for holder in holders)
        and forms.is_list(inspectors, 0, 16)
        and all(_is_inspector(each, seal["pq"]) for each in inspectors)
        and forms.is_distinct([each["recipient"] for each in inspectors])
    )


def _is_holder(value):
    if not isinstance(value, dict) or not forms.is_integer(value.get("threshold")):
        return False
    devices = value.get("devices")
    return (
        forms.is_text(value.get("name"))
        and forms.is_digest(value.get("commitment"))
        and forms.is_list(devices, 0, key_schedule.DEVICES_MAX)
        and all(_is_device(device, value["threshold"] >= 2) for device in devices)
    )


def _is_device(value, has_commitment):
    return (
        isinstance(value, dict)
        and forms.is_digest(value.get("key"))
        and _is_age_file(value.get("share"))
        and ("commitment" in value) == has_commitment
        and (not has_commitment or forms.is_digest(value["commitment"]))
    )


def _is_inspector(value, pq):
    if not isinstance(value, dict) or not forms.is_text(value.get("recipient")):
        return False
    is_allowed = not pq or age_files.is_post_quantum(value["recipient"])
    return is_allowed and _is_age_file(value.get("file"))


def _is_age_file(value):
    decoded = forms.from_base64(value)
    return decoded is not None and 1 <= len(decoded) <= age_files.FILE_BYTES_MAX


def _read_about(kind, fields, code, file, keys, fleet):
    """A statement about one release: what it says, and the subject."""
    read = envelope.read(file, keys, fleet, {kind: fields})
    subjects = read["statement"]["subject"]
    demand(len(subjects) == 1, code)
    try:
        parse_text_form(subjects[0]["name"])
    except Refused:
        raise Refused(code) from None
    return read


def read_approval(file, keys, fleet):
    code = "APPROVAL_INVALID"
    read = _read_about("sealift:approval/v1", APPROVAL_FIELDS, code, file, keys, fleet)
    approval = read["statement"]["predicate"]
    grants = approval.get("grants")
    is_right = (
        forms.is_name(approval.get("party"))
        and approval["party"] != "gate"
        and forms.is_digest(approval.get("device"))
        and _is_pinned(approval.get("access"))
        and forms.is_integer(approval.get("notBefore"))
        and forms.is_integer(approval.get("notAfter"), approval["notBefore"])
        and isinstance(grants, dict)
        and forms.is_digest(grants.get("root"))
        and forms.is_integer(grants.get("count"), 0, GRANTS_MAX)
        and (grants["count"] == 0) == (grants["root"] == merkle.root([]).hex())
    )
    demand(is_right, code)
    demand(approval["device"] in read["signers"], code)
    return read


def read_withdrawal(file, keys, fleet):
    code = "WITHDRAWAL_INVALID"
    read = _read_about("sealift:withdrawal/v1", WITHDRAWAL_FIELDS, code, file, keys, fleet)
    withdrawal = read["statement"]["predicate"]
    demand(_is_withdrawer(withdrawal.get("by")), code)
    demand(_is_reason(withdrawal.get("reason")), code)
    return read


def _is_withdrawer(value):
    if not forms.is_text(value):
        return False
    kind, _, name = value.partition(":")
    return value == "role:targets" or (kind == "party" and forms.is_name(name) and name != "gate")


def _is_reason(value):
    if not forms.is_text(value, 1):
        return False
    try:
        size = len(value.encode())
    except UnicodeEncodeError:  # half a character
        return False
    return size <= REASON_BYTES_MAX and not any(
        unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in DIRECTION_MARKS
        for character in value
    )


def read_gate_grant(file, keys, fleet):
    code = "GATE_GRANT_INVALID"
    read = _read_about("sealift:gate-grant/v1", GATE_GRANT_FIELDS, code, file, keys, fleet)
    grant = read["statement"]["predicate"]
    is_right = (
        forms.is_digest(grant.get("device"))
        and fleet_page.is_peer_id(grant.get("node"))
        and _is_pinned(grant.get("access"))
        and forms.is_integer(grant.get("issuedAt"))
        and forms.is_integer(
            grant.get("notAfter"), grant["issuedAt"], grant["issuedAt"] + GATE_GRANT_MS_MAX
        )
        and _is_age_file(grant.get("file"))
    )
    demand(is_right, code)
    demand(grant["device"] in read["signers"], code)
    return read


def grant_leaf(grant):
    return forms.length_prefixed("sealift/grant/v1", grant["to"], base64.b64decode(grant["file"]))


def _is_grant(value):
    return (
        isinstance(value, dict)
        and is_audience_entry(value.get("to"))
        and _is_age_file(value.get("file"))
    )


def _parse_grants(file, bytes_max):
    demand(len(file) <= bytes_max, "GRANTS_INVALID")
    fields = key_schedule.parse_inner(file, "GRANTS_INVALID")
    demand(forms.is_digest(fields.get("approval")), "GRANTS_INVALID")
    return fields


def check_list(file, approval, grants):
    """A list of grants, against the approval's digest and what it signed."""
    fields = _parse_grants(file, LIST_BYTES_MAX)
    listed = fields.get("grants")
    demand(forms.is_list(listed, 0, GRANTS_MAX), "GRANTS_INVALID")
    demand(all(_is_grant(grant) for grant in listed), "GRANTS_INVALID")
    recipients = [grant["to"] for grant in listed]
    demand(recipients == sorted(set(recipients)), "GRANTS_INVALID")
    demand(fields["approval"] == approval, "GRANT_NOT_SIGNED")
    root = merkle.root([grant_leaf(grant) for grant in listed]).hex()
    demand((len(listed), root) == (grants["count"], grants["root"]), "GRANT_NOT_SIGNED")
    return listed


def check_proven(file, approval, grants):
    """A single grant with its proof."""
    fields = _parse_grants(file, PROVEN_BYTES_MAX)
    place, proof = fields.get("index"), fields.get("proof")
    demand(_is_grant(fields), "GRANTS_INVALID")
    demand(forms.is_integer(place, 0, GRANTS_MAX - 1), "GRANTS_INVALID")
    demand(forms.is_list(proof, 0, PROOF_HASHES_MAX), "GRANTS_INVALID")
    demand(all(forms.is_digest(each) for each in proof), "GRANTS_INVALID")
    demand(fields["approval"] == approval, "GRANT_NOT_SIGNED")
    demand(place < grants["count"], "GRANT_NOT_SIGNED")
    path = [bytes.fromhex(each) for each in proof]
    root = merkle.root_from_proof(grant_leaf(fields), place, grants["count"], path)
    demand(root is not None and root.hex() == grants["root"], "GRANT_NOT_SIGNED")
    return fields


def check_policy(release, policy, digest):
    """A release and its policy, steps 1 to 3."""
    pinned = {"version": policy["version"], "digest": digest}
    is_current = (
        release["fleet"] == policy["fleet"]
        and release["namespace"] == policy["namespace"]
        and {name: release["policy"][name] for name in pinned} == pinned
    )
    demand(is_current, "POLICY_NOT_CURRENT")
    names = [party["name"] for party in policy["parties"]]
    demand(release["parties"] == names, "POLICY_PARTIES_DIFFER")
    if release["visibility"] == "sealed":
        demand(_is_allowed(release, policy), "POLICY_FORBIDS")


def _is_allowed(release, policy):
    seal, allows, gate = release["seal"], policy["allows"], policy["gate"]
    groups = policy["parties"] + ([] if release["gate"] == "none" else [gate])
    if release["gate"] == "none":
        if not allows["noGate"]:
            return False
    elif gate is None:
        return False
    recipients = [
        device["recipient"] for group in groups for device in policy_page.counting_devices(group)
    ]
    if seal["pq"]:
        if not all(map(age_files.is_post_quantum, recipients)):
            return False
    elif not allows["classical"]:
        return False
    asked = [
        (group["threshold"], [device["key"] for device in policy_page.counting_devices(group)])
        for group in groups
    ]
    listed = [
        (holder["threshold"], [device["key"] for device in holder["devices"]])
        for holder in seal["holders"]
    ]
    inspectors = {each["recipient"] for each in seal["inspectors"]}
    return asked == listed and inspectors <= set(policy["inspectors"])


def choose_variant(variants, labels):
    fitting = [
        (-len(variant["slots"]), place)
        for place, variant in enumerate(variants)
        if variant["slots"].items() <= labels.items()
    ]
    demand(fitting, "NO_VARIANT")
    return min(fitting)[1]


# 5 Procedures: counting and deciding


def subject_of(read):
    subject = read["statement"]["subject"][0]
    return subject["name"], subject["digest"]["sha256"]


def counts(approval, about, release, policy, now):
    """Counting an approval, steps 1 to 4. `about`: the release's name and digest."""
    said = approval["statement"]["predicate"]
    parties = [party for party in policy["parties"] if party["name"] == said["party"]]
    devices = [
        device["key"] for party in parties for device in policy_page.counting_devices(party)
    ]
    return (
        said["fleet"] == release["fleet"]
        and subject_of(approval) == about
        and said["device"] in devices
        and said["notBefore"] <= now <= said["notAfter"] <= release["expiresAt"]
        and (said["grants"]["count"] > 0) == (release["visibility"] == "sealed")
    )


def withdraws(withdrawal, about, release, policy, targets_keys):
    """Who has withdrawn the release; None if it stands."""
    said, signers = withdrawal["statement"]["predicate"], withdrawal["signers"]
    if said["fleet"] != release["fleet"] or subject_of(withdrawal) != about:
        return None
    kind, _, name = said["by"].partition(":")
    if kind == "role":
        keys = targets_keys
    else:
        parties = [party for party in policy["parties"] if party["name"] == name]
        keys = [
            device["key"] for party in parties for device in policy_page.counting_devices(party)
        ]
    return name if set(signers) & set(keys) else None


def decide(read, policy, policy_digest, was_accepted, approvals, withdrawals, targets_keys, now):
    """Deciding, steps 1 to 4. Gives the devices that counted."""
    release = read["statement"]["predicate"]
    about = (text_form(release), read["digest"])
    for withdrawal in withdrawals:
        by = withdraws(withdrawal, about, release, policy, targets_keys)
        demand(by is None, "RELEASE_WITHDRAWN", by=by)
    demand(now <= release["expiresAt"], "RELEASE_EXPIRED")
    version, digest = release["policy"]["version"], release["policy"]["digest"]
    is_current = (version, digest) == (policy["version"], policy_digest)
    is_openable = version < policy["version"] and version in policy["openable"] and was_accepted
    demand(is_current or is_openable, "POLICY_NOT_CURRENT")
    counted = {
        approval["statement"]["predicate"]["device"]
        for approval in approvals
        if counts(approval, about, release, policy, now)
    }
    missing = policy_page.missing_parties(policy, release["parties"], counted)
    demand(not missing, "APPROVALS_MISSING", parties=missing)
    return sorted(counted)


# 9 Vectors


def run_release(file, fleet, keys, known=None):
    others = [
        {"cipher": cipher, "commitment": commitment}
        for cipher, commitment in (known or {}).items()
    ]
    read = read_release(base64.b64decode(file), keys, fleet, others)
    release = read["statement"]["predicate"]
    return {
        "digest": read["digest"],
        "asset": text_form(release),
        "visibility": release["visibility"],
        "audience": release.get("audience"),
        "gate": release.get("gate"),
        "files": [
            {"digest": each["digest"], "sizeBytes": each["sizeBytes"]} for each in release["files"]
        ],
        "slots": [variant["slots"] for variant in release["variants"]],
        "requires": [each["release"] for each in release.get("requires", [])],
        "floor": release.get("floor"),
        "reissues": release.get("reissues"),
    }


def _run_about(read_statement, fields):
    def run(file, fleet, keys):
        read = read_statement(base64.b64decode(file), keys, fleet)
        predicate = read["statement"]["predicate"]
        return {
            "release": subject_of(read)[0],
            "digest": read["digest"],
            "predicate": {name: predicate[name] for name in fields - {"fleet"}},
        }

    return run


def run_name(text):
    return parse_text_form(text)


def run_path(paths):
    demand(is_safe_set(paths), "RELEASE_INVALID")
    return {"count": len(paths)}


def run_variant(variants, labels):
    return {"index": choose_variant(variants, labels)}


def run_grants(grants):
    leaves = [grant_leaf(grant) for grant in grants]
    proofs = [merkle.proof(leaves, place) for place in range(len(leaves))]
    return {
        "root": merkle.root(leaves).hex(),
        "count": len(leaves),
        "proofs": [[each.hex() for each in proof] for proof in proofs],
    }


def run_list(file, approval, root, count):
    signed = {"root": root, "count": count}
    return {"to": [each["to"] for each in check_list(base64.b64decode(file), approval, signed)]}


def run_proven(file, approval, root, count):
    fields = check_proven(base64.b64decode(file), approval, {"root": root, "count": count})
    return {"to": fields["to"], "index": fields["index"]}


def _read_policy(policy, fleet, namespace):
    content = base64.b64decode(policy)
    return policy_page.check(content, fleet, namespace), hashlib.sha256(content).hexdigest()


def run_policy(file, fleet, keys, policy, namespace):
    read = read_release(base64.b64decode(file), keys, fleet, [])
    current, digest = _read_policy(policy, fleet, namespace)
    check_policy(read["statement"]["predicate"], current, digest)
    return {"version": current["version"]}


def run_decide(
    release, publishers, policy, fleet, namespace, keys, targets, approvals, withdrawals, nowMs,
    wasAccepted,
):  # fmt: skip
    current, digest = _read_policy(policy, fleet, namespace)
    devices = decide(
        read_release(base64.b64decode(release), publishers, fleet, []),
        current,
        digest,
        wasAccepted,
        [read_approval(base64.b64decode(each), keys, fleet) for each in approvals],
        [read_withdrawal(base64.b64decode(each), keys, fleet) for each in withdrawals],
        targets,
        nowMs,
    )
    return {"devices": devices}


PROCEDURES = {
    "release": run_release,
    "approval": _run_about(read_approval, APPROVAL_FIELDS),
    "withdrawal": _run_about(read_withdrawal, WITHDRAWAL_FIELDS),
    "gate-grant": _run_about(read_gate_grant, GATE_GRANT_FIELDS),
    "name": run_name,
    "path": run_path,
    "variant": run_variant,
    "grants": run_grants,
    "list": run_list,
    "proven": run_proven,
    "policy": run_policy,
    "decide": run_decide,
}
