/**
 * webtorrent to webtorrent over plain TCP, in Node: what most programs in this language would use.
 * @module
 */
import { join } from "node:path"
import { PeerProcess } from "../peer-process.ts"
import type { Contender } from "../scenario.ts"
import { verifyCopy, type Workload } from "../workload.ts"
import { measurePair } from "./pair.ts"
import { peerScript } from "./program.ts"

export function createWebtorrent(workload: Workload): Contender {
  const start = (script: string, folder: string, signal: AbortSignal) =>
    new PeerProcess(script, [process.execPath, peerScript(script), folder, workload.torrentPath], {
      signal,
    })
  return {
    name: "webtorrent",
    about: "webtorrent both sides in Node, plaintext, SHA-1 pieces",
    missing: isInstalled() ? undefined : "no package webtorrent; it comes with the repository",
    measure: ({ signal }) =>
      measurePair(
        {
          folder: workload.folder,
          sizeBytes: workload.sizeBytes,
          startSeed: (signal) => start("webtorrent-seed", workload.folder, signal),
          startLeech: (folder, signal) => start("webtorrent-leech", folder, signal),
          verify: (folder) => verifyCopy(workload, join(folder, "payload.bin")),
        },
        signal,
      ),
  }
}

function isInstalled(): boolean {
  try {
    import.meta.resolve("webtorrent")
    return true
  } catch {
    return false
  }
}
