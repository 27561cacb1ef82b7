/** The file of a plan: what it says, and what is told of one that is wrong. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { digestOf } from "../../../src/core/digest.ts"
import { RolloutError } from "../../../src/rollout/errors.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import type { PlanFault } from "../../../src/rollout/plan-fault.ts"
import { type PlanTerms, parsePlanFile } from "../../../src/rollout/plan-file.ts"
import { encodePlan } from "../../../src/rollout/plan-statement.ts"
import { PLAN } from "./plan-scene.ts"

const RUNS = { numRuns: process.env.SLOW === "1" ? 5_000 : 300 }
const PEER = PLAN.controller
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** The page's file (design/interface.md). */
const STORY = `
rollout: model-1
channel: default
releases: [acme/model@1]
waves:
  - { name: canary, nodes: { labels: { zone: lab }, percent: 10 }, soak: 5s }
  - { name: rest, nodes: all, soak: 0s }
success: { threshold: 90%, minSample: 1 }
error: { threshold: 15%, action: pause }
reportDeadline: 60s
window: { from: "01:00", to: "05:00", days: [mon, tue, wed, thu, fri, sat, sun] }
activate: { files: { path: /srv/models/current } }
probe: { exec: [/usr/bin/test, -s, /srv/models/current/model.safetensors], timeout: 10s, retries: 3 }
`
const LEAST = { rollout: "model-1", releases: ["acme/model@1"] }
const WAVES = [{ name: "all", nodes: "all" }]

function faultsOf(value: unknown): readonly PlanFault[] {
  return failureOf(value).details?.faults as readonly PlanFault[]
}

function failureOf(value: unknown): RolloutError {
  try {
    parsePlanFile(value)
  } catch (error) {
    if (error instanceof RolloutError && error.code === "PLAN_INVALID") return error
    throw error
  }
  throw new Error("the plan was accepted")
}

/** Gives the faults of the least plan with something more, each as a line. */
const told = (more: Record<string, unknown>) =>
  faultsOf({ ...LEAST, waves: WAVES, ...more }).map(
    ({ key, reason, hint = "" }) => `${key}: ${reason}${hint && ` (${hint})`}`,
  )

const wavesOf = (...waves: readonly unknown[]) => parsePlanFile({ ...LEAST, waves }).waves

/** Gives a plan that says what a file says. */
function planOf({ lifeMs, releases, controller, ...rest }: PlanTerms): Plan {
  const digest = digestOf(Buffer.from("the release"))
  return {
    ...rest,
    ...{ fleet: PLAN.fleet, version: 1, createdAtMs: PLAN.createdAtMs },
    expiresAtMs: PLAN.createdAtMs + lifeMs,
    controller: controller ?? PLAN.controller,
    releases: releases.map((asset) => ({ asset, digest })),
  }
}

describe("the file of a plan", () => {
  it("says what the page of the interface means", () => {
    const { check, ...probe } = PLAN.probe!
    const argv = ["/usr/bin/test", "-s", "/srv/models/current/model.safetensors"]
    expect(planOf(parsePlanFile(parse(STORY)))).toEqual({
      ...PLAN,
      probe: { ...probe, check: { ...check, argv } },
    })
  })

  it("may leave out everything but its name, its releases and its waves", () => {
    expect(parsePlanFile({ ...LEAST, waves: WAVES })).toEqual({
      name: "model-1",
      channel: "default",
      controller: undefined,
      lifeMs: 90 * DAY_MS,
      releases: [{ namespace: "acme", name: "model", sequence: 1 }],
      waves: [{ name: "all", select: { kind: "all" }, amount: undefined, soakMs: 0 }],
      success: { percent: 90, minSample: 1 },
      error: { percent: 15, count: undefined, action: "pause" },
      reportDeadlineMs: 60 * MINUTE_MS,
      silence: "failure",
      window: undefined,
      activate: undefined,
      probe: undefined,
      onNoRollback: "keep",
    })
  })

  it("selects nodes by list, group, labels or all, with a percentage or a count", () => {
    const waves = wavesOf(
      { name: "a", nodes: { list: [PEER] } },
      { name: "b", nodes: { group: "edge" }, count: 3, soak: "1h" },
      { name: "c", nodes: { labels: { arch: "arm64", __proto__x: "y" }, percent: 25 } },
      { name: "d", nodes: { all: true, percent: "50 %" }, soak: "250ms" },
      { name: "e", nodes: "all" },
    )
    expect(waves.map(({ select, amount, soakMs }) => [select, amount, soakMs])).toEqual([
      [{ kind: "list", peers: [PEER] }, undefined, 0],
      [{ kind: "group", group: "edge" }, { kind: "count", count: 3 }, 60 * MINUTE_MS],
      [
        { kind: "labels", labels: { arch: "arm64", __proto__x: "y" } },
        { kind: "percent", percent: 25 },
        0,
      ],
      [{ kind: "all" }, { kind: "percent", percent: 50 }, 250],
      [{ kind: "all" }, undefined, 0],
    ])
  })

  it("takes each kind of activation, by its value or by a table of it", () => {
    const activate = (one: unknown) =>
      parsePlanFile({ ...LEAST, waves: WAVES, activate: one }).activate
    const timeoutMs = 5 * MINUTE_MS
    expect(activate({ files: "/srv/x" })).toEqual({ kind: "files", path: "/srv/x" })
    expect(activate({ exec: ["/bin/run", "a"], timeout: "2h" })).toEqual({
      ...{ kind: "exec", argv: ["/bin/run", "a"], timeoutMs: 120 * MINUTE_MS },
    })
    expect(activate({ listed: { name: "restart" } })).toEqual({
      ...{ kind: "listed", name: "restart", timeoutMs },
    })
    for (const kind of ["podman", "docker", "containerd"]) {
      expect(activate({ [kind]: "web" })).toEqual({ kind, container: "web", timeoutMs })
      expect(activate({ [kind]: { container: "web" } })).toEqual({
        ...{ kind, container: "web", timeoutMs },
      })
    }
    const url = "https://hook.example/go"
    expect(activate({ webhook: { url } })).toEqual({ kind: "webhook", url, timeoutMs })
  })

  it("takes each kind of probe", () => {
    const probe = (one: unknown) => parsePlanFile({ ...LEAST, waves: WAVES, probe: one }).probe
    const rest = { timeoutMs: 10_000, retries: 3, intervalMs: 5_000 }
    expect(probe({ exec: ["/bin/true"] })).toEqual({
      ...{ check: { kind: "exec", argv: ["/bin/true"] }, ...rest },
    })
    expect(probe({ listed: "up" })).toEqual({ check: { kind: "listed", name: "up" }, ...rest })
    const url = "http://127.0.0.1:8080/healthz"
    expect(probe({ http: url, retries: 0, interval: "0s" })).toEqual({
      ...{ check: { kind: "http", url }, ...rest, retries: 0, intervalMs: 0 },
    })
    expect(probe({ container: "web" })).toEqual({
      ...{ check: { kind: "container", container: "web" }, ...rest },
    })
    expect(probe({ running: true })).toEqual({ check: { kind: "running" }, ...rest })
  })

  it("ends a window at midnight as at the beginning of the next day", () => {
    const window = { from: "22:00", to: "24:00", days: ["sun", "fri"] }
    expect(parsePlanFile({ ...LEAST, waves: WAVES, window }).window).toEqual({
      ...{ fromMinute: 22 * 60, toMinute: 0, days: [5, 7] },
    })
  })
})

describe("a ramp", () => {
  const shares = (ramp: unknown, more = {}) =>
    wavesOf({ name: "r", nodes: "all", ramp, ...more }).map(({ name, amount, soakMs }) => {
      const share = amount === undefined ? "all" : amount.kind === "percent" && amount.percent
      return `${name} ${share} ${soakMs / 1000}s`
    })

  it("becomes waves that grow until the rest is less than the next one", () => {
    expect(shares({ start: "5%", factor: 2, soak: "10m" })).toEqual([
      ...["r-1 5 600s", "r-2 10 600s", "r-3 20 600s", "r-4 40 600s", "r-5 all 600s"],
    ])
  })

  it("doubles by default, and its last wave has the soak of the whole", () => {
    expect(shares({ start: 30 }, { soak: "1m" })).toEqual(["r-1 30 0s", "r-2 60 0s", "r-3 all 60s"])
  })

  it("of everybody at once is one wave", () => {
    expect(shares({ start: "100%" })).toEqual(["r-1 all 0s"])
  })

  it("grows by fractions too, and is refused when it makes too many waves", () => {
    expect(shares({ start: 20, factor: 1.5 })).toEqual([
      ...["r-1 20 0s", "r-2 30 0s", "r-3 45 0s", "r-4 all 0s"],
    ])
    expect(told({ waves: [{ name: "r", nodes: "all", ramp: { start: 1, factor: 1 } }] })).toEqual([
      "waves[0].ramp: too many",
    ])
  })

  it("stands beside no percentage or count", () => {
    const wave = { name: "r", nodes: { all: true, count: 4 }, ramp: { start: 5 } }
    expect(told({ waves: [wave] })).toEqual(["waves[0].ramp: it stands beside a count"])
  })
})

describe("what is told of a plan that is wrong", () => {
  it("is one line of the first fault, what is allowed and what was meant, and where the others are", () => {
    const { message, details } = failureOf({ ...LEAST, wavs: WAVES, error: { action: "pauze" } })
    expect(message).toBe(
      "cannot use the plan: wavs: no such key; allowed: rollout, channel, controller, expires, " +
        "releases, waves, success, error, reportDeadline, silence, window, activate, probe, " +
        "onNoRollback; did you mean waves? (and 2 more faults: waves, error.action)",
    )
    expect(details).toEqual({
      count: 3,
      faults: [
        expect.objectContaining({ key: "wavs", hint: "did you mean waves?" }),
        { key: "waves", reason: "missing", allowed: "a list of 1 to 64 waves" },
        {
          key: "error.action",
          reason: '"pauze" is not allowed',
          allowed: "pause, abort, abort+rollback",
          hint: "did you mean pause?",
        },
      ],
    })
  })

  it.each([
    ["rollout", "Model-1", '"Model-1" is not allowed (did you mean model-1?)'],
    ["rollout", null, "null is not allowed"],
    ["channel", "", '"" is not allowed'],
    ["controller", "12D3KooW", '"12D3KooW" is not allowed'],
    ["expires", "1097d", '"1097d" is not allowed'],
    ["expires", "0s", '"0s" is not allowed'],
    ["releases", [], "a list of 0"],
    ["releases", "acme/model@1", '"acme/model@1" is not allowed'],
    ["waves", {}, "a table is not allowed"],
    ["reportDeadline", 60, "60 is not allowed (did you mean 60s?)"],
    ["reportDeadline", "31d", '"31d" is not allowed'],
    ["reportDeadline", "5 minutes", '"5 minutes" is not allowed'],
    ["silence", "fail", '"fail" is not allowed'],
    ["silence", "Failure", '"Failure" is not allowed (did you mean failure?)'],
    ["onNoRollback", true, "true is not allowed"],
    ["window", [], "a list is not allowed"],
  ])("%s: %j", (key, value, text) => {
    expect(told({ [key]: value })).toEqual([`${key}: ${text}`])
  })

  it.each([
    [{ releases: ["acme/model"] }, 'releases[0]: "acme/model" is not allowed', "follows an @"],
    [{ releases: ["acme/m@1", "acme/m@2"] }, "releases: two of acme/m", ""],
    [{ success: { threshold: 0.9 } }, "success.threshold: 0.9 is not allowed", "90%"],
    [{ success: { treshold: "90%" } }, "success.treshold: no such key", "threshold"],
    [{ success: { minsample: 2 } }, "success.minsample: no such key", "minSample"],
    [{ error: { threshold: "101%" } }, 'error.threshold: "101%" is not allowed', ""],
    [{ window: { from: "1:00", to: "05:00" } }, 'window.from: "1:00" is not allowed', ""],
    [{ window: { from: "24:00", to: "05:00" } }, 'window.from: "24:00" is not allowed', ""],
    [
      { window: { from: "01:00", to: "05:00", days: ["Monday"] } },
      'window.days[0]: "Monday" is not allowed',
      "did you mean mon?",
    ],
    [
      { window: { from: "01:00", to: "05:00", days: ["mon", "mon"] } },
      "window.days: one stands twice",
      "",
    ],
    [{ activate: {} }, "activate: it says none", ""],
    [{ activate: { files: "/a", exec: ["/b"] } }, "activate.exec: it stands beside files", ""],
    [{ activate: { files: "/a", timeout: "5s" } }, "activate.timeout: a link has none", ""],
    [{ activate: { files: "/a/../b" } }, 'activate.files: "/a/../b" is not allowed', ""],
    [
      { activate: { exec: ["systemctl", "restart"] } },
      'activate.exec[0]: "systemctl" is not allowed',
      "",
    ],
    [
      { activate: { files: `/srv/\${nodes}` } },
      `activate.files: "/srv/\${nodes}" is not allowed`,
      `\${nodes} is none of \${node}, \${release}, \${path}`,
    ],
    [{ activate: { exec: ["/bin/true", "a\0b"] } }, "activate.exec[1]: ", ""],
    [{ activate: { exec: "/bin/true" } }, 'activate.exec: "/bin/true" is not allowed', ""],
    [{ activate: { pod: "web" } }, "activate.pod: no such key", ""],
    [
      { activate: { webhook: "https://u:p@a.example/" } },
      'activate.webhook: "https://…@a.example/" is not allowed',
      "",
    ],
    [
      { activate: { webhook: `https://\${node}.example/` } },
      `activate.webhook: "https://\${node}.example/" is not allowed`,
      "",
    ],
    [{ probe: { exec: ["/a"], retries: 101 } }, "probe.retries: 101 is not allowed", ""],
    [{ probe: { running: false } }, "probe.running: false is not allowed", ""],
    [{ probe: { http: "ftp://a.example/" } }, 'probe.http: "ftp://a.example/" is not allowed', ""],
  ])("%j", (more, text, hint) => {
    const lines = told(more)
    expect(lines[0]).toContain(text)
    expect(lines[0]).toContain(hint)
  })

  it.each([
    [{ nodes: "all" }, "waves[0].name: missing"],
    [{ name: "a" }, "waves[0].nodes: missing"],
    [{ name: "a", nodes: "everybody" }, 'waves[0].nodes: "everybody" is not allowed'],
    [{ name: "a", nodes: {} }, "waves[0].nodes: it says none"],
    [{ name: "a", nodes: { all: false } }, "waves[0].nodes.all: false is not allowed"],
    [{ name: "a", nodes: { group: "all" } }, 'waves[0].nodes.group: "all" is not allowed'],
    [{ name: "a", nodes: { list: ["x"] } }, 'waves[0].nodes.list[0]: "x" is not allowed'],
    [{ name: "a", nodes: { list: [PEER, PEER] } }, `waves[0].nodes.list: ${PEER} stands twice`],
    [{ name: "a", nodes: { labels: {} } }, "waves[0].nodes.labels: a table of 0"],
    [{ name: "a", nodes: { labels: { "a b": "c" } } }, 'waves[0].nodes.labels."a b": no label'],
    [{ name: "a", nodes: { labels: { zone: 1 } } }, "waves[0].nodes.labels.zone: 1 is not allowed"],
    [{ name: "a", nodes: { group: "e", percent: 5 }, count: 5 }, "waves[0].count: waves[0].nodes"],
    [{ name: "a", nodes: "all", percent: 0 }, "waves[0].percent: 0 is not allowed"],
    [{ name: "a", nodes: "all", count: 1.5 }, "waves[0].count: 1.5 is not allowed"],
    [{ name: "a", nodes: "all", soak: -1 }, "waves[0].soak: -1 is not allowed"],
    [{ name: "a", nodes: "all", sok: "5s" }, "waves[0].sok: no such key (did you mean soak?)"],
    [{ name: "a".repeat(64), nodes: "all", ramp: { start: 5 } }, "waves[0].ramp: the names"],
  ])("of a wave: %j", (wave, text) => {
    expect(told({ waves: [wave] })[0]).toContain(text)
  })

  it("names waves of one name, made by a ramp too", () => {
    const ramp = { name: "a", nodes: "all", ramp: { start: 50 } }
    expect(told({ waves: [ramp, { name: "a-2", nodes: "all" }] })).toEqual([
      "waves: two are called a-2",
    ])
  })

  it("says by how much two thresholds are too low, a default among them", () => {
    expect(told({ success: { threshold: "80%" } })).toEqual([
      "error.threshold: 15%: with success.threshold, 80%, it makes 95%",
    ])
    const [fault] = faultsOf({ ...LEAST, waves: WAVES, success: { threshold: "80%" } })
    expect(fault!.allowed).toContain("at least 21%")
    const error = { threshold: "21%" }
    expect(parsePlanFile({ ...LEAST, waves: WAVES, success: { threshold: "80%" }, error })).toEqual(
      expect.objectContaining({ error: { percent: 21, count: undefined, action: "pause" } }),
    )
  })

  it("is at most twenty faults, with the number of all", () => {
    const waves = Array.from({ length: 30 }, () => ({ name: 1, nodes: "all" }))
    const { details } = failureOf({ ...LEAST, waves })
    expect(details!.faults).toHaveLength(20)
    expect(details!.count).toBe(30)
  })

  it("cuts long values", () => {
    const [line] = told({ channel: "A".repeat(1_000) })
    expect(line).toBe(`channel: "${"A".repeat(60)}"… is not allowed`)
  })
})

describe("any value", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
  } as fc.ObjectConstraints)
  /** What makes plans, so that more than their outermost key is looked at. */
  const bits = fc.oneof(
    anything,
    fc.constantFrom("all", "5s", "90%", "a", "/a", "01:00", "acme/model@1", PEER, true, 5, null),
    fc.constantFrom<unknown>({ start: 5 }, { path: "/a" }, ["/bin/true"], { all: true }, ["mon"]),
  )

  function check(value: unknown): void {
    let terms: PlanTerms
    try {
      terms = parsePlanFile(value)
    } catch (error) {
      expect(error).toBeInstanceOf(RolloutError)
      expect(error).toMatchObject({ code: "PLAN_INVALID" })
      const { details } = error as RolloutError
      expect(JSON.parse(JSON.stringify(details))).toEqual(details)
      return
    }
    // What a file may say can be signed.
    encodePlan(planOf(terms))
  }

  it("is a plan, or refused as none", () => {
    fc.assert(fc.property(anything, check), RUNS)
  })

  it("in the place of any other is a plan, or refused as none", () => {
    const story: unknown = parse(STORY)
    const ramp = { name: "r", nodes: { list: [PEER] }, ramp: { start: 5, factor: 3, soak: "1s" } }
    const plan = {
      ...(story as object),
      waves: [...(story as typeof LEAST & { waves: [] }).waves, ramp],
    }
    const paths = pathsOf(plan)
    fc.assert(
      fc.property(fc.constantFrom(...paths), bits, (path, value) => {
        check(replaced(plan, path, value))
      }),
      RUNS,
    )
  })

  it("under any key beside the others makes a plan, or one that is refused", () => {
    fc.assert(
      fc.property(fc.string(), anything, (key, value) => {
        check(Object.fromEntries([...Object.entries(LEAST), ["waves", WAVES], [key, value]]))
      }),
      RUNS,
    )
  })
})

function pathsOf(value: unknown, path: readonly string[] = []): readonly string[][] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => [
    [...path, key],
    ...pathsOf(inner, [...path, key]),
  ])
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by
  const copy = structuredClone(value) as Record<string, unknown>
  copy[key] = replaced(copy[key], rest, by)
  return copy
}
