/** Cases of plans, for ../rollout-vectors.ts. */
import {
  type Case,
  CREATED,
  DAY,
  type Fields,
  FLEET,
  hash,
  OTHER_FLEET,
  PEERS,
  STRANGER,
} from "../release-vectors/scene.ts"
import { keyOf } from "../trust-vectors/keys.ts"
import { type Change, type Key, StatementCases, without } from "./statement-case.ts"

export const PLANNER: Key = keyOf("planner")
const LIFE_MAX = 1_096 * DAY
const SPAN_MAX = 30 * DAY

const ARGV = ["/usr/bin/test", "-s", "/srv/models/current/model.safetensors"]
/** The plan of the page's example. */
export const PLAN: Fields = {
  fleet: FLEET,
  rollout: "model-1",
  version: 1,
  channel: "default",
  createdAt: CREATED,
  expiresAt: CREATED + 90 * DAY,
  controller: PEERS[0],
  waves: [
    {
      name: "canary",
      nodes: { kind: "labels", labels: { zone: "lab" } },
      percent: 10,
      soakMs: 5_000,
    },
    { name: "rest", nodes: { kind: "all" }, soakMs: 0 },
  ],
  success: { percent: 90, minSample: 1 },
  error: { percent: 15, action: "pause" },
  reportDeadlineMs: 60_000,
  silence: "failure",
  window: { from: 60, to: 300, days: [1, 2, 3, 4, 5, 6, 7] },
  activate: { kind: "files", path: "/srv/models/current" },
  probe: { kind: "exec", argv: ARGV, timeoutMs: 10_000, retries: 3, intervalMs: 5_000 },
  onNoRollback: "keep",
}
const SUBJECT: readonly Fields[] = [
  { name: "acme/model@1", digest: { sha256: hash("the release") } },
]
const subjects = (...names: readonly string[]) =>
  names.map((name) => ({ name, digest: { sha256: hash(`release ${name}`) } }))

const plans = new StatementCases({
  ...{ prefix: "plan", kind: "sealift:plan/v1", invalid: "PLAN_INVALID" },
  subject: SUBJECT,
  signer: PLANNER,
  told: { fleet: FLEET, keys: [PLANNER.text] },
  outputOf: (predicate, subject) => ({ releases: subject.map(({ name }) => name), predicate }),
})

const wave = (fields: Fields) => (plan: Fields) => {
  plan.waves = [{ name: "one", nodes: { kind: "all" }, soakMs: 0, ...fields }]
}
const nodes = (fields: Fields) => wave({ nodes: fields })
const set = (name: string, value: unknown) => (plan: Fields) => {
  plan[name] = value
}
const within = (name: string, fields: Fields) => (plan: Fields) => {
  Object.assign(plan[name], fields)
}
const probe = (fields: Fields) =>
  set("probe", { timeoutMs: 1, retries: 0, intervalMs: 0, ...fields })
const activate = (fields: Fields) => set("activate", { timeoutMs: 1, ...fields })

const RIGHT: readonly Change[] = [
  ["ok", "The page's example.", () => {}],
  ["no-window", "At any time.", without("window")],
  ["no-activation", "The releases are opened, and nothing more.", without("activate")],
  ["no-probe", "What was activated counts as healthy.", without("probe")],
  ["all-week-night", "A window over midnight.", within("window", { from: 1_320, to: 360 })],
  ["window-whole-day", "A window that ends when it begins.", within("window", { from: 0, to: 0 })],
  ["list", "Nodes by their peer ids.", nodes({ kind: "list", peers: PEERS })],
  ["group", "Nodes of a group.", nodes({ kind: "group", group: "edge" })],
  ["count", "A number of nodes.", wave({ count: 10_000 })],
  ["percent-100", "Everybody whom it names.", wave({ percent: 100 })],
  ["error-count", "Failures by number as well.", within("error", { count: 3 })],
  ["abort", "Whatever fails ends it.", within("error", { action: "abort" })],
  ["rollback", "Whatever fails takes it back.", within("error", { action: "abort+rollback" })],
  ["excluded", "Who is silent does not count.", set("silence", "excluded")],
  ["deactivate", "Who has nothing to go back to runs nothing.", set("onNoRollback", "deactivate")],
  [
    "sum-101",
    "The lowest sum of both thresholds.",
    (plan) => {
      plan.success.percent = 60
      plan.error.percent = 41
    },
  ],
  ["longest-life", "It ends after 1,096 days.", set("expiresAt", CREATED + LIFE_MAX)],
  ["longest-soak", "A soak of thirty days.", wave({ soakMs: SPAN_MAX })],
  [
    "exec",
    "A program with arguments, filled in on the node.",
    activate({
      kind: "exec",
      argv: ["/usr/bin/load", `--node=\${node}`, `\${release}`, `\${path}`, ""],
    }),
  ],
  [
    "exec-other-holes",
    "What nobody fills in stays, for the program.",
    activate({ kind: "exec", argv: ["/bin/sh", "-c", `x=\${HOME:-/}; echo "$x" \${node`] }),
  ],
  ["listed", "A program that the node names.", activate({ kind: "listed", name: "restart" })],
  ["podman", "A container.", activate({ kind: "podman", container: "web" })],
  ["docker", "A container.", activate({ kind: "docker", container: "web_2" })],
  ["containerd", "A unit.", activate({ kind: "containerd", container: "web@1.service" })],
  [
    "webhook",
    "A POST.",
    activate({ kind: "webhook", url: `https://hook.example:8443/x?n=\${node}` }),
  ],
  [
    "files-filled",
    "A path with something filled in.",
    set("activate", { kind: "files", path: `/srv/\${release}/current` }),
  ],
  ["probe-http", "A GET.", probe({ kind: "http", url: "http://127.0.0.1:8080/healthz" })],
  ["probe-listed", "A program that the node names.", probe({ kind: "listed", name: "check" })],
  ["probe-container", "A container's own health.", probe({ kind: "container", container: "web" })],
  ["probe-running", "That it runs.", probe({ kind: "running" })],
  ["probe-retries", "As many tries as there may be.", probe({ kind: "running", retries: 100 })],
  ["unknown-field", "A field that nobody knows is ignored.", set("note", "x")],
  ["critical-known", "A critical field that is known.", set("critical", ["window"])],
]

const WRONG: readonly Change[] = [
  ["rollout-missing", "It has no name.", without("rollout")],
  ["rollout-name", "A name with a slash.", set("rollout", "model/1")],
  ["rollout-long", "A name of 65 characters.", set("rollout", "a".repeat(65))],
  ["version-0", "Versions begin at 1.", set("version", 0)],
  ["version-text", "A version as text.", set("version", "1")],
  ["channel-upper", "A channel in upper case.", set("channel", "Default")],
  ["ends-at-once", "It ends when it begins.", set("expiresAt", CREATED)],
  ["life-long", "It ends after more than 1,096 days.", set("expiresAt", CREATED + LIFE_MAX + 1)],
  ["controller", "A controller that is no peer.", set("controller", "12D3KooW")],
  ["controller-missing", "Nobody decides.", without("controller")],
  ["waves-0", "No wave.", set("waves", [])],
  [
    "waves-65",
    "More waves than there may be.",
    set(
      "waves",
      Array.from({ length: 65 }, (_, at) => ({
        name: `w-${at}`,
        nodes: { kind: "all" },
        soakMs: 0,
      })),
    ),
  ],
  ["waves-object", "Waves that are no list.", set("waves", {})],
  [
    "wave-twice",
    "Two waves of one name.",
    (plan) => {
      plan.waves[1].name = "canary"
    },
  ],
  ["wave-name", "A wave's name with a space.", wave({ name: "the rest" })],
  ["wave-nodes-text", "Nodes as a text.", wave({ nodes: "all" })],
  ["wave-soak-negative", "A soak below zero.", wave({ soakMs: -1 })],
  ["wave-soak-long", "A soak of more than thirty days.", wave({ soakMs: SPAN_MAX + 1 })],
  [
    "wave-soak-missing",
    "No soak is said.",
    (plan) => {
      delete plan.waves[1].soakMs
    },
  ],
  ["wave-two-amounts", "A percentage and a count.", wave({ percent: 10, count: 10 })],
  ["percent-0", "Nobody.", wave({ percent: 0 })],
  ["percent-101", "More than all.", wave({ percent: 101 })],
  ["percent-text", "A percentage as text.", wave({ percent: "10%" })],
  ["count-0", "No node.", wave({ count: 0 })],
  ["count-10001", "More nodes than a fleet has.", wave({ count: 10_001 })],
  ["nodes-kind", "A selector that nobody knows.", nodes({ kind: "zone", zone: "lab" })],
  ["list-empty", "A list of nobody.", nodes({ kind: "list", peers: [] })],
  ["list-twice", "A node twice.", nodes({ kind: "list", peers: [PEERS[0], PEERS[0]] })],
  ["list-peer", "One that is no peer id.", nodes({ kind: "list", peers: [`${PEERS[0]}x`] })],
  ["group-all", "No group is called all.", nodes({ kind: "group", group: "all" })],
  ["group-missing", "A group without its name.", nodes({ kind: "group" })],
  ["labels-empty", "Labels that everybody has.", nodes({ kind: "labels", labels: {} })],
  [
    "labels-17",
    "More labels than a node has.",
    nodes({
      kind: "labels",
      labels: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`l${at}`, "x"])),
    }),
  ],
  ["labels-number", "A label that is a number.", nodes({ kind: "labels", labels: { zone: 1 } })],
  [
    "labels-space",
    "A label's key with a space.",
    nodes({ kind: "labels", labels: { "a b": "c" } }),
  ],
  ["success-missing", "No rule of success.", without("success")],
  ["success-0", "Good without anybody.", within("success", { percent: 0 })],
  ["success-sample-0", "Judged by nobody.", within("success", { minSample: 0 })],
  ["error-missing", "No rule of failure.", without("error")],
  ["error-count-0", "Stopped by nobody.", within("error", { count: 0 })],
  ["error-action", "An action that nobody knows.", within("error", { action: "rollback" })],
  ["sum-100", "A wave could be good and bad at once.", within("error", { percent: 10 })],
  ["deadline-0", "No time to report.", set("reportDeadlineMs", 0)],
  ["deadline-long", "More than thirty days to report.", set("reportDeadlineMs", SPAN_MAX + 1)],
  ["silence", "Silence that counts as success.", set("silence", "success")],
  ["window-null", "A window that is null.", set("window", null)],
  ["window-from", "A minute that no day has.", within("window", { from: 1_440 })],
  ["window-to", "A minute that no day has.", within("window", { to: 1_440 })],
  ["window-text", "A time of day as text.", within("window", { from: "01:00" })],
  ["window-no-day", "A window on no day.", within("window", { days: [] })],
  ["window-day-0", "Days begin at 1.", within("window", { days: [0] })],
  ["window-day-8", "Weeks have seven days.", within("window", { days: [8] })],
  ["window-day-twice", "A day twice.", within("window", { days: [1, 1] })],
  ["window-day-order", "Days out of order.", within("window", { days: [2, 1] })],
  ["activate-kind", "An activation that nobody knows.", activate({ kind: "shell", command: "x" })],
  ["activate-null", "An activation that is null.", set("activate", null)],
  [
    "files-relative",
    "A path that depends on the folder.",
    set("activate", { kind: "files", path: "models/current" }),
  ],
  ["files-parent", "A path that goes up.", set("activate", { kind: "files", path: "/srv/../etc" })],
  [
    "files-slash",
    "A path that ends in a slash.",
    set("activate", { kind: "files", path: "/srv/" }),
  ],
  [
    "files-double",
    "A path with an empty part.",
    set("activate", { kind: "files", path: "/srv//x" }),
  ],
  ["files-root", "The root.", set("activate", { kind: "files", path: "/" })],
  [
    "files-control",
    "A path with a line end.",
    set("activate", { kind: "files", path: "/srv/x\n" }),
  ],
  [
    "files-long",
    "A path of more than 1,024 bytes.",
    set("activate", { kind: "files", path: `/${"a".repeat(1_024)}` }),
  ],
  [
    "files-unknown-hole",
    "Something is filled in that nobody knows.",
    set("activate", { kind: "files", path: `/srv/\${HOME}` }),
  ],
  ["exec-empty", "No program.", activate({ kind: "exec", argv: [] })],
  ["exec-relative", "A program that is looked for.", activate({ kind: "exec", argv: ["load"] })],
  [
    "exec-filled",
    "A program whose name is filled in.",
    activate({ kind: "exec", argv: [`/usr/bin/\${release}`] }),
  ],
  [
    "exec-65",
    "More words than there may be.",
    activate({ kind: "exec", argv: ["/bin/x", ...Array.from({ length: 64 }, () => "y")] }),
  ],
  [
    "exec-null",
    "An argument with a zero byte.",
    activate({ kind: "exec", argv: ["/bin/x", "a\0b"] }),
  ],
  [
    "exec-long",
    "An argument of more than 4,096 bytes.",
    activate({ kind: "exec", argv: ["/bin/x", "y".repeat(4_097)] }),
  ],
  [
    "exec-no-timeout",
    "A program without an end.",
    set("activate", { kind: "exec", argv: ["/bin/x"] }),
  ],
  [
    "exec-timeout-0",
    "A program that has no time.",
    activate({ kind: "exec", argv: ["/bin/x"], timeoutMs: 0 }),
  ],
  ["listed-name", "A listed program with a slash.", activate({ kind: "listed", name: "bin/x" })],
  [
    "container-dash",
    "A container that would be an option.",
    activate({ kind: "podman", container: "-v" }),
  ],
  [
    "container-long",
    "A container's name of 129 characters.",
    activate({ kind: "docker", container: "a".repeat(129) }),
  ],
  ["webhook-scheme", "Another scheme.", activate({ kind: "webhook", url: "file:///etc/passwd" })],
  [
    "webhook-password",
    "A URL with a password.",
    activate({ kind: "webhook", url: "https://a:b@hook.example/" }),
  ],
  [
    "webhook-fragment",
    "A URL with a fragment.",
    activate({ kind: "webhook", url: "https://hook.example/#x" }),
  ],
  [
    "webhook-host",
    "A host that is filled in.",
    activate({ kind: "webhook", url: `https://\${node}.example/` }),
  ],
  [
    "webhook-long",
    "A URL of more than 2,048 bytes.",
    activate({ kind: "webhook", url: `https://hook.example/${"a".repeat(2_048)}` }),
  ],
  ["probe-kind", "A probe that nobody knows.", probe({ kind: "tcp", port: 80 })],
  ["probe-retries-101", "More tries than there may be.", probe({ kind: "running", retries: 101 })],
  [
    "probe-no-interval",
    "No time between tries is said.",
    set("probe", { kind: "running", timeoutMs: 1, retries: 0 }),
  ],
  ["no-rollback", "What nobody knows of going back.", set("onNoRollback", "stop")],
]

export function planCases(): readonly Case[] {
  const many = Array.from({ length: 17 }, (_, at) => `acme/model-${at}@1`)
  return [
    ...plans.right(PLAN, RIGHT),
    plans.ok("releases", "Several releases, in their order.", PLAN, {
      subject: subjects("acme/model@3", "acme/tools/run@7", "base/os@1"),
    }),
    ...plans.broken(PLAN, WRONG),
    plans.wrong("subject-17", "More releases than there may be.", PLAN, {
      subject: subjects(...many),
    }),
    plans.wrong("subject-name", "A subject that is no release.", PLAN, {
      subject: subjects("model-1@1"),
    }),
    plans.wrong("subject-zero", "A sequence with a zero before it.", PLAN, {
      subject: subjects("acme/model@01"),
    }),
    plans.wrong("subject-asset-twice", "Two releases of one asset.", PLAN, {
      subject: subjects("acme/model@1", "acme/model@2"),
    }),
    plans.refused("subject-0", "No release.", "STATEMENT_MALFORMED", [PLAN, { subject: [] }]),
    plans.refused("fleet", "Another fleet.", "FLEET_WRONG", [{ ...PLAN, fleet: OTHER_FLEET }]),
    plans.refused("kind", "Another kind of statement.", "KIND_WRONG", [
      PLAN,
      { kind: "sealift:decision/v1" },
    ]),
    plans.refused("unsigned", "Signed by nobody who may.", "SIGNATURE_MISSING", [
      PLAN,
      { signers: [STRANGER] },
    ]),
    plans.refused("critical", "A critical field that nobody knows.", "CRITICAL_UNKNOWN", [
      { ...PLAN, approvals: 2, critical: ["approvals"] },
    ]),
  ]
}
