/**
 * Sealift to Sealift as nodes do it: SHA-256 per piece and over the whole, encrypted and mutually
 * authenticated data channels, the store on disk. Only HTTP and the command line are left out.
 * @module
 */
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import { PeerProcess } from "../peer-process.ts"
import { type Contender, missingText } from "../scenario.ts"
import { verifyCopy, type Workload } from "../workload.ts"
import { type Crowd, measureCrowd } from "./crowd.ts"
import { measurePair } from "./pair.ts"
import { sealiftPeer } from "./program.ts"
import { createWarmUp, fillMeshSeed, fillSeed, findBlob } from "./sealift-seed.ts"

const LOOPBACK = "127.0.0.1"
/** By then V8 has compiled what a transfer needs: a node's, which runs for weeks. */
const WARM_UP_BYTES = 256 * 1024 * 1024

/** Makes the contenders of a transfer between two: as nodes of a fleet do it, and as public torrents go. */
export async function createSealifts(
  workload: Workload,
  options: { signal: AbortSignal },
): Promise<Contender[]> {
  const warmUp = await createWarmUp(workload, WARM_UP_BYTES)
  const seedFolder = await fillSeed(workload, { ...options, more: [warmUp] })
  return [
    createPair(workload, {
      name: "sealift",
      about: "Sealift both sides, TLS 1.3 data channel, SHA-256 per piece and of the whole",
      program: "sealift",
      seedFolder,
      connect: true,
    }),
    createPair(workload, {
      name: "sealift-warm",
      about: "the same between nodes that run for a while: both have moved 256 MiB before",
      program: "sealift",
      seedFolder,
      words: [LOOPBACK, warmUp.digest],
      connect: true,
    }),
    createPair(workload, {
      name: "sealift-plain",
      about:
        "Sealift both sides as for a public torrent: plaintext, SHA-1 pieces, SHA-256 of the whole",
      program: "sealift-plain",
      seedFolder,
      words: [String(workload.sizeBytes)],
    }),
  ]
}

interface PairShape {
  readonly name: string
  readonly about: string
  /** What the programs of both sides are called, without `-seed` and `-leech`. */
  readonly program: string
  readonly seedFolder: string
  /** What both are told beside folder and digest. */
  readonly words?: readonly string[]
  readonly connect?: boolean
}

function createPair(workload: Workload, { name, about, program, ...shape }: PairShape): Contender {
  const { seedFolder, words = [], ...rest } = shape
  const { digest, folder, sizeBytes } = workload
  const start = (script: string, where: string, signal: AbortSignal) => {
    const command = [...sealiftPeer(script), where, digest, ...words] as const
    return new PeerProcess(script, command, { signal })
  }
  return {
    name,
    about,
    missing: undefined,
    measure: ({ signal }) =>
      measurePair(
        {
          folder,
          sizeBytes,
          startSeed: (inner) => start(`${program}-seed`, seedFolder, inner),
          startLeech: (where, inner) => start(`${program}-leech`, where, inner),
          verify: (where) => verifyCopy(workload, findBlob(join(where, "blobs"), workload)),
          ...rest,
        },
        signal,
      ),
  }
}

/**
 * Makes the contender of a fan-out. Nodes run for weeks, so each has fetched something before: the first
 * second of so many new processes on one machine would measure its compiler.
 */
export async function createSealiftCrowd(
  crowd: Crowd,
  options: { signal: AbortSignal },
): Promise<Contender> {
  const { workload, missing, rateMbit } = crowd
  const seed = await fillMeshSeed(workload, { ...options, rateMbit })
  const { folder: seedFolder, warmUp } = seed
  const command = (name: string, folder: string, { address }: LabHost) =>
    [...sealiftPeer(name), folder, workload.digest, address, warmUp] as const
  return {
    name: "sealift",
    about: "Sealift on every host, TLS 1.3 data channels, SHA-256 per piece and of the whole",
    missing: missingText(missing),
    measure: ({ signal }) =>
      measureCrowd(
        {
          ...crowd,
          name: "sealift",
          seedCommand: (host) => command("sealift-seed", seedFolder, host),
          leechCommand: (host, folder) => command("sealift-leech", folder, host),
          addressOf: ({ address }) => address,
          arrivedPath: (folder) => findBlob(join(folder, "blobs"), workload),
        },
        signal,
      ),
  }
}
