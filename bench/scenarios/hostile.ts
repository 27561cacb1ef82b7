import type { Fetched, Member, Mesh, RogueKind } from "../contenders/mesh.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import {
  type Contender,
  missingText,
  type NetworkShape,
  type Prepared,
  type Sample,
  type Scenario,
} from "../scenario.ts"
import { spreadOf } from "../statistics.ts"
import { inMesh, type MeshSetting, openMeshSetting } from "./mesh-setting.ts"

const MIB = 1024 ** 2
/** Peers beside the seeder, the hostile ones included. */
const DEFAULT_NETWORK: NetworkShape = { hosts: 10, rateMbit: 20 }
const SHARES = [0.1, 0.3]
/** In this order as many as there are. */
const KINDS: readonly RogueKind[] = ["garbage", "stall", "false-have", "wrong-list"]

interface Rogue {
  readonly kind: RogueKind
  readonly member: Member
}

export const hostile: Scenario = {
  name: "hostile",
  question: "peers send garbage, stall, or lie about what they have: when have the others all?",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  figures: [
    { heading: "last ÷ ideal", note: "last", unit: "times" },
    { heading: "wasted", note: "wastedPercent", unit: "percent" },
    { heading: "bad pieces, most", note: "badPiecesMax", unit: "count" },
    { heading: "liars not banned", note: "liarsLeft", unit: "count" },
    { heading: "honest banned", note: "honestBanned", unit: "count" },
  ],
  series: [{ heading: "time of each fetcher", note: "times", unit: "s" }],
  uncountedRounds: 0,
  baseline: "undisturbed",
  generate(options, tools): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const shape = options.network ?? DEFAULT_NETWORK
      const { hosts: peersCount } = shape
      const setting = await openMeshSetting(workspace, options, {
        ...{ shape, hostsCount: 1 + peersCount, ...tools },
      })
      const honest = peersCount - roguesOf(peersCount, Math.max(...SHARES))
      return {
        payloadBytes: honest * setting.workload.sizeBytes,
        contenders: [
          contenderOf(setting, { name: "undisturbed", honest, rogues: 0 }),
          ...SHARES.map((share) => {
            const rogues = roguesOf(peersCount, share)
            return contenderOf(setting, { name: `hostile-${share * 100}%`, honest, rogues })
          }),
        ],
      }
    })
  },
}

const roguesOf = (peersCount: number, share: number) => Math.max(1, Math.round(peersCount * share))

/** Every contender has the same number of honest fetchers, so that only the hostile ones differ. */
function contenderOf(
  setting: MeshSetting,
  crew: { readonly name: string; readonly honest: number; readonly rogues: number },
): Contender {
  const { name, honest, rogues } = crew
  const kinds = Array.from({ length: rogues }, (_, nth) => KINDS[nth % KINDS.length]!)
  return {
    name,
    about: `${honest} honest fetchers${rogues === 0 ? "" : `, beside them ${kinds.join(", ")}`}`,
    missing: missingText(setting.missing),
    measure: ({ signal }) =>
      inMesh(setting, signal, (mesh) => measureHostile(mesh, setting, { honest, kinds })),
  }
}

async function measureHostile(
  mesh: Mesh,
  { hosts, rateMbit, workload }: MeshSetting,
  { honest, kinds }: { readonly honest: number; readonly kinds: readonly RogueKind[] },
): Promise<Sample> {
  await mesh.startSeed(hosts[0]!)
  const rogues: Rogue[] = []
  for (const [nth, kind] of kinds.entries()) {
    rogues.push({ kind, member: await mesh.startRogue(hosts[1 + honest + nth]!, kind) })
  }
  const fetchers: Member[] = []
  for (const host of hosts.slice(1, 1 + honest)) fetchers.push(await mesh.startFetcher(host))
  for (const member of fetchers) await mesh.join(member)
  const done = await Promise.all(fetchers.map((member) => mesh.fetch(member)))
  for (const member of fetchers) mesh.verify(member)
  const times = done.map(({ seconds }) => seconds)
  const wastedBytes = done.reduce((sum, one) => sum + one.wastedBytes, 0)
  const ideal = (workload.sizeBytes * 8) / (rateMbit * 1e6)
  const { max } = spreadOf(times)
  const notes = {
    times,
    last: max / ideal,
    wastedPercent: (100 * wastedBytes) / (honest * workload.sizeBytes),
    wastedBy: sumsOf(done.map((one) => one.wastedBy)),
    ...judge(rogues, done),
  }
  return { seconds: max, usage: {}, notes }
}

/** Adds up numbers of the same name. */
function sumsOf(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const [name, value] of records.flatMap((record) => Object.entries(record))) {
    sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}

/** Who was found guilty by whom, and how many bad pieces that took. */
function judge(rogues: readonly Rogue[], done: readonly Fetched[]) {
  const ids = new Set(rogues.map(({ member }) => member.id))
  const honestBanned = done.flatMap(({ bans }) => bans).filter(({ id }) => !ids.has(id)).length
  const badPieces: number[] = []
  let liarsLeft = 0
  for (const { bans, rejected } of done) {
    for (const { member } of rogues) {
      const count = rejected[member.id] ?? 0
      badPieces.push(count)
      // Who sent nothing wrong cannot be proved to have lied.
      if (count > 0 && !bans.some(({ id }) => id === member.id)) liarsLeft++
    }
  }
  const bans = done.flatMap((one) => one.bans)
  return { badPiecesMax: Math.max(0, ...badPieces), liarsLeft, honestBanned, bans }
}
