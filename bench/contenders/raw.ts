/**
 * The limit of this runtime on this machine: file → socket → file in 1 MiB buffers, nothing checked,
 * nothing encrypted. No contender can be expected to pass it.
 * @module
 */
import { join } from "node:path"
import { PeerProcess } from "../peer-process.ts"
import type { Contender } from "../scenario.ts"
import { verifyCopy, type Workload } from "../workload.ts"
import { measurePair } from "./pair.ts"
import { peerScript } from "./program.ts"

const SEED = peerScript("raw-seed")
const LEECH = peerScript("raw-leech")

export function createRaw(workload: Workload): Contender {
  const start = (script: string, path: string, signal: AbortSignal) =>
    new PeerProcess("raw", [process.execPath, script, path, String(workload.sizeBytes)], { signal })
  return {
    name: "raw",
    about: "the limit: node:net, file to socket to file, nothing checked or encrypted",
    missing: undefined,
    measure: ({ signal }) =>
      measurePair(
        {
          folder: workload.folder,
          sizeBytes: workload.sizeBytes,
          startSeed: (signal) => start(SEED, workload.path, signal),
          startLeech: (folder, signal) => start(LEECH, join(folder, "payload.bin"), signal),
          verify: (folder) => verifyCopy(workload, join(folder, "payload.bin")),
        },
        signal,
      ),
  }
}
