"""envelope.md: statements and envelopes."""

import base64
import hashlib

import critical
import forms
import keys as ed25519_keys
import strict_json
from outcome import Refused, demand

FILE_BYTES_MAX = 4 * 1024 * 1024
PAYLOAD_BYTES_MAX = 3_000_000
SIGNATURES_MAX = 64
SUBJECTS_MAX = 10_000
SUBJECT_NAME_BYTES_MAX = 512
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


def pre_authentication(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read(file, keys, fleet, kinds):
    """Steps 1 to 7 of reading. `kinds`: the fields that the reader knows, by predicate type."""
    payload_type, payload, signatures = parse_envelope(file)
    demand(payload_type == PAYLOAD_TYPE, "PAYLOAD_TYPE_WRONG")
    signed = pre_authentication(payload_type, payload)
    signers = {
        key
        for key, signature in signatures
        if key in keys and ed25519_keys.accepts(key, signed, signature)
    }
    demand(signers, "SIGNATURE_MISSING")
    statement = parse_statement(payload)
    kind, predicate = statement["predicateType"], statement["predicate"]
    demand(kind in kinds, "KIND_WRONG")
    demand(predicate["fleet"] == fleet, "FLEET_WRONG")
    demand(critical.is_known(predicate, kinds[kind]), "CRITICAL_UNKNOWN")
    digest = hashlib.sha256(payload).hexdigest()
    return {"statement": statement, "digest": digest, "signers": sorted(signers)}


def parse_envelope(file):
    demand(len(file) <= FILE_BYTES_MAX, "ENVELOPE_TOO_LARGE")
    try:
        fields = strict_json.parse(file)
    except strict_json.Malformed:
        raise Refused("ENVELOPE_MALFORMED") from None
    demand(isinstance(fields, dict), "ENVELOPE_MALFORMED")
    payload = forms.from_loose_base64(fields.get("payload"))
    demand(payload is not None, "ENVELOPE_MALFORMED")
    demand(len(payload) <= PAYLOAD_BYTES_MAX, "ENVELOPE_TOO_LARGE")
    demand(forms.is_text(fields.get("payloadType")), "ENVELOPE_MALFORMED")
    listed = fields.get("signatures")
    demand(forms.is_list(listed, 1, SIGNATURES_MAX), "ENVELOPE_MALFORMED")
    return fields["payloadType"], payload, [_parse_signature(entry) for entry in listed]


def _parse_signature(entry):
    demand(isinstance(entry, dict), "ENVELOPE_MALFORMED")
    signature = forms.from_loose_base64(entry.get("sig"))
    demand(signature is not None and len(signature) == 64, "ENVELOPE_MALFORMED")
    demand(forms.is_digest(entry.get("keyid")), "ENVELOPE_MALFORMED")
    return entry["keyid"], signature


def parse_statement(payload):
    try:
        statement = strict_json.parse(payload)
    except strict_json.Malformed:
        raise Refused("STATEMENT_MALFORMED") from None
    demand(_is_statement(statement), "STATEMENT_MALFORMED")
    return statement


def _is_statement(value):
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
        return False
    subjects, predicate = value.get("subject"), value.get("predicate")
    return (
        forms.is_list(subjects, 1, SUBJECTS_MAX)
        and all(_is_subject(subject) for subject in subjects)
        and forms.is_text(value.get("predicateType"))
        and isinstance(predicate, dict)
        and forms.is_digest(predicate.get("fleet"))
        and critical.is_well_formed(predicate)
    )


def _is_subject(value):
    return (
        isinstance(value, dict)
        and forms.is_text(value.get("name"), 1)
        and len(value["name"].encode(errors="surrogatepass")) <= SUBJECT_NAME_BYTES_MAX
        and isinstance(value.get("digest"), dict)
        and forms.is_digest(value["digest"].get("sha256"))
    )


def check_pae(payloadType, payload):
    encoded = pre_authentication(payloadType, base64.b64decode(payload))
    return {"bytes": base64.b64encode(encoded).decode()}


def check_read(file, keys, fleet, kinds, insert=None):
    content = base64.b64decode(file)
    if insert is not None:
        at = insert["at"]
        content = content[:at] + insert["text"].encode() * insert["count"] + content[at:]
    got = read(content, keys, fleet, kinds)
    return {
        "kind": got["statement"]["predicateType"],
        "digest": f"sha256:{got['digest']}",
        "signers": got["signers"],
    }


PROCEDURES = {"pae": check_pae, "read": check_read}
