/**
 * libtorrent 2.0 to libtorrent 2.0, through its Python binding (Debian: python3-libtorrent). The
 * binding only starts the transfer; all its work is done by libtorrent's own threads.
 * @module
 */
import { join } from "node:path"
import { PeerProcess } from "../peer-process.ts"
import { type Contender, missingText } from "../scenario.ts"
import { verifyCopy, type Workload } from "../workload.ts"
import { type Crowd, measureCrowd } from "./crowd.ts"
import { measurePair } from "./pair.ts"
import { findPythonWith, peerScript } from "./program.ts"

const SEED = peerScript("libtorrent_seed", "py")
const CROWD = peerScript("libtorrent_crowd", "py")
const LEECH = peerScript("libtorrent_leech", "py")
const NO_PYTHON = "no python3 with libtorrent; apt install python3-libtorrent"
// Nothing of a run is left in the tree.
const ENVIRONMENT = { PYTHONDONTWRITEBYTECODE: "1" }

/** How libtorrent is set. */
export interface LibtorrentSettings {
  readonly name: string
  /** `high`: its own preset `high_performance_seed` on both sides. */
  readonly preset: "default" | "high"
  /** `forced`: message stream encryption (RC4) of the whole payload. */
  readonly encryption: "none" | "forced"
}

/** Makes the contender of a transfer between two. */
export function createLibtorrent(workload: Workload, settings: LibtorrentSettings): Contender {
  const { name, preset, encryption } = settings
  const python = findPythonWith("libtorrent")
  const start = (script: string, folder: string, signal: AbortSignal) =>
    new PeerProcess(
      name,
      [python ?? "python3", script, folder, workload.torrentPath, preset, encryption],
      { signal, environment: ENVIRONMENT },
    )
  const cipher = encryption === "none" ? "plaintext" : "forced RC4"
  return {
    name,
    about: `libtorrent 2.0 both sides, ${preset} settings, ${cipher}, SHA-1 pieces`,
    missing: python === undefined ? NO_PYTHON : undefined,
    measure: ({ signal }) =>
      measurePair(
        {
          folder: workload.folder,
          sizeBytes: workload.sizeBytes,
          startSeed: (signal) => start(SEED, workload.folder, signal),
          startLeech: (folder, signal) => start(LEECH, folder, signal),
          verify: (folder) => verifyCopy(workload, join(folder, "payload.bin")),
        },
        signal,
      ),
  }
}

/** Makes the contender of a fan-out: its default settings, how many it serves at once included. */
export function createLibtorrentCrowd(crowd: Crowd): Contender {
  const { workload } = crowd
  const python = findPythonWith("libtorrent")
  const missing = python === undefined ? [NO_PYTHON, ...crowd.missing] : crowd.missing
  return {
    name: "libtorrent",
    about: "libtorrent 2.0 on every host, default settings, plaintext, SHA-1 pieces",
    missing: missingText(missing),
    measure: ({ signal }) =>
      measureCrowd(
        {
          ...crowd,
          name: "libtorrent",
          environment: ENVIRONMENT,
          seedCommand: ({ address }) => {
            const settings = [workload.torrentPath, "default", "none", address]
            return [python!, SEED, workload.folder, ...settings]
          },
          leechCommand: ({ address }, folder) => {
            return [python!, CROWD, folder, workload.torrentPath, address]
          },
          addressOf: ({ address, port }) => ({ address, port }),
          arrivedPath: (folder) => join(folder, "payload.bin"),
        },
        signal,
      ),
  }
}
