"""beacon.md: reading a beacon, taking it, and what follows from those that were taken."""

import base64

import envelope
import fleet as fleets
import forms
from outcome import Refused, demand

KIND = "sealift:beacon/v1"
VERSIONS = ("root", "timestamp", "snapshot", "targets", "access", "plan")
FIELDS = ["peer", "at", *VERSIONS]
BYTES_MAX = 4 * 1024
SUBJECT = "metadata/timestamp.json"
AHEAD_MAX = 60 * 60_000
HELD_BACK_AFTER = 15 * 60_000
UNHEARD_AFTER = 60 * 60_000


def check_beacon(file, fleet, witnesses):
    """Reading, steps 1 to 4."""
    file = base64.b64decode(file)
    wrong = "BEACON_INVALID"
    demand(len(file) <= BYTES_MAX, wrong)
    try:
        keys = [witness["key"] for witness in witnesses]
        read = envelope.read(file, keys, fleet, {KIND: FIELDS})
    except Refused:
        raise Refused(wrong) from None
    said = read["statement"]["predicate"]
    names = [about["name"] for about in read["statement"]["subject"]]
    demand(names == [SUBJECT] and fleets.is_peer_id(said.get("peer")), wrong)
    demand(all(forms.is_integer(said.get(name)) for name in ("at", *VERSIONS)), wrong)
    named = [witness["key"] for witness in witnesses if witness["peer"] == said["peer"]]
    demand(named and named[0] in read["signers"], wrong)
    return {name: said[name] for name in FIELDS}


def check_taken(said):
    known, taken = None, []
    for turn in said:
        now, at = turn["now"], turn["at"]
        counts = known is not None and known <= now + AHEAD_MAX
        is_taken = at <= now + AHEAD_MAX and not (counts and at <= known)
        known = at if is_taken else known
        taken.append(is_taken)
    return {"isTaken": taken}


def _lacked(here, there):
    if here[0] != there[0]:
        return {"root"} if there[0] > here[0] else set()
    return {name for name, own, other in zip(VERSIONS, here, there) if other > own}


def check_held(count, self, turns):
    faulty, now, last, pins = (count - 1) // 3, 0, {}, {}
    for turn in turns:
        now += turn["after"]
        here = turn["here"]
        last.update(dict(turn["said"]))
        for witness, versions in last.items():
            if witness == self or not _lacked(here, versions):
                pins.pop(witness, None)
            elif witness not in pins or not _lacked(here, pins[witness][0]):
                pins[witness] = (versions, now)
    late = [_lacked(here, place) for place, since in pins.values() if now - since >= HELD_BACK_AFTER]
    if len(late) <= faulty:
        return {"heldBack": None}
    lacks = [name for name in VERSIONS if any(name in names for names in late)]
    return {"heldBack": {"count": len(late), "lacks": lacks}}


def check_unheard(ages, self, named):
    faulty = (len(ages) - 1) // 3
    others = [age for index, age in enumerate(ages) if index != self]
    needed = min(2 * faulty + 1, len(others) - faulty) if others else 0
    heard = sum(1 for age in others if age is not None and age < UNHEARD_AFTER)
    if named < UNHEARD_AFTER or heard >= needed:
        return {"unheard": None}
    return {"unheard": {"heard": heard, "needed": needed}}


PROCEDURES = {
    "beacon": check_beacon,
    "taken": check_taken,
    "held": check_held,
    "unheard": check_unheard,
}
