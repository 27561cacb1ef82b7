/**
 * Nodes leave and join while others fetch, and the seeder dies: do all finish, and how much later?
 * @module
 */

import { pieceLayout } from "../../src/core/piece.ts"
import type { Fetched, Member, Mesh } from "../contenders/mesh.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import {
  type BenchOptions,
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
const DEFAULT_NETWORK: NetworkShape = { hosts: 10, rateMbit: 20 }
/** Of the fetchers that are there at first, how many leave, and as many join. */
const LEAVING_SHARE = 0.2
/** When: at this share of all pieces that they need. */
const LEAVING_AT = 0.4

/** What is done to the swarm. */
interface Disturbance {
  readonly doLeave: boolean
  /** The seeder is killed as soon as those who stay have one full copy between them. */
  readonly doesSeedDie: boolean
}

export const churn: Scenario = {
  name: "churn",
  question: "fetchers leave and join, the seeder dies at one full copy: when has the last one all?",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  figures: [
    { heading: "p50 ÷ ideal", note: "p50", unit: "times" },
    { heading: "last ÷ ideal", note: "last", unit: "times" },
    { heading: "joined ÷ ideal", note: "joined", unit: "times" },
    { heading: "late joiner ÷ ideal", note: "late", unit: "times" },
    { heading: "seed died at", note: "seedDiedAt", unit: "times" },
  ],
  series: [{ heading: "time of each fetcher", note: "times", unit: "s" }],
  uncountedRounds: 0,
  baseline: "undisturbed",
  generate(options, tools): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const shape = options.network ?? DEFAULT_NETWORK
      const { hosts } = shape
      // The seeder, the fetchers, those that join, and one that comes when all is over.
      const hostsCount = 1 + hosts + leavingOf(hosts) + 1
      const setting = await openMeshSetting(workspace, options, { shape, hostsCount, ...tools })
      return {
        payloadBytes: hosts * setting.workload.sizeBytes,
        contenders: contendersOf(setting, options),
      }
    })
  },
}

function contendersOf(setting: MeshSetting, options: BenchOptions): Contender[] {
  const count = options.network?.hosts ?? DEFAULT_NETWORK.hosts
  const leaving = leavingOf(count)
  const make = (name: string, about: string, disturbance: Disturbance): Contender => ({
    name,
    about,
    missing: missingText(setting.missing),
    measure: ({ signal }) =>
      inMesh(setting, signal, (mesh) =>
        measureChurn(mesh, setting, { ...disturbance, count, leaving }),
      ),
  })
  return [
    make("undisturbed", `${count} fetchers, nothing happens`, {
      doLeave: false,
      doesSeedDie: false,
    }),
    make("seed-dies", "the seeder is killed at one full copy among the fetchers", {
      doLeave: false,
      doesSeedDie: true,
    }),
    make("leave-and-join", `the same; before, ${leaving} are killed and ${leaving} others join`, {
      doLeave: true,
      doesSeedDie: true,
    }),
  ]
}

const leavingOf = (count: number) => Math.max(1, Math.round(count * LEAVING_SHARE))

async function measureChurn(
  mesh: Mesh,
  { hosts, rateMbit, workload }: MeshSetting,
  plan: Disturbance & { readonly count: number; readonly leaving: number },
): Promise<Sample> {
  const { count, leaving } = plan
  const seeder = await mesh.startSeed(hosts[0]!)
  const startAll = async (start: number, length: number) => {
    const members: Member[] = []
    for (const host of hosts.slice(start, start + length))
      members.push(await mesh.startFetcher(host))
    return members
  }
  const first = await startAll(1, count)
  const joiners = plan.doLeave ? await startAll(1 + count, leaving) : []
  const [late] = plan.doesSeedDie ? await startAll(1 + count + leaving, 1) : []
  for (const member of first) await mesh.join(member)
  const leavers = plan.doLeave ? first.slice(-leaving) : []
  const stayers = first.slice(0, count - leavers.length)
  const startMs = performance.now()
  const ideal = (workload.sizeBytes * 8) / (rateMbit * 1e6)
  const ideals = () => (performance.now() - startMs) / 1000 / ideal
  const progress = new Progress(pieceLayout(workload.sizeBytes).count)
  const joined: Promise<Fetched>[] = []
  let seedDiedAt: number | undefined
  // What is done to the swarm meanwhile; awaited at the end, so that no fault of it is lost.
  const deeds: Promise<unknown>[] = []
  progress.at(LEAVING_AT * count, () => {
    for (const member of leavers) deeds.push(mesh.kill9(member))
    for (const member of joiners) joined.push(mesh.join(member).then(() => mesh.fetch(member)))
  })
  progress.onFullCopy(() => {
    if (!plan.doesSeedDie) return
    seedDiedAt = ideals()
    deeds.push(mesh.kill9(seeder))
  })
  // Whoever is killed never comes to its end.
  for (const member of leavers) mesh.fetch(member, () => progress.count()).catch(() => {})
  const done = await Promise.all(
    stayers.map((member) => mesh.fetch(member, (index) => progress.hold(index))),
  )
  const joinedDone = await Promise.all(joined)
  await Promise.all(deeds)
  const lateDone =
    late === undefined ? undefined : await mesh.join(late).then(() => mesh.fetch(late))
  const arrived = [
    ...stayers,
    ...(plan.doLeave ? joiners : []),
    ...(late === undefined ? [] : [late]),
  ]
  for (const member of arrived) mesh.verify(member)
  const times = done.map(({ seconds }) => seconds)
  const { median, max } = spreadOf(times)
  const multiples = (all: readonly Fetched[]) => all.map(({ seconds }) => seconds / ideal)
  const notes = {
    times,
    p50: median / ideal,
    last: max / ideal,
    ...(joinedDone.length === 0 ? {} : { joined: Math.max(...multiples(joinedDone)) }),
    ...(lateDone === undefined ? {} : { late: lateDone.seconds / ideal }),
    ...(seedDiedAt === undefined ? {} : { seedDiedAt }),
  }
  return { seconds: max, usage: {}, notes }
}

/** How far a swarm is. */
class Progress {
  readonly #pieceCount: number
  readonly #held = new Set<number>()
  readonly #marks: { readonly pieces: number; readonly deed: () => void }[] = []
  #onFullCopy: (() => void) | undefined
  #count = 0

  constructor(pieceCount: number) {
    this.#pieceCount = pieceCount
  }

  /** @param copies - pieces of all together, as copies of the blob */
  at(copies: number, deed: () => void): void {
    this.#marks.push({ pieces: copies * this.#pieceCount, deed })
  }

  onFullCopy(deed: () => void): void {
    this.#onFullCopy = deed
  }

  /** A node that stays has a piece. */
  hold(index: number): void {
    this.#held.add(index)
    this.count()
    if (this.#held.size < this.#pieceCount) return
    this.#onFullCopy?.()
    this.#onFullCopy = undefined
  }

  /** Some node has a piece. */
  count(): void {
    this.#count++
    for (const mark of this.#marks.splice(0)) {
      if (this.#count >= mark.pieces) mark.deed()
      else this.#marks.push(mark)
    }
  }
}
