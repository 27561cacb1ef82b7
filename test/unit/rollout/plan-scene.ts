/** A plan for tests, and any plan. */
import fc from "fast-check"
import { digestOf } from "../../../src/core/digest.ts"
import type { Activation, NodeSelector, Plan, Probe, Wave } from "../../../src/rollout/plan.ts"
import { FLEET, NOW } from "../release/world.ts"

const PEERS = [
  "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
  "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
] as const

/** The plan of design/interface.md, of a fleet's first release. */
export const PLAN: Plan = {
  fleet: FLEET,
  name: "model-1",
  version: 1,
  channel: "default",
  createdAtMs: NOW,
  expiresAtMs: NOW + 90 * 86_400_000,
  controller: PEERS[0],
  releases: [
    {
      asset: { namespace: "acme", name: "model", sequence: 1 },
      digest: digestOf(Buffer.from("the release")),
    },
  ],
  waves: [
    {
      name: "canary",
      select: { kind: "labels", labels: { zone: "lab" } },
      amount: { kind: "percent", percent: 10 },
      soakMs: 5_000,
    },
    { name: "rest", select: { kind: "all" }, amount: undefined, soakMs: 0 },
  ],
  success: { percent: 90, minSample: 1 },
  error: { percent: 15, count: undefined, action: "pause" },
  reportDeadlineMs: 60_000,
  silence: "failure",
  window: { fromMinute: 60, toMinute: 300, days: [1, 2, 3, 4, 5, 6, 7] },
  activate: { kind: "files", path: "/srv/models/current" },
  probe: {
    check: { kind: "exec", argv: ["/usr/bin/test", "-s", `\${path}/model.safetensors`] },
    timeoutMs: 10_000,
    retries: 3,
    intervalMs: 5_000,
  },
  onNoRollback: "keep",
}

const anyName = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}$/)
const anySpan = fc.integer({ min: 1, max: 30 * 86_400_000 })
const anyPercent = fc.integer({ min: 1, max: 100 })
const anyNodes = fc.integer({ min: 1, max: 10_000 })
const anyArgv = fc
  .array(fc.constantFrom("", "-s", `\${path}/x`, "a b\nc", "ü", "$HOME"), { maxLength: 5 })
  .map((rest) => ["/usr/bin/true", ...rest])
const anyUrl = fc.constantFrom("http://127.0.0.1:8080/up", `https://a.example/r?n=\${node}`)
const anyContainer = fc.constantFrom("model", "model@1.service")

const kind = <K extends string>(one: K) => fc.constant(one)

const anyActivation: fc.Arbitrary<Activation> = fc.oneof(
  fc.record({ kind: kind("files"), path: fc.constantFrom("/srv/current", `/srv/\${node}/x`) }),
  fc.record({ kind: kind("exec"), argv: anyArgv, timeoutMs: anySpan }),
  fc.record({ kind: kind("listed"), name: anyName, timeoutMs: anySpan }),
  fc.record({
    kind: fc.constantFrom("podman" as const, "docker" as const, "containerd" as const),
    container: anyContainer,
    timeoutMs: anySpan,
  }),
  fc.record({ kind: kind("webhook"), url: anyUrl, timeoutMs: anySpan }),
)

const anyCheck: fc.Arbitrary<Probe["check"]> = fc.oneof(
  fc.record({ kind: kind("exec"), argv: anyArgv }),
  fc.record({ kind: kind("listed"), name: anyName }),
  fc.record({ kind: kind("http"), url: anyUrl }),
  fc.record({ kind: kind("container"), container: anyContainer }),
  fc.record({ kind: kind("running") }),
)

const anyProbe: fc.Arbitrary<Probe> = fc.record({
  check: anyCheck,
  timeoutMs: anySpan,
  retries: fc.integer({ min: 0, max: 100 }),
  intervalMs: fc.nat(30 * 86_400_000),
})

const anySelector: fc.Arbitrary<NodeSelector> = fc.oneof(
  fc.record({ kind: kind("all") }),
  fc.record({ kind: kind("list"), peers: fc.subarray([...PEERS], { minLength: 1 }) }),
  fc.record({ kind: kind("group"), group: anyName.filter((name) => name !== "all") }),
  fc.record({
    kind: kind("labels"),
    labels: fc.constantFrom({ zone: "lab" }, { arch: "arm64", constructor: "x" }),
  }),
)

const anyWave: fc.Arbitrary<Wave> = fc.record({
  name: anyName,
  select: anySelector,
  amount: fc.oneof(
    fc.constant(undefined),
    fc.record({ kind: kind("percent"), percent: anyPercent }),
    fc.record({ kind: kind("count"), count: anyNodes }),
  ),
  soakMs: fc.nat(30 * 86_400_000),
})

const anyRules = fc.integer({ min: 1, max: 100 }).chain((percent) =>
  fc.record({
    success: fc.record({ percent: fc.constant(percent), minSample: anyNodes }),
    error: fc.record({
      percent: fc.integer({ min: 101 - percent, max: 100 }),
      count: fc.option(anyNodes, { nil: undefined }),
      action: fc.constantFrom("pause" as const, "abort" as const, "abort+rollback" as const),
    }),
  }),
)

const anyWindow = fc.record({
  fromMinute: fc.nat(1_439),
  toMinute: fc.nat(1_439),
  days: fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
})

/** Any plan that is right. */
export const anyPlan: fc.Arbitrary<Plan> = fc
  .record({
    name: anyName,
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    channel: anyName,
    lifeMs: fc.integer({ min: 1, max: 1_096 * 86_400_000 }),
    waves: fc.uniqueArray(anyWave, { minLength: 1, maxLength: 5, selector: ({ name }) => name }),
    rules: anyRules,
    reportDeadlineMs: anySpan,
    silence: fc.constantFrom("failure" as const, "excluded" as const),
    window: fc.option(anyWindow, { nil: undefined }),
    activate: fc.option(anyActivation, { nil: undefined }),
    probe: fc.option(anyProbe, { nil: undefined }),
    onNoRollback: fc.constantFrom("keep" as const, "deactivate" as const),
  })
  .map(({ rules, lifeMs, ...rest }) => ({
    ...PLAN,
    ...rest,
    ...rules,
    expiresAtMs: NOW + lifeMs,
  }))
