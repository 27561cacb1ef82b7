/**
 * Sealift to Sealift as nodes do it: SHA-256 per piece and over the whole, encrypted and mutually
 * authenticated data channels, the store on disk. Only HTTP and the command line are left out.
 * @module
 */
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import { PeerProcess } from "../peer-process.ts"
import type { Contender } from "../scenario.ts"
import { verifyCopy, type Workload } from "../workload.ts"
import { type Crowd, measureCrowd } from "./crowd.ts"
import { measurePair } from "./pair.ts"
import { sealiftPeer } from "./program.ts"
import { fillMeshSeed, fillSeed, findBlob } from "./sealift-seed.ts"

/** Makes the contender of a transfer between two. */
export async function createSealift(
  workload: Workload,
  options: { signal: AbortSignal },
): Promise<Contender> {
  const seedFolder = await fillSeed(workload, options)
  const start = (name: string, folder: string, signal: AbortSignal) =>
    new PeerProcess(name, [...sealiftPeer(name), folder, workload.digest], { signal })
  return {
    name: "sealift",
    about: "Sealift both sides, TLS 1.3 data channel, SHA-256 per piece and of the whole",
    missing: undefined,
    measure: ({ signal }) =>
      measurePair(
        {
          folder: workload.folder,
          sizeBytes: workload.sizeBytes,
          startSeed: (signal) => start("sealift-seed", seedFolder, signal),
          startLeech: (folder, signal) => start("sealift-leech", folder, signal),
          connect: true,
          verify: (folder) => verifyCopy(workload, findBlob(join(folder, "blobs"), workload)),
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
  const { workload, missing } = crowd
  const { folder: seedFolder, warmUp } = await fillMeshSeed(workload, options)
  const command = (name: string, folder: string, { address }: LabHost) =>
    [...sealiftPeer(name), folder, workload.digest, address, warmUp] as const
  return {
    name: "sealift",
    about: "Sealift on every host, TLS 1.3 data channels, SHA-256 per piece and of the whole",
    missing: missing.length > 0 ? missing.join(", ") : undefined,
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
