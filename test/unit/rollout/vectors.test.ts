/** The vectors of protocol/rollout.md: each through the function that the page means. */
import { describe, expect, test } from "vitest"
import { type Digest, hexOf } from "../../../src/core/digest.ts"
import type { AccessList, Group, Member } from "../../../src/fleet/access-list.ts"
import { encodeDecision, readDecision } from "../../../src/rollout/decision.ts"
import type { Plan, Wave } from "../../../src/rollout/plan.ts"
import { encodePlan, readPlan } from "../../../src/rollout/plan-statement.ts"
import { encodeReport, readReport } from "../../../src/rollout/report.ts"
import { follow, UNDECIDED } from "../../../src/rollout/rollout-view.ts"
import {
  encodeRoster,
  parseRoster,
  placeProof,
  rosterRoot,
  rosterSize,
  verifyPlace,
} from "../../../src/rollout/roster.ts"
import { rosterOf } from "../../../src/rollout/wave-choosing.ts"
import { type Findings, judge, type ReceivedReport } from "../../../src/rollout/wave-judging.ts"
import { closesAt, isOpen, nextOpening } from "../../../src/rollout/window.ts"
import { fromBase64, fromHex, testVectors, vectorsOf } from "../trust/vectors.ts"
import { OPEN_PLAN, reportOf, viewOf } from "./rollout-scene.ts"

// biome-ignore lint/suspicious/noExplicitAny: vectors hold values of many forms.
type Input = any

const each = (prefix: string, work: (input: Input) => unknown) =>
  testVectors<Input>("rollout", prefix, work)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

describe("a plan", () => {
  each("plan-", ({ file, fleet, keys }) => {
    const { said, digest } = readPlan(fromBase64(file), { fleet, keys: new Set(keys) })
    // Written again it says the same.
    const { predicate, subject } = encodePlan(said)
    return { digest: hexOf(digest), releases: subject.map(({ name }) => name), predicate }
  })
})

describe("the waves of a plan", () => {
  each("waves-", ({ fleet, name, version, waves, members, groups, audience }) => {
    const isInside = (peer: string) => audience?.includes(peer) ?? true
    const plan = { fleet, name, version, waves: waves.map(waveOf) }
    return rosterOf(plan, listOf(members, groups), isInside)
  })
})

describe("a roster", () => {
  each("roster-", ({ file, waves }) => {
    const bytes = fromBase64(file)
    const roster = parseRoster(bytes, waves)
    expect(Uint8Array.from(encodeRoster(roster))).toEqual(bytes)
    return { waves: roster.waves, size: rosterSize(roster), root: hex(rosterRoot(roster)) }
  })
})

describe("a place in a roster", () => {
  each("place-", ({ root, size, proof, ...seat }) => {
    verifyPlace(fromHex(root), size, { ...seat, proof: proof.map(fromHex) })
    return {}
  })

  test.each(["place-ok", "place-last"])("is proved as in %s", (name) => {
    const { file, waves } = vectorsOf<Input, unknown>("rollout", "roster-ok.")[0]!.input
    const { peer, wave, index, proof } = vectorsOf<Input, unknown>("rollout", name)[0]!.input
    const place = placeProof(parseRoster(fromBase64(file), waves), peer)
    expect({ ...place, proof: place?.proof.map(hex) }).toEqual({ peer, wave, index, proof })
  })
})

describe("a window", () => {
  each("window-", ({ window: { from, to, days }, zone, at }) => {
    const window = { fromMinute: from, toMinute: to, days }
    const opens = nextOpening(window, at, zone)!
    expect(isOpen(window, at, zone)).toBe(opens === at)
    return { opens, closes: closesAt(window, opens, zone) }
  })
})

describe("a decision", () => {
  each("decision-", ({ file, fleet, controller }) => {
    const { said, digest } = readDecision(fromBase64(file), { fleet, controller })
    return { digest: hexOf(digest), ...writtenAgain(encodeDecision(said)) }
  })
})

describe("a report", () => {
  each("report-", ({ file, fleet, node }) => {
    const { said, digest } = readReport(fromBase64(file), { fleet, node })
    return { digest: hexOf(digest), ...writtenAgain(encodeReport(said)) }
  })
})

describe("decisions that follow one another", () => {
  each("follow-", ({ fleet, controller, plan, decisions }) => {
    const named = { name: plan.rollout, version: plan.version, digest: digestIn(plan.digest) }
    const said = planOf({ fleet, controller, ...plan })
    const view = decisions.reduce((before: typeof UNDECIDED, file: string) => {
      const decision = readDecision(fromBase64(file), { fleet, controller })
      return follow(before, decision, { plan: said, named })
    }, UNDECIDED)
    const { phase, count, attempt, releasedAtMs, resumedAtMs } = view
    return {
      ...{ phase, count, attempt, releasedAt: releasedAtMs, resumedAt: resumedAtMs },
      last: view.last === undefined ? null : hexOf(view.last),
      roster: view.roster ? { root: hexOf(view.roster.root), size: view.roster.size } : null,
      backFrom: view.backFrom ?? null,
    }
  })
})

describe("the judging of waves", () => {
  each("judge-", ({ plan, view, waves, reports, now }) => {
    const { phase, releasedAt, attempt, resumedAt } = view
    const knows = { phase, releasedAtMs: releasedAt, attempt, resumedAtMs: resumedAt }
    const findings: Findings = {
      plan: { ...OPEN_PLAN, ...plan, waves: plan.waves.map(waveOf) },
      view: viewOf(releasedAt.length, knows),
      waves,
      reports: new Map(reports.map((one: Input) => [one.node, receivedOf(one)])),
      nowMs: now,
    }
    const { act, lookAtMs } = judge(findings)
    const { kind, ...rest } = act ?? {}
    return { act: act ? { act: kind, ...rest } : null, lookAt: lookAtMs ?? null }
  })
})

const digestIn = (text: string): Digest => `sha256:${text}`

/** Two statements are the same when they say the same; subjects have their digests in hex. */
function writtenAgain({ subject, predicate }: Input): object {
  const subjects = subject.map(({ name, digest }: Input) => {
    return { name, digest: { sha256: hexOf(digest) } }
  })
  return { subject: subjects, predicate }
}

function planOf({ fleet, controller, rollout, version, waves, expiresAt }: Input): Plan {
  const wave = (index: number) => ({ ...OPEN_PLAN.waves[0]!, name: `w-${index}` })
  const list = Array.from({ length: waves }, (_, index) => wave(index))
  const named = { fleet, controller, name: rollout, version }
  return { ...OPEN_PLAN, ...named, waves: list, expiresAtMs: expiresAt }
}

function receivedOf({ node, outcome, attempt, opensAt, receivedAt }: Input): ReceivedReport {
  const said = reportOf({ node, outcome, attempt, opensAtMs: opensAt })
  return { said, receivedAtMs: receivedAt }
}

function waveOf({ name, nodes, percent, count, soakMs }: Input): Wave {
  const amount = percent === undefined ? { kind: "count", count } : { kind: "percent", percent }
  const isWhole = percent === undefined && count === undefined
  return { name, select: nodes, amount: isWhole ? undefined : (amount as Wave["amount"]), soakMs }
}

function listOf(
  members: readonly Member[],
  groups: readonly string[],
): Pick<AccessList, "members" | "groups"> {
  const group = { epoch: 1, recipient: "", sinceMs: 1, previous: [] }
  return {
    members: new Map(members.map((one) => [one.peer, { ...one, isAnchor: false, minCounter: 0 }])),
    groups: new Map(groups.map((name): [string, Group] => [name, { name, ...group }])),
  }
}
