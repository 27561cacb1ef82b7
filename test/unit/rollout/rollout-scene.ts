/** What tests of rollouts share: nodes by number, views, scenes of a node, reports. */
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { memoize } from "../../../src/core/memoize.ts"
import { identityFromSeed } from "../../../src/net/identity.ts"
import type { PeerId } from "../../../src/net/net.ts"
import type { NamedRelease } from "../../../src/release/signed.ts"
import type { Act, Decision } from "../../../src/rollout/decision.ts"
import type { ActiveRelease, Scene } from "../../../src/rollout/node-machine.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import type { NamedPlan } from "../../../src/rollout/plan-subject.ts"
import type { HealthReport } from "../../../src/rollout/report.ts"
import { type RolloutView, UNDECIDED } from "../../../src/rollout/rollout-view.ts"
import { FLEET, NOW } from "../release/world.ts"
import { PLAN } from "./plan-scene.ts"

/** The secret of a node's identity, by its number; that of `keyOf` too. */
export const seedOf = (number: number): Uint8Array => new Uint8Array(32).fill(number)
export const peerOf: (number: number) => PeerId = memoize(
  (number) => identityFromSeed(seedOf(number)).id,
  256,
)

export const digestFor = (text: string): Digest => digestOf(Buffer.from(text))
export const releaseOf = (name: string, sequence = 1): NamedRelease => ({
  asset: { namespace: "acme", name, sequence },
  digest: digestFor(`${name} ${sequence}`),
})
export const activeOf = (release: NamedRelease): ActiveRelease => ({
  release,
  path: `/opened/${release.asset.name}-${release.asset.sequence}`,
  activation: PLAN.activate,
})

export const NAMED: NamedPlan = { name: PLAN.name, version: 1, digest: digestFor("the plan") }

/** A plan without a window, of one release; two waves. */
export const OPEN_PLAN: Plan = { ...PLAN, window: undefined, controller: peerOf(1) }

/** A view in which so many waves are released. */
export const viewOf = (released: number, change: Partial<RolloutView> = {}): RolloutView => ({
  ...UNDECIDED,
  phase: "running",
  count: released + 1,
  last: digestFor("the last"),
  roster: { root: digestFor("the roster"), size: 3 },
  releasedAtMs: Array.from({ length: released }, (_, wave) => NOW + wave),
  ...change,
})

/** What a node of the first wave, which is released, knows. */
export const sceneOf = (change: Partial<Scene> = {}): Scene => ({
  plan: OPEN_PLAN,
  view: viewOf(1),
  place: 0,
  isController: false,
  isConcerned: true,
  isWindowOpen: true,
  isStageOnly: false,
  isReplaced: false,
  isExpired: false,
  putBackAtMs: undefined,
  before: [activeOf(releaseOf("model", 9))],
  ...change,
})

/** A decision as whoever follows it sees it. */
export const decisionOf = (
  view: RolloutView,
  act: Act,
  change: Partial<Decision> = {},
): { readonly said: Decision; readonly digest: Digest } => {
  const said: Decision = {
    fleet: FLEET,
    plan: NAMED,
    index: view.count,
    previous: view.last,
    atMs: NOW,
    act,
    reason: act.kind,
    ...change,
  }
  return { said, digest: digestFor(JSON.stringify(said)) }
}

export const START: Act = {
  kind: "start",
  roster: { root: digestFor("the roster"), size: 3 },
  access: 4,
}

/** A report of a node that is healthy. */
export const reportOf = (change: Partial<HealthReport> = {}): HealthReport => ({
  fleet: FLEET,
  plan: NAMED,
  node: peerOf(2),
  wave: 0,
  attempt: 0,
  counter: 7,
  boot: "0123456789abcdef".repeat(2),
  atMs: NOW,
  outcome: "healthy",
  running: PLAN.releases,
  slots: { arch: "arm64" },
  opensAtMs: undefined,
  reason: "",
  ...change,
})
