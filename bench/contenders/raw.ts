/**
 * The limit of this runtime on this machine: file → socket → file in 1 MiB buffers, nothing checked,
 * nothing encrypted. No contender can be expected to pass it.
 * @module
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PeerProcess } from "../peer-process.ts"
import type { Contender } from "../scenario.ts"
import type { Workload } from "../workload.ts"
import { measurePair } from "./pair.ts"

const SEED = fileURLToPath(new URL("../peers/raw-seed.ts", import.meta.url))
const LEECH = fileURLToPath(new URL("../peers/raw-leech.ts", import.meta.url))

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
          workload,
          startSeed: (signal) => start(SEED, workload.path, signal),
          startLeech: (folder, signal) => start(LEECH, join(folder, "payload.bin"), signal),
          arrivedPath: (folder) => join(folder, "payload.bin"),
        },
        signal,
      ),
  }
}
