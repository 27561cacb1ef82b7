/**
 * A rollout of many nodes as it is seeded: who is in which wave, who is away, whom the release does not
 * suit, and how long each takes; and, by a calculation of its own, what has to be decided then.
 * @module
 */
import type { ActKind } from "../../src/rollout/decision.ts"
import { seededRandom } from "../../test/unit/swarm/seeded-random.ts"

/** What a story is made of; shares are 0 … 1. */
export interface StoryTerms {
  readonly nodes: number
  readonly seed: number
  readonly offlineShare: number
  readonly failingShare: number
  /** The same of waves from this one on, where the release is a bad one for their kind of machine. */
  readonly bad?: { readonly fromWave: number; readonly failingShare: number }
}

/** A node of the story. */
export interface SeededNode {
  readonly wave: number
  /** It is never there: nobody hears of it. */
  readonly isOffline: boolean
  /** Its probe finds the release unwell. */
  readonly isFailing: boolean
  /** From its being activated to the probe's word, milliseconds. */
  readonly durationMs: number
}

/** What is decided, as far as it can be known beforehand. */
export interface ExpectedAct {
  readonly act: ActKind
  readonly wave?: number
  /** Least time since the decision before, milliseconds: nodes take as long, or a wave soaks. */
  readonly sinceMs: number
}

/** Shares of the nodes in each wave; the last one has whoever is left. */
export const WAVE_SHARES: readonly number[] = [0.01, 0.04, 0.15, 0.3, 0.5]
export const SOAK_MS = 10_000
/** Percent of a wave. */
export const SUCCESS_PERCENT = 80
export const ERROR_PERCENT = 30
export const REPORT_DEADLINE_MS = 120_000
const DURATION_MS_MIN = 100
const DURATION_MS_MAX = 8_000

/** Gives the nodes of a story: the same for the same seed. Each wave has its share of either kind. */
export function seededNodes(terms: StoryTerms): SeededNode[] {
  const random = seededRandom(terms.seed)
  const sizes = sizesOf(terms.nodes)
  return sizes.flatMap((size, wave) => {
    const { offlineShare, bad } = terms
    const isBad = bad !== undefined && wave >= bad.fromWave
    const failingShare = isBad ? bad.failingShare : terms.failingShare
    const offlineCount = Math.round(size * offlineShare)
    const failingCount = Math.round(size * failingShare)
    return shuffled(size, random).map((place) => ({
      wave,
      isOffline: place < offlineCount,
      isFailing: place >= offlineCount && place < offlineCount + failingCount,
      durationMs: Math.round(DURATION_MS_MIN + random() * (DURATION_MS_MAX - DURATION_MS_MIN)),
    }))
  })
}

function sizesOf(nodes: number): readonly number[] {
  const ahead = WAVE_SHARES.slice(0, -1).map((share) => Math.round(share * nodes))
  return [...ahead, nodes - ahead.reduce((sum, size) => sum + size, 0)]
}

/** Gives the whole numbers below a count in a random order. */
function shuffled(count: number, random: () => number): readonly number[] {
  const places = Array.from({ length: count }, (_, place) => ({ place, rank: random() }))
  return places.sort((one, other) => one.rank - other.rank).map(({ place }) => place)
}

/** Calculates what has to be decided, one wave after the other, by counting heads alone. */
export function expectedActs(nodes: readonly SeededNode[]): readonly ExpectedAct[] {
  const acts: ExpectedAct[] = [{ act: "start", sinceMs: 0 }]
  let sinceMs = 0
  for (const [wave] of WAVE_SHARES.entries()) {
    acts.push({ act: "release", wave, sinceMs })
    const verdict = verdictOf(nodes.filter((node) => node.wave === wave))
    if (verdict.act !== "next") return [...acts, { ...verdict, wave, act: verdict.act }].map(tidy)
    sinceMs = verdict.sinceMs
  }
  return [...acts, { act: "complete", sinceMs }]
}

function verdictOf(nodes: readonly SeededNode[]): {
  readonly act: "next" | "pause" | "rollback"
  readonly sinceMs: number
} {
  const present = nodes.filter(({ isOffline }) => !isOffline)
  const good = present.filter(({ isFailing }) => !isFailing)
  const bad = present.filter(({ isFailing }) => isFailing)
  if (nodes.length === 0) return { act: "next", sinceMs: 0 }
  const goodMin = Math.max(1, Math.ceil((nodes.length * SUCCESS_PERCENT) / 100))
  const badMin = Math.max(1, Math.ceil((nodes.length * ERROR_PERCENT) / 100))
  if (bad.length >= badMin) return { act: "rollback", sinceMs: lastOf(bad, badMin) }
  if (good.length >= goodMin) return { act: "next", sinceMs: lastOf(good, goodMin) + SOAK_MS }
  // The silent count as failed once their time is over.
  const act = nodes.length - good.length >= badMin ? "rollback" : "pause"
  return { act, sinceMs: REPORT_DEADLINE_MS }
}

/** When so many of them are done, from their being told on. */
function lastOf(nodes: readonly SeededNode[], count: number): number {
  return nodes.map(({ durationMs }) => durationMs).toSorted((one, other) => one - other)[count - 1]!
}

/** A pause is of no wave. */
function tidy({ act, wave, sinceMs }: ExpectedAct): ExpectedAct {
  return act === "pause" || wave === undefined ? { act, sinceMs } : { act, wave, sinceMs }
}
