/**
 * Sealing and opening one file on all cores: how far from the bare cipher, and from the hashes that the
 * formats ask for? All files lie in tmpfs; the disk is not what is measured.
 * @module
 */
import { createHash } from "node:crypto"
import { createReadStream, mkdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { hexOf } from "../../src/core/digest.ts"
import { newFileKey } from "../../src/seal/payload.ts"
import { PayloadPool } from "../../src/seal/payload-pool.ts"
import { sealFile } from "../../src/seal/seal-file.ts"
import { sealiftPeer } from "../contenders/program.ts"
import { PeerProcess } from "../peer-process.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { BenchOptions, Contender, Prepared, Sample, Scenario } from "../scenario.ts"
import {
  createWorkload,
  removeFolder,
  touchMemory,
  verifyCopy,
  type Workload,
} from "../workload.ts"

const GIB = 1024 ** 3

export const seal: Scenario = {
  name: "seal",
  question: "one file sealed and opened on all cores, against the bare cipher and its hashes",
  defaults: { sizeBytes: GIB, runs: 5 },
  figures: [
    { heading: "× cipher-sha256", note: "timesCipherSha256", unit: "times" },
    { heading: "× one thread", note: "timesOneThread", unit: "times" },
    { heading: "1 MiB read, slowest", note: "middleMsMax", unit: "ms" },
  ],
  series: [{ heading: "1 MiB read in the middle", note: "middleMs", unit: "ms" }],
  baseline: "cipher",
  generate(options): Promise<Prepared> {
    return prepareInWorkspace(({ root }) => prepare(root, options))
  },
}

/** One file as it is and as it is sealed, and how long each contender last took. */
interface Setting {
  readonly workload: Workload
  readonly sealedPath: string
  readonly fileKey: Uint8Array
  readonly latest: Map<string, number>
}

/** What a contender's process is told, and what becomes of what it wrote. */
interface Plan {
  readonly name: string
  readonly about: string
  readonly mode: string
  readonly path?: string
  readonly threads?: number
  /** Notes that say how many times as fast this one is as others were in their last turn. */
  readonly times?: Readonly<Record<string, string>>
  readonly verify?: (notes: Readonly<Record<string, unknown>>) => void | Promise<void>
}

async function prepare(root: string, options: BenchOptions): Promise<Omit<Prepared, "close">> {
  const workload = await createWorkload(root, options)
  const pool = new PayloadPool()
  const fileKey = newFileKey()
  const { path } = await sealFile({ pool }, { source: workload.path, fileKey, folder: root })
  await pool.close()
  const setting = { workload, sealedPath: path, fileKey, latest: new Map<string, number>() }
  return {
    payloadBytes: workload.sizeBytes,
    contenders: plansOf(setting).map((plan) => contenderOf(plan, setting)),
  }
}

function plansOf({ workload, sealedPath: path }: Setting): Plan[] {
  const threads = `all ${availableParallelism()} cores`
  const openedRight = (notes: Readonly<Record<string, unknown>>) =>
    verifyCopy(workload, String(notes.path))
  return [
    {
      name: "cipher",
      mode: "cipher",
      about: "ChaCha20-Poly1305 in memory, one core, key as bytes",
    },
    {
      name: "cipher-best",
      mode: "cipher-best",
      about: "the same with a key object, and its memory freed at once, as Sealift does it",
    },
    {
      name: "cipher-sha256",
      mode: "cipher-sha256",
      about: "the cipher and SHA-256 of plaintext and ciphertext in memory, one core",
    },
    { name: "copy", mode: "copy", path, about: "the ciphertext read and written, one core" },
    {
      name: "open-one",
      mode: "open",
      path,
      threads: 1,
      about: "Sealift opens the file with one thread",
      verify: openedRight,
    },
    {
      name: "open",
      mode: "open",
      path,
      about: `Sealift opens the file on ${threads}; then, not in its time, reads 25 times a MiB`,
      times: { timesOneThread: "open-one" },
      verify: openedRight,
    },
    {
      name: "seal-one",
      mode: "seal",
      threads: 1,
      about: "Sealift seals the file with one thread",
      times: { timesCipherSha256: "cipher-sha256" },
      verify: (notes) => verifySealed(workload, notes),
    },
    {
      name: "seal",
      mode: "seal",
      about: `Sealift seals the file on ${threads}`,
      times: { timesCipherSha256: "cipher-sha256", timesOneThread: "seal-one" },
      verify: (notes) => verifySealed(workload, notes),
    },
  ]
}

function contenderOf(plan: Plan, setting: Setting): Contender {
  return {
    name: plan.name,
    about: plan.about,
    missing: undefined,
    async measure({ signal }): Promise<Sample> {
      const sample = await measure(plan, setting, signal)
      setting.latest.set(plan.name, sample.seconds)
      const times = Object.entries(plan.times ?? {}).map(([note, other]) => {
        return [note, (setting.latest.get(other) ?? Number.NaN) / sample.seconds]
      })
      const known = times.filter(([, value]) => Number.isFinite(value))
      return { ...sample, notes: { ...sample.notes, ...Object.fromEntries(known) } }
    },
  }
}

async function measure(plan: Plan, setting: Setting, signal: AbortSignal): Promise<Sample> {
  const { workload } = setting
  const folder = join(workload.folder, "written")
  mkdirSync(folder)
  const peer = new PeerProcess(plan.name, commandOf(plan, setting, folder), { signal })
  try {
    await peer.next("ready")
    touchMemory(workload)
    peer.startUsage()
    peer.tell({})
    const { event: _, seconds, ...notes } = await peer.next("done")
    const usage = { process: peer.usage() }
    await plan.verify?.(notes)
    return { seconds: Number(seconds), usage, notes }
  } finally {
    await peer.stop()
    removeFolder(folder)
  }
}

function commandOf(plan: Plan, setting: Setting, folder: string): [string, ...string[]] {
  const { workload, fileKey } = setting
  const file = plan.path ?? workload.path
  const [program, ...words] = sealiftPeer("payload")
  const threads = String(plan.threads ?? availableParallelism())
  const key = Buffer.from(fileKey).toString("hex")
  return [program, ...words, plan.mode, String(workload.sizeBytes), folder, file, threads, key]
}

/** Checks the digests that sealing gave. @throws Error when one is not that of the file */
async function verifySealed(
  workload: Workload,
  notes: Readonly<Record<string, unknown>>,
): Promise<void> {
  const hash = createHash("sha256")
  for await (const part of createReadStream(String(notes.path))) hash.update(part as Uint8Array)
  const isRight = notes.plain === hexOf(workload.digest) && notes.cipher === hash.digest("hex")
  if (!isRight) throw new Error(`${notes.path}: not the digests of what was sealed`)
}
