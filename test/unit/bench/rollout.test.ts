/** What the logs of a rollout say, of logs that are written by hand. */
import { describe, expect, test } from "vitest"
import { type Evidence, evidenceOf } from "../../../bench/rollout/evidence.ts"
import type { NodeLogs } from "../../../bench/rollout/fleet.ts"
import type { LoggedEvent } from "../../../src/audit/event.ts"

const ROLLOUT = "model@1"
const DIGESTS = ["sha256:base", "sha256:model"]
const EXPECTED = {
  rollout: ROLLOUT,
  digests: DIGESTS,
  waves: [
    { nodes: ["a"], soakMs: 1_000 },
    { nodes: ["b"], soakMs: 0 },
  ],
}

type Fact = readonly [atMs: number, event: string, facts: LoggedEvent["facts"]]

function logOf(peer: string, facts: readonly Fact[]): NodeLogs {
  const events = facts.map(([atMs, event, more], index) => {
    return { index, atMs, event, facts: { rollout: ROLLOUT, ...more } }
  })
  return { peer, events }
}

const decided = (atMs: number, act: string, wave = 0): Fact => [
  atMs,
  "rollout.decided",
  { act, wave },
]

const stepped = (atMs: number, step: string, index = 0): Fact => [
  atMs,
  "rollout.stepped",
  { step, index },
]

/** A node that hears of its wave, opens 100 ms later and is healthy 200 ms later. */
function nodeOf(wave: number, toldAtMs: number): Fact[] {
  return [
    stepped(100, "staged"),
    decided(toldAtMs, "release", wave),
    ...DIGESTS.map((digest): Fact => [toldAtMs + 90, "release.opened", { digest }]),
    stepped(toldAtMs + 100, "opened"),
    stepped(toldAtMs + 110, "activating"),
    stepped(toldAtMs + 120, "probing"),
    stepped(toldAtMs + 130, "activating", 1),
    stepped(toldAtMs + 140, "probing", 1),
    stepped(toldAtMs + 200, "healthy", 1),
  ]
}

const CONTROLLER: readonly Fact[] = [
  [0, "rollout.planned", {}],
  decided(150, "start"),
  decided(200, "release", 0),
  decided(1_500, "release", 1),
  decided(1_800, "complete"),
]

function readOf(change: {
  readonly controller?: readonly Fact[]
  readonly a?: readonly Fact[]
  readonly b?: readonly Fact[]
}): Evidence {
  const { controller = CONTROLLER, a = nodeOf(0, 250), b = nodeOf(1, 1_550) } = change
  return evidenceOf(EXPECTED, logOf("c", controller), [logOf("a", a), logOf("b", b)])
}

describe("the logs of a rollout", () => {
  test("say how long each wave took beside its soak and its slowest node", () => {
    expect(readOf({})).toEqual({
      stagingMs: 100,
      totalMs: 1_800,
      boundMs: 100 + 1_200 + 200 + 4_000,
      waves: [
        { tookMs: 1_300, soakMs: 1_000, slowestMs: 200, overheadMs: 100 },
        { tookMs: 300, soakMs: 0, slowestMs: 200, overheadMs: 100 },
      ],
      toldMs: [50, 50],
      openedMs: [100, 100],
      activatedMs: [100, 100],
      faults: [],
    })
  })

  test("tell of a node that opened before its wave", () => {
    const { faults } = readOf({ b: nodeOf(1, 1_400) })
    expect(faults).toEqual(["b opened before wave 1 was released"])
  })

  test("tell of a wave that began before the last one had stood for its soak", () => {
    const early = CONTROLLER.with(3, decided(1_300, "release", 1))
    const { faults } = readOf({ controller: early, b: nodeOf(1, 1_350) })
    expect(faults).toEqual(["wave 1 began before the last one stood"])
  })

  test("tell of a release that ran before the one that it requires", () => {
    const { faults } = readOf({ b: nodeOf(1, 1_550).toSpliced(5, 2) })
    expect(faults).toEqual(["b went staged 0, opened 0, activating 1, probing 1, healthy 1"])
  })

  test("tell of a wave that took too long", () => {
    const late = CONTROLLER.with(4, decided(9_000, "complete"))
    const { faults } = readOf({ controller: late })
    expect(faults).toEqual(["wave 1 took 7300 ms more", "it took 9000 ms, and may 5500"])
  })

  test("are of no use when they lack what every run has", () => {
    expect(() => readOf({ controller: CONTROLLER.slice(0, 4) })).toThrow(
      "the log of c lacks its end",
    )
  })
})
