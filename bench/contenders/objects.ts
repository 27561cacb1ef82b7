/**
 * Many objects from one to another: by Sealift, by HTTP from nginx, and by libtorrent as one torrent.
 * @module
 */
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { hexOf } from "../../src/core/digest.ts"
import { startNginx } from "../../test/support/web-server.ts"
import type { GroupTimes, ObjectWorkload } from "../object-workload.ts"
import { PeerProcess, resetUsage, usageSince } from "../peer-process.ts"
import type { Contender, Sample } from "../scenario.ts"
import { percentileOf } from "../statistics.ts"
import { removeFolder, touchMemory } from "../workload.ts"
import { measurePair } from "./pair.ts"
import { findProgram, peerScript, sealiftPeer } from "./program.ts"

/** Makes the contender of Sealift on both sides. */
export async function createSealiftObjects(
  workload: ObjectWorkload,
  options: { readonly signal: AbortSignal; readonly name?: string; readonly about?: string },
): Promise<Contender> {
  const { name = "sealift", signal } = options
  const seedFolder = join(workload.folder, `seed-${name}`)
  const paths = [seedFolder, workload.objectsFolder, workload.planPath]
  const command = [peerScript("sealift-ingest-objects"), ...paths]
  await promisify(execFile)(process.execPath, command, { signal })
  const startPeer = (script: string, folder: string, runSignal: AbortSignal) =>
    new PeerProcess(name, [...sealiftPeer(script), folder, workload.planPath], {
      signal: runSignal,
    })
  return {
    name,
    about: options.about ?? "Sealift both sides, each object a blob of its own, TLS 1.3",
    missing: undefined,
    measure: async ({ signal }) =>
      withLatencies(
        await measurePair(
          {
            folder: workload.folder,
            sizeBytes: workload.sizeBytes,
            startSeed: (inner) => startPeer("sealift-object-seed", seedFolder, inner),
            startLeech: (folder, inner) => startPeer("sealift-object-leech", folder, inner),
            connect: true,
            verify: (folder) => verifyObjects(workload, join(folder, "blobs")),
          },
          signal,
        ),
      ),
  }
}

/** Makes the contender of nginx and an HTTP client that keeps its connections: the limit of one hop. */
export function createNginxObjects(workload: ObjectWorkload): Contender {
  const program = findProgram("nginx")
  return {
    name: "nginx",
    about: "nginx and an HTTP client that keeps its connections, plaintext, SHA-256 of each object",
    missing: program === undefined ? "no nginx; apt install nginx-light" : undefined,
    measure: ({ signal }) => measureNginx(workload, signal),
  }
}

async function measureNginx(workload: ObjectWorkload, signal: AbortSignal): Promise<Sample> {
  const folder = join(workload.folder, "arrived")
  await mkdir(folder)
  const stops: (() => Promise<unknown>)[] = []
  try {
    const place = join(workload.folder, "nginx")
    await mkdir(place, { recursive: true })
    const { program, url: origin } = await startNginx(place, workload.objectsFolder)
    stops.push(() => program.stop())
    const command = [peerScript("http-object-leech"), folder, workload.planPath, origin] as const
    const leech = new PeerProcess("http client", [process.execPath, ...command], { signal })
    stops.push(() => leech.stop())
    await leech.next("ready")
    leech.tell({})
    await leech.next("connected")
    touchMemory(workload)
    const before = resetUsage(program.pid)
    leech.startUsage()
    leech.tell({})
    const { seconds, event: _, ...notes } = await leech.next("done")
    const usage = { seed: usageSince(program.pid, before), leech: leech.usage() }
    verifyObjects(workload, folder)
    return withLatencies({ seconds: Number(seconds), usage, notes })
  } finally {
    await Promise.all(stops.map((stop) => stop()))
    removeFolder(folder)
  }
}

/** Makes a contender of libtorrent; `torrentPath` holds all objects as files of one folder. */
export function createTorrentObjects(
  workload: ObjectWorkload,
  options: { readonly torrentPath: string; readonly python: string | undefined },
): Contender {
  const { torrentPath, python } = options
  const run = (script: string, folder: string, signal: AbortSignal) =>
    new PeerProcess(
      "libtorrent",
      [python!, peerScript(script, "py"), folder, torrentPath, "default", "none"],
      { signal, environment: { PYTHONDONTWRITEBYTECODE: "1" } },
    )
  return {
    name: "libtorrent",
    about: "libtorrent 2.0 both sides, all objects as files of one torrent, plaintext",
    missing:
      python === undefined
        ? "no python3 with libtorrent; apt install python3-libtorrent"
        : undefined,
    measure: ({ signal }) =>
      measurePair(
        {
          folder: workload.folder,
          sizeBytes: workload.sizeBytes,
          startSeed: (inner) => run("libtorrent_seed", workload.folder, inner),
          startLeech: (folder, inner) => run("libtorrent_leech", folder, inner),
          verify: (folder) => verifyObjects(workload, join(folder, "objects")),
        },
        signal,
      ),
  }
}

/** Compares every measured object with its source. @throws Error when one is missing or differs */
function verifyObjects({ plan, objectsFolder }: ObjectWorkload, folder: string): void {
  const paths = new Map<string, string>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) paths.set(entry.name, join(entry.parentPath, entry.name))
  }
  for (const { digest } of plan.groups.flatMap((group) => group.objects)) {
    const name = hexOf(digest)
    const path = paths.get(name)
    if (path === undefined) throw new Error(`${name} did not arrive`)
    const isEqual = readFileSync(path).equals(readFileSync(join(objectsFolder, name)))
    if (!isEqual) throw new Error(`${path} differs`)
  }
}

/** Adds `p50 NAME`, `p99 NAME` and `times NAME` of each group, milliseconds. */
function withLatencies(sample: Sample): Sample {
  const { groups, ...notes } = sample.notes as { groups: readonly GroupTimes[] }
  const measured = groups.filter(({ latenciesMs }) => latenciesMs.length > 0)
  const more = measured.flatMap(({ name, latenciesMs }) => [
    [`p50 ${name}`, percentileOf(latenciesMs, 50)],
    [`p99 ${name}`, percentileOf(latenciesMs, 99)],
    [`times ${name}`, latenciesMs],
  ])
  return { ...sample, notes: { ...notes, ...Object.fromEntries(more) } }
}
