/**
 * Uber Kraken v0.1.4: a tracker and an origin on the seed's host, an agent on each other. Its programs
 * are built by a script of the suite, since Debian does not have them.
 * @module
 */
import { homedir } from "node:os"
import { join } from "node:path"
import { pieceLayout } from "../../src/core/piece.ts"
import { type Contender, missingText } from "../scenario.ts"
import { type Crowd, measureCrowd } from "./crowd.ts"
import { KRAKEN_PIECES, krakenBlobPath } from "./kraken-settings.ts"
import { findProgram, isExecutable, peerScript } from "./program.ts"

const PROGRAMS = ["agent", "tracker", "origin"]
const NO_KRAKEN = "no Kraken; bench/tools/build-kraken.sh builds it"
const NO_REDIS = "no redis-server; apt install redis-server"

/** Makes the contenders of a fan-out: with Kraken's own pieces, and with those of all others in it. */
export function createKrakenCrowds(crowd: Crowd): Contender[] {
  const { lengthBytes } = pieceLayout(crowd.workload.sizeBytes)
  return [
    createKrakenCrowd(crowd, { name: "kraken", pieces: KRAKEN_PIECES }),
    createKrakenCrowd(crowd, { name: "kraken-pieces", pieces: `${lengthBytes / 1024}KB` }),
  ]
}

function createKrakenCrowd(crowd: Crowd, shape: { name: string; pieces: string }): Contender {
  const { workload, hosts } = crowd
  const { name, pieces } = shape
  const binaries = krakenFolder()
  const redis = findProgram("redis-server")
  const missing = [
    ...(PROGRAMS.every((name) => isExecutable(join(binaries, name))) ? [] : [NO_KRAKEN]),
    ...(redis === undefined ? [NO_REDIS] : []),
    ...crowd.missing,
  ]
  const member = (role: "seed" | "fetch", folder: string, address: string, ...more: string[]) =>
    [
      process.execPath,
      peerScript("kraken-member"),
      ...[role, binaries, folder, address, workload.digest, ...more],
    ] as const
  return {
    name,
    about: `Kraken v0.1.4, an agent on every host, plaintext, CRC-32 of pieces of ${pieces}`,
    missing: missingText(missing),
    measure: ({ signal }) =>
      measureCrowd(
        {
          ...crowd,
          name,
          seedCommand: ({ address }) => {
            // Among what arrives, so that the origin's own copy goes with the run.
            const folder = join(workload.folder, "arrived", "origin")
            return member("seed", folder, address, workload.path, redis!, pieces)
          },
          leechCommand: ({ address }, folder) =>
            member("fetch", folder, address, hosts[0]!.address),
          addressOf: ({ address }) => address,
          arrivedPath: (folder) => krakenBlobPath(folder, workload.digest),
        },
        signal,
      ),
  }
}

/** Where the script leaves the programs, unless it is told. */
function krakenFolder(): string {
  const { KRAKEN_BIN, XDG_CACHE_HOME } = process.env
  return KRAKEN_BIN ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sealift", "kraken")
}
