/**
 * Contenders that are acts of one process: it is told which one to do, and says how long that took.
 * @module
 */
import type { Workspace } from "../test/support/workspace.ts"
import { sealiftPeer } from "./contenders/program.ts"
import { PeerProcess } from "./peer-process.ts"
import type { Contender, Prepared, Sample } from "./scenario.ts"

/** What one contender does, and beside which other it stands. */
export interface Act {
  readonly name: string
  readonly about: string
  /** The bare work; undefined: this one is bare. */
  readonly yardstick?: string
  /** What had to hold of what it noted, and did not. */
  readonly faults?: (notes: Readonly<Record<string, unknown>>) => readonly string[]
}

/** Starts the process that does the acts, in a folder of its own. */
export async function prepareActs(
  name: string,
  acts: readonly Act[],
  { workspace, signal }: { readonly workspace: Workspace; readonly signal: AbortSignal },
): Promise<Omit<Prepared, "close">> {
  const folder = await workspace.folder(name)
  const peer = new PeerProcess(name, [...sealiftPeer(name), folder], { signal })
  workspace.defer(() => peer.stop())
  await peer.next("ready")
  const latest = new Map<string, number>()
  return { payloadBytes: 0, contenders: acts.map((act) => contenderOf(act, peer, latest)) }
}

/** @param latest - seconds of each contender in its last turn */
function contenderOf(act: Act, peer: PeerProcess, latest: Map<string, number>): Contender {
  const { name, about } = act
  return {
    ...{ name, about, missing: undefined },
    async measure({ signal }): Promise<Sample> {
      signal.throwIfAborted()
      const end = () => void peer.kill9()
      signal.addEventListener("abort", end, { once: true })
      try {
        peer.startUsage()
        peer.tell({ act: name })
        const { event: _, seconds, ...notes } = await peer.next("done")
        const faults = act.faults?.(notes) ?? []
        const usage = { process: peer.usage() }
        const sample = { seconds: Number(seconds), usage, notes, faults }
        latest.set(name, sample.seconds)
        return besideBare(sample, latest.get(act.yardstick ?? ""))
      } finally {
        signal.removeEventListener("abort", end)
      }
    },
  }
}

/** Notes how many times as long an act took as its bare work in its last turn, where that had one. */
export function besideBare(sample: Sample, bareSeconds: number | undefined): Sample {
  if (bareSeconds === undefined) return sample
  return { ...sample, notes: { ...sample.notes, timesBare: sample.seconds / bareSeconds } }
}
