"""rollout.md: plans, who is in which wave, what is decided and reported, and what follows."""

import base64
import datetime
import hashlib
import hmac
import re
import urllib.parse
import zoneinfo

import envelope
import fleet as fleet_page
import forms
import merkle
import release as release_page
from outcome import Refused, demand

SPAN_MAX = 2_592_000_000
LIFE_MAX = 1_096 * 24 * 60 * 60 * 1000
WAVES_MAX = 64
NODES_MAX = 10_000
RELEASES_MAX = 16
DECISIONS_MAX = 1_024
ROSTER_BYTES_MAX = 560_000
REASON_BYTES_MAX = 512
PLAN_FIELDS = {
    "fleet", "rollout", "version", "channel", "createdAt", "expiresAt", "controller", "waves",
    "success", "error", "reportDeadlineMs", "silence", "window", "activate", "probe",
    "onNoRollback",
}  # fmt: skip
DECISION_FIELDS = {"fleet", "index", "previous", "at", "act", "wave", "roster", "access", "reason"}
REPORT_FIELDS = {
    "fleet", "node", "wave", "attempt", "counter", "boot", "at", "outcome", "running", "slots",
    "opensAt", "reason",
}  # fmt: skip
CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")
FILLED = ("${node}", "${release}", "${path}")
PLAN_NAME = re.compile(r"(?P<name>[^@]+)@(?P<version>[1-9][0-9]{0,15})")
BOOT_ID = re.compile(r"[0-9a-f]{32}")
ROSTER_LINE = re.compile(rb"(\S+) (0|[1-9][0-9]*)")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Control characters, separators of lines and paragraphs, marks that turn the direction of text.
NOT_SHOWN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
MINUTES_OF_DAY = 24 * 60
MINUTE_MS = 60_000


# The plan


def read_plan(file, keys, fleet):
    read = envelope.read(file, keys, fleet, {"sealift:plan/v1": PLAN_FIELDS})
    names = [subject["name"] for subject in read["statement"]["subject"]]
    demand(len(names) <= RELEASES_MAX, "PLAN_INVALID")
    assets = []
    for name in names:
        try:
            asset = release_page.parse_text_form(name)
        except Refused:
            raise Refused("PLAN_INVALID") from None
        assets.append((asset["namespace"], asset["name"]))
    demand(forms.is_distinct(assets), "PLAN_INVALID")
    demand(_is_plan(read["statement"]["predicate"]), "PLAN_INVALID")
    return read


def _is_plan(value):
    created = value.get("createdAt")
    waves, success, error = (value.get(name) for name in ("waves", "success", "error"))
    return (
        forms.is_name(value.get("rollout"))
        and forms.is_integer(value.get("version"), 1)
        and forms.is_name(value.get("channel"))
        and forms.is_integer(created)
        and forms.is_integer(value.get("expiresAt"), created + 1, created + LIFE_MAX)
        and fleet_page.is_peer_id(value.get("controller"))
        and forms.is_list(waves, 1, WAVES_MAX)
        and all(_is_wave(wave) for wave in waves)
        and forms.is_distinct([wave["name"] for wave in waves])
        and sum(len(wave["nodes"].get("peers", [])) for wave in waves) <= NODES_MAX
        and _is_rule(success, error)
        and forms.is_integer(value.get("reportDeadlineMs"), 1, SPAN_MAX)
        and value.get("silence") in ("failure", "excluded")
        and value.get("onNoRollback") in ("keep", "deactivate")
        and ("window" not in value or _is_window(value["window"]))
        and ("activate" not in value or _is_activation(value["activate"]))
        and ("probe" not in value or _is_probe(value["probe"]))
    )


def _is_wave(value):
    if not isinstance(value, dict) or ("percent" in value and "count" in value):
        return False
    return (
        forms.is_name(value.get("name"))
        and _is_selector(value.get("nodes"))
        and forms.is_integer(value.get("percent", 1), 1, 100)
        and forms.is_integer(value.get("count", 1), 1, NODES_MAX)
        and forms.is_integer(value.get("soakMs"), 0, SPAN_MAX)
    )


def _is_selector(value):
    if not isinstance(value, dict):
        return False
    kind = value.get("kind")
    if kind == "list":
        peers = value.get("peers")
        is_list = forms.is_list(peers, 1, NODES_MAX)
        return is_list and all(map(fleet_page.is_peer_id, peers)) and forms.is_distinct(peers)
    if kind == "group":
        return forms.is_name(value.get("group")) and value["group"] != "all"
    if kind == "labels":
        labels = value.get("labels")
        return _are_labels(labels) and len(labels) > 0
    return kind == "all"


def _are_labels(value):
    return (
        isinstance(value, dict)
        and len(value) <= 16
        and all(fleet_page.is_label(text) for entry in value.items() for text in entry)
    )


def _is_rule(success, error):
    return (
        isinstance(success, dict)
        and isinstance(error, dict)
        and forms.is_integer(success.get("percent"), 1, 100)
        and forms.is_integer(success.get("minSample"), 1, NODES_MAX)
        and forms.is_integer(error.get("percent"), 1, 100)
        and forms.is_integer(error.get("count", 1), 1, NODES_MAX)
        and error.get("action") in ("pause", "abort", "abort+rollback")
        and success["percent"] + error["percent"] > 100
    )


def _is_window(value):
    if not isinstance(value, dict):
        return False
    days = value.get("days")
    return (
        all(forms.is_integer(value.get(key), 0, MINUTES_OF_DAY - 1) for key in ("from", "to"))
        and forms.is_list(days, 1, 7)
        and all(forms.is_integer(day, 1, 7) for day in days)
        and all(one < other for one, other in zip(days, days[1:]))
    )


def _is_activation(value):
    if not isinstance(value, dict):
        return False
    kind = value.get("kind")
    if kind == "files":
        return _is_path(value.get("path"))
    if not forms.is_integer(value.get("timeoutMs"), 1, SPAN_MAX):
        return False
    if kind in ("podman", "docker", "containerd"):
        return _is_container(value.get("container"))
    if kind == "webhook":
        return _is_url(value.get("url"))
    return _is_program(kind, value)


def _is_probe(value):
    if not isinstance(value, dict):
        return False
    kind = value.get("kind")
    is_check = (
        kind == "running"
        or (kind == "http" and _is_url(value.get("url")))
        or (kind == "container" and _is_container(value.get("container")))
        or _is_program(kind, value)
    )
    return (
        is_check
        and forms.is_integer(value.get("timeoutMs"), 1, SPAN_MAX)
        and forms.is_integer(value.get("retries"), 0, 100)
        and forms.is_integer(value.get("intervalMs"), 0, SPAN_MAX)
    )


def _is_program(kind, value):
    if kind == "listed":
        return forms.is_name(value.get("name"))
    argv = value.get("argv")
    return (
        kind == "exec"
        and forms.is_list(argv, 1, 64)
        and _is_path(argv[0])
        and "${" not in argv[0]
        and all(_is_argument(word) for word in argv[1:])
    )


def _is_argument(value):
    size = _utf8_size(value)
    return size is not None and size <= 4_096 and "\0" not in value


def _is_container(value):
    return forms.is_text(value) and CONTAINER.fullmatch(value) is not None


def _is_path(value):
    size = _utf8_size(value)
    if size is None or size > 1_024 or CONTROL.search(value) or not value.startswith("/"):
        return False
    parts = value[1:].split("/")
    return all(part not in ("", ".", "..") for part in parts) and _has_known_holes(value)


def _has_known_holes(value):
    """Every `${…}` is one of the three; one without an end is none of them."""
    return all(value.startswith(FILLED, hole.start()) for hole in re.finditer(r"\$\{", value))


def _is_url(value):
    if _utf8_size(value) is None or len(value.encode()) > 2_048:
        return False
    if re.search(r"[\\\s#]", value) or CONTROL.search(value) or not _has_known_holes(value):
        return False
    match = re.fullmatch(r"https?://([^/?]*)([/?].*)?", value)
    if match is None or match[1] == "" or "@" in match[1] or "$" in match[1]:
        return False
    try:
        return urllib.parse.urlsplit(value).port != 0
    except ValueError:
        return False


def _utf8_size(value):
    """Bytes of a text of whole characters; None for anything else."""
    if not forms.is_text(value):
        return None
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        return None


# Choosing the waves


def choose_waves(plan, members, groups, audience):
    peers = [member["peer"] for member in members]
    for wave in plan["waves"]:
        nodes = wave["nodes"]
        if nodes["kind"] == "group":
            demand(nodes["group"] in groups, "PLAN_INVALID")
        if nodes["kind"] == "list":
            listed = nodes["peers"]
            demand(all(peer in peers and peer in audience for peer in listed), "PLAN_INVALID")
    parts = ("sealift/wave-order/v1", plan["fleet"], plan["name"], str(plan["version"]))
    key = hashlib.sha256(forms.length_prefixed(*parts)).digest()
    inside = [member for member in members if member["peer"] in audience]
    inside.sort(key=lambda one: hmac.digest(key, one["peer"].encode(), "sha256"))
    taken, waves = set(), []
    for wave in plan["waves"]:
        named = [one["peer"] for one in inside if _is_named(wave["nodes"], one)]
        left = [peer for peer in named if peer not in taken]
        if "count" in wave:
            left = left[: wave["count"]]
        if "percent" in wave:
            left = left[: -(-len(named) * wave["percent"] // 100)]
        taken |= set(left)
        waves.append(sorted(left))
    others = sorted(one["peer"] for one in inside if one["peer"] not in taken)
    return {"waves": waves, "others": others}


def _is_named(nodes, member):
    kind = nodes["kind"]
    if kind == "list":
        return member["peer"] in nodes["peers"]
    if kind == "group":
        return nodes["group"] in member["groups"]
    if kind == "labels":
        labels = member["labels"]
        return all(labels.get(name) == text for name, text in nodes["labels"].items())
    return True


# The roster


def parse_roster(content, waves):
    """The lines of a roster, and who is in which wave."""
    demand(len(content) <= ROSTER_BYTES_MAX, "ROSTER_INVALID")
    lines = content.split(b"\n")
    demand(lines.pop() == b"" and len(lines) <= NODES_MAX, "ROSTER_INVALID")
    chosen = [[] for _ in range(waves)]
    before = ""
    for line in lines:
        match = ROSTER_LINE.fullmatch(line)
        demand(match is not None and line.isascii(), "ROSTER_INVALID")
        peer, wave = match[1].decode(), int(match[2])
        demand(fleet_page.is_peer_id(peer) and peer > before and wave < waves, "ROSTER_INVALID")
        chosen[wave].append(peer)
        before = peer
    return [line + b"\n" for line in lines], chosen


# Windows


def _is_open(window, at, zone):
    moment = datetime.datetime.fromtimestamp(at / 1_000, zone)
    minute, day = moment.hour * 60 + moment.minute, moment.isoweekday()
    begins, ends = window["from"], window["to"]
    if begins < ends:
        return day in window["days"] and begins <= minute < ends
    yesterday = 7 if day == 1 else day - 1
    return (day in window["days"] and minute >= begins) or (
        yesterday in window["days"] and minute < ends
    )


def _next_moment(window, at, zone, is_open):
    """The first moment from `at` on, minute by minute."""
    while _is_open(window, at, zone) != is_open:
        at = (at // MINUTE_MS + 1) * MINUTE_MS
    return at


# Decisions and reports


def read_decision(file, fleet, controller):
    keys = [fleet_page.peer_key(controller).hex()]
    read = envelope.read(file, keys, fleet, {"sealift:decision/v1": DECISION_FIELDS})
    demand(_is_about_a_plan(read["statement"]), "DECISION_INVALID")
    demand(_is_decision(read["statement"]["predicate"]), "DECISION_INVALID")
    return read


def _is_about_a_plan(statement):
    subjects = statement["subject"]
    match = PLAN_NAME.fullmatch(subjects[0]["name"])
    return (
        len(subjects) == 1
        and match is not None
        and forms.is_name(match["name"])
        and forms.is_integer(int(match["version"]), 1)
    )


def _is_decision(value):
    act, index, previous = (value.get(name) for name in ("act", "index", "previous"))
    own = {"start": {"roster", "access"}, "release": {"wave"}, "rollback": {"wave"}}.get(act, set())
    if act not in ("start", "release", "pause", "resume", "abort", "rollback", "complete"):
        return False
    if {"roster", "access", "wave"} & value.keys() != own or "previous" not in value:
        return False
    return (
        forms.is_integer(index, 0, DECISIONS_MAX - 1)
        and (previous is None if index == 0 else forms.is_digest(previous))
        and forms.is_integer(value.get("at"), 1)
        and forms.is_integer(value.get("wave", 0), 0, WAVES_MAX - 1)
        and forms.is_integer(value.get("access", 1), 1)
        and ("roster" not in own or _is_roster_root(value["roster"]))
        and _is_reason(value.get("reason", ""))
    )


def _is_roster_root(value):
    return (
        isinstance(value, dict)
        and forms.is_digest(value.get("root"))
        and forms.is_integer(value.get("size"), 0, NODES_MAX)
    )


def _is_reason(value):
    size = _utf8_size(value)
    return size is not None and size <= REASON_BYTES_MAX and not NOT_SHOWN.search(value)


def read_report(file, fleet, node):
    keys = [fleet_page.peer_key(node).hex()]
    read = envelope.read(file, keys, fleet, {"sealift:health-report/v1": REPORT_FIELDS})
    predicate = read["statement"]["predicate"]
    demand(_is_about_a_plan(read["statement"]), "REPORT_INVALID")
    demand(_is_report(predicate) and predicate["node"] == node, "REPORT_INVALID")
    return read


def _is_report(value):
    boot, running, outcome = (value.get(name) for name in ("boot", "running", "outcome"))
    return (
        fleet_page.is_peer_id(value.get("node"))
        and forms.is_integer(value.get("wave"), 0, WAVES_MAX)
        and forms.is_integer(value.get("attempt"), 0, DECISIONS_MAX)
        and forms.is_integer(value.get("counter"), 1)
        and forms.is_text(boot)
        and BOOT_ID.fullmatch(boot) is not None
        and forms.is_integer(value.get("at"), 1)
        and outcome in ("waiting", "healthy", "failed", "rolled-back", "staged")
        and forms.is_list(running, 0, RELEASES_MAX)
        and all(_is_running(one) for one in running)
        and _are_labels(value.get("slots"))
        and ("opensAt" not in value or outcome == "waiting")
        and forms.is_integer(value.get("opensAt", 1), 1)
        and _is_reason(value.get("reason", ""))
    )


def _is_running(value):
    if not isinstance(value, dict) or not forms.is_digest(value.get("digest")):
        return False
    try:
        release_page.parse_text_form(value.get("release"))
    except Refused:
        return False
    return True


# Following decisions

PHASES = {
    "start": ("created",),
    "release": ("running",),
    "pause": ("running",),
    "resume": ("paused",),
    "abort": ("created", "running", "paused"),
    "rollback": ("running", "paused", "aborted", "completed"),
    "complete": ("running",),
}
PHASE_AFTER = {
    "start": "running",
    "release": "running",
    "pause": "paused",
    "resume": "running",
    "abort": "aborted",
    "rollback": "aborted",
    "complete": "completed",
}
UNDECIDED = {
    "phase": "created", "count": 0, "last": None, "roster": None, "releasedAt": [], "attempt": 0,
    "resumedAt": 0, "backFrom": None,
}  # fmt: skip


def follow(view, read, plan):
    """The view after one more decision."""
    [subject] = read["statement"]["subject"]
    said = read["statement"]["predicate"]
    act, wave = said["act"], said.get("wave")
    conflict = "DECISION_CONFLICT"
    demand(subject["name"] == f"{plan['rollout']}@{plan['version']}", conflict)
    demand(subject["digest"]["sha256"] == plan["digest"], conflict)
    demand((said["index"], said["previous"]) == (view["count"], view["last"]), conflict)
    demand(said["at"] <= plan["expiresAt"] and view["phase"] in PHASES[act], conflict)
    released = len(view["releasedAt"])
    after = {**view, "phase": PHASE_AFTER[act], "count": view["count"] + 1, "last": read["digest"]}
    if act == "start":
        after["roster"] = {name: said["roster"][name] for name in ("root", "size")}
    if act == "release":
        demand(wave == released and wave < plan["waves"], conflict)
        after["releasedAt"] = [*view["releasedAt"], said["at"]]
    if act == "resume":
        after |= {"attempt": view["attempt"] + 1, "resumedAt": said["at"]}
    if act == "rollback":
        demand(wave < max(released, 1), conflict)
        after["backFrom"] = wave if view["backFrom"] is None else min(wave, view["backFrom"])
    if act == "complete":
        demand(released == plan["waves"], conflict)
    return after


# Judging


class Wave:
    """The nodes of a released wave, and how each of them stands."""

    def __init__(self, given, place):
        plan, view, now = given["plan"], given["view"], given["now"]
        reports = {report["node"]: report for report in given["reports"]}
        self.released_at = view["releasedAt"][place]
        self.size = len(given["waves"][place])
        self.healthy_at, self.deadlines = [], []
        self.failed = self.excluded = 0
        for node in given["waves"][place]:
            report = reports.get(node, {})
            outcome = report.get("outcome")
            since = max(self.released_at, view["resumedAt"], report.get("opensAt", 0))
            if outcome == "healthy":
                self.healthy_at.append(max(report["receivedAt"], self.released_at))
            elif outcome == "staged":
                self.excluded += 1
            elif outcome in ("failed", "rolled-back") and report["attempt"] >= view["attempt"]:
                self.failed += 1
            elif now < since + plan["reportDeadlineMs"]:
                self.deadlines.append(since + plan["reportDeadlineMs"])
            elif plan["silence"] == "failure":
                self.failed += 1
            else:
                self.excluded += 1
        self.counted = self.size - self.excluded

    def has_failed(self, error):
        by_share = self.failed * 100 >= error["percent"] * self.counted
        return self.failed > 0 and (by_share or self.failed >= error.get("count", NODES_MAX + 1))

    def good_since(self, success):
        share = -(-success["percent"] * self.counted // 100)
        needed = max(share, min(success["minSample"], self.size), 1)
        return sorted(self.healthy_at)[needed - 1] if len(self.healthy_at) >= needed else None


def judge(given):
    """What is decided next, and when to look again."""
    plan, released = given["plan"], len(given["view"]["releasedAt"])
    if given["view"]["phase"] != "running":
        return None, None
    if released == 0:
        return {"act": "release", "wave": 0}, None
    waves = [Wave(given, place) for place in range(released)]
    for place, wave in enumerate(waves):
        if wave.has_failed(plan["error"]):
            action = plan["error"]["action"]
            is_back = action == "abort+rollback"
            return ({"act": "rollback", "wave": place} if is_back else {"act": action}), None
    last = waves[-1]
    is_last = released == len(plan["waves"])
    following = {"act": "complete"} if is_last else {"act": "release", "wave": released}
    if last.size == 0:
        return following, None
    since = last.good_since(plan["success"])
    if since is not None:
        soaked = since + plan["waves"][released - 1]["soakMs"]
        return (following, None) if given["now"] >= soaked else (None, soaked)
    if last.deadlines:
        return None, min(last.deadlines)
    return {"act": "pause"}, None


# The vectors


def _read_of(read, known):
    """What a statement says, without what nobody knows."""
    statement = read["statement"]
    names = known - {"fleet"}
    said = {name: value for name, value in statement["predicate"].items() if name in names}
    return {"digest": read["digest"], "subject": statement["subject"], "predicate": said}


def check_plan(file, fleet, keys):
    read = read_plan(base64.b64decode(file), keys, fleet)
    out = _read_of(read, PLAN_FIELDS)
    releases = [subject["name"] for subject in out.pop("subject")]
    return {**out, "releases": releases}


def check_waves(fleet, name, version, waves, members, groups, audience=None):
    plan = {"fleet": fleet, "name": name, "version": version, "waves": waves}
    inside = [member["peer"] for member in members] if audience is None else audience
    return choose_waves(plan, members, groups, inside)


def check_roster(file, waves):
    lines, chosen = parse_roster(base64.b64decode(file), waves)
    return {"waves": chosen, "size": len(lines), "root": merkle.root(lines).hex()}


def check_place(root, size, peer, wave, index, proof):
    path = [bytes.fromhex(one) for one in proof]
    line = f"{peer} {wave}\n".encode()
    is_seat = fleet_page.is_peer_id(peer) and forms.is_integer(wave, 0, WAVES_MAX - 1)
    demand(is_seat and size <= NODES_MAX and 0 <= index < size, "ROSTER_INVALID")
    leads_to = merkle.root_from_proof(line, index, size, path)
    demand(leads_to is not None and leads_to.hex() == root, "ROSTER_INVALID")


def check_window(window, zone, at):
    clock = zoneinfo.ZoneInfo(zone)
    opens = _next_moment(window, at, clock, True)
    return {"opens": opens, "closes": _next_moment(window, opens, clock, False)}


def check_decision(file, fleet, controller):
    read = read_decision(base64.b64decode(file), fleet, controller)
    out = _read_of(read, DECISION_FIELDS)
    return {**out, "predicate": {"reason": "", **out["predicate"]}}


def check_report(file, fleet, node):
    read = read_report(base64.b64decode(file), fleet, node)
    out = _read_of(read, REPORT_FIELDS)
    return {**out, "predicate": {"reason": "", **out["predicate"]}}


def check_follow(fleet, controller, plan, decisions):
    view = UNDECIDED
    for file in decisions:
        view = follow(view, read_decision(base64.b64decode(file), fleet, controller), plan)
    return view


def check_judge(plan, view, waves, reports, now):
    given = {"plan": plan, "view": view, "waves": waves, "reports": reports, "now": now}
    act, look_at = judge(given)
    return {"act": act, "lookAt": look_at}


PROCEDURES = {
    "plan": check_plan,
    "waves": check_waves,
    "roster": check_roster,
    "place": check_place,
    "window": check_window,
    "decision": check_decision,
    "report": check_report,
    "follow": check_follow,
    "judge": check_judge,
}
