"""policy.md: which parties must approve."""

import base64

import age_files
import forms
import keys as ed25519_keys
import strict_json
import target_file
from outcome import Refused, demand

FILE_BYTES_MAX = 1024 * 1024
DEVICE_FILE_BYTES_MAX = 8 * 1024
FIELDS = {
    "v", "fleet", "namespace", "version", "parties", "gate", "inspectors", "allows", "openable",
}  # fmt: skip
STATES = ("active", "recovery", "retired")
COUNTING_STATES = ("active", "recovery")


def check(file, fleet, namespace):
    """Checking a policy, steps 1 to 4."""
    policy = target_file.parse(file, FILE_BYTES_MAX, FIELDS, "POLICY_INVALID")
    demand(_is_well_formed(policy), "POLICY_INVALID")
    demand(policy["fleet"] == fleet, "FLEET_WRONG")
    demand(policy["namespace"] == namespace, "POLICY_INVALID")
    devices = [device for group in _groups(policy) for device in group["devices"]]
    for device in devices:
        ed25519_keys.register(device["key"])
    recipients = [device["recipient"] for device in devices] + policy["inspectors"]
    demand(forms.is_distinct([device["key"] for device in devices]), "POLICY_KEY_SHARED")
    demand(forms.is_distinct(recipients), "POLICY_KEY_SHARED")
    if not policy["allows"]["classical"]:
        demand(all(map(age_files.is_post_quantum, recipients)), "POLICY_INVALID")
    return policy


def read_device_file(file):
    """What a device gives to whoever writes policies, and whether its proof holds."""
    demand(len(file) <= DEVICE_FILE_BYTES_MAX, "DEVICE_INVALID")
    try:
        fields = strict_json.parse(file)
    except strict_json.Malformed:
        raise Refused("DEVICE_INVALID") from None
    demand(isinstance(fields, dict), "DEVICE_INVALID")
    party, key, recipient = (fields.get(name) for name in ("party", "key", "recipient"))
    proof = forms.from_base64(fields.get("proof"))
    is_well_formed = (
        forms.is_integer(fields.get("v"), 1, 1)
        and _is_party_name(party)
        and forms.is_text(key)
        and forms.is_text(recipient)
        and proof is not None
    )
    demand(is_well_formed, "DEVICE_INVALID")
    ed25519_keys.register(key)
    demand(age_files.is_recipient(recipient), "RECIPIENT_INVALID")
    signed = forms.length_prefixed("sealift/device/v1", party, bytes.fromhex(key), recipient)
    demand(ed25519_keys.accepts(key, signed, proof), "DEVICE_INVALID")
    return {"party": party, "key": key, "recipient": recipient}


def missing_parties(policy, parties, approving):
    """The parties of the release's list that are not satisfied."""
    by_name = {party["name"]: party for party in policy["parties"]}
    return [name for name in parties if not _is_satisfied(by_name.get(name), approving)]


def counting_devices(group):
    return [device for device in group["devices"] if device["state"] in COUNTING_STATES]


def _is_satisfied(party, approving):
    if party is None:
        return False
    counted = [device for device in counting_devices(party) if device["key"] in approving]
    return len(counted) >= party["threshold"]


def _groups(policy):
    return policy["parties"] + ([policy["gate"]] if policy["gate"] is not None else [])


def _is_well_formed(policy):
    parties, inspectors, allows = (policy.get(key) for key in ("parties", "inspectors", "allows"))
    if not isinstance(allows, dict) or "gate" not in policy:
        return False
    if not all(isinstance(allows.get(key), bool) for key in ("classical", "noGate")):
        return False
    gate, openable = policy["gate"], policy.get("openable")
    return (
        forms.is_name(policy.get("namespace"))
        and forms.is_list(parties, 1, 16)
        and all(_is_group(party) and _is_party_name(party.get("name")) for party in parties)
        and forms.is_distinct([party["name"] for party in parties])
        and (allows["noGate"] if gate is None else _is_group(gate))
        and forms.is_list(inspectors, 0, 16)
        and all(map(target_file.is_recipient, inspectors))
        and forms.is_list(openable, 0, 64)
        # One that is not earlier opens nothing (release.md §5, deciding, step 3).
        and all(forms.is_integer(version, 1) for version in openable)
    )


def _is_party_name(value):
    return forms.is_name(value) and value != "gate"


def _is_group(value):
    """A threshold and its devices: a party without its name, or the gate."""
    if not isinstance(value, dict) or not forms.is_list(value.get("devices"), 1, 16):
        return False
    if not all(_is_device(device) for device in value["devices"]):
        return False
    return forms.is_integer(value.get("threshold"), 1, len(counting_devices(value)))


def _is_device(value):
    return (
        isinstance(value, dict)
        and forms.is_text(value.get("key"))
        and target_file.is_recipient(value.get("recipient"))
        and value.get("state") in STATES
    )


def check_policy(file, fleet, namespace):
    policy = check(base64.b64decode(file), fleet, namespace)
    names = [party["name"] for party in policy["parties"]]
    return {"version": policy["version"], "parties": names}


def check_approved(file, fleet, namespace, approving):
    policy = check(base64.b64decode(file), fleet, namespace)
    names = [party["name"] for party in policy["parties"]]
    missing = missing_parties(policy, names, approving)
    demand(not missing, "APPROVALS_MISSING", missing=missing)
    return {"missing": missing}


def check_device(file):
    return read_device_file(base64.b64decode(file))


PROCEDURES = {"policy": check_policy, "approved": check_approved, "device": check_device}
