/**
 * Many objects of one size in one folder, for what is decided by the number of objects and not by bytes.
 * @module
 */
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { type Digest, digestOfRaw, hexOf } from "../src/core/digest.ts"
import { pieceLayout } from "../src/core/piece.ts"
import { randomChunks } from "./random-bytes.ts"
import { encodeFolderTorrent, PieceHasher } from "./torrent-file.ts"

/** Objects differ by their seed; groups of one run must not overlap. */
const SEEDS_PER_GROUP = 1_000_000

/** One object. Its file has the hexadecimal digits of its digest as its name. */
export interface BenchObject {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Objects of one size. */
export interface ObjectGroup {
  /** Such as `10 KB`. */
  readonly name: string
  readonly objects: readonly BenchObject[]
}

/** What is fetched, in the order in which it is fetched. */
export interface ObjectPlan {
  /** Fetched before the clock starts. */
  readonly warmUp: readonly BenchObject[]
  readonly groups: readonly ObjectGroup[]
  /** Objects that are asked for at the same time. */
  readonly atOnce: number
}

/** What a fetching side tells of each group. */
export interface GroupTimes {
  readonly name: string
  readonly seconds: number
  /** One time per object, in the order in which they were asked for. */
  readonly latenciesMs: readonly number[]
}

/** Everything on disk. */
export interface ObjectWorkload {
  /** Holds the plan and the folder with the objects. */
  readonly folder: string
  readonly objectsFolder: string
  readonly planPath: string
  readonly plan: ObjectPlan
  /** Bytes of the measured objects. */
  readonly sizeBytes: number
}

/** How one group is made. */
export interface GroupShape {
  readonly name: string
  readonly count: number
  readonly sizeBytes: number
  /** More objects of this size that are fetched before the clock starts. */
  readonly warmUpCount: number
}

/** Writes all objects and the plan. */
export async function createObjects(
  folder: string,
  shapes: readonly GroupShape[],
  options: { readonly seed: number; readonly atOnce: number },
): Promise<ObjectWorkload> {
  const objectsFolder = join(folder, "objects")
  await mkdir(objectsFolder, { recursive: true })
  const warmUp: BenchObject[] = []
  const groups: ObjectGroup[] = []
  for (const [index, { name, count, sizeBytes, warmUpCount }] of shapes.entries()) {
    const first = (options.seed * shapes.length + index) * SEEDS_PER_GROUP
    const make = (offset: number) => writeObject(objectsFolder, sizeBytes, first + offset)
    groups.push({ name, objects: Array.from({ length: count }, (_, nth) => make(nth)) })
    for (let nth = 0; nth < warmUpCount; nth++) warmUp.push(make(count + nth))
  }
  const plan: ObjectPlan = { warmUp, groups, atOnce: options.atOnce }
  const planPath = join(folder, "plan.json")
  writeFileSync(planPath, JSON.stringify(plan))
  const measured = groups.flatMap(({ objects }) => objects)
  const sizeBytes = measured.reduce((sum, object) => sum + object.sizeBytes, 0)
  return { folder, objectsFolder, planPath, plan, sizeBytes }
}

function writeObject(folder: string, sizeBytes: number, seed: number): BenchObject {
  const bytes = Buffer.concat([...randomChunks(sizeBytes, seed)])
  const digest = digestOfRaw(createHash("sha256").update(bytes).digest())
  writeFileSync(join(folder, hexOf(digest)), bytes)
  return { digest, sizeBytes }
}

/** Reads the plan of {@link createObjects}. */
export function readPlan(path: string): ObjectPlan {
  return JSON.parse(readFileSync(path, "utf8")) as ObjectPlan
}

/** Writes a torrent of all measured objects as one folder of files (BEP 3). @returns its path */
export function writeObjectsTorrent(workload: ObjectWorkload): string {
  const { lengthBytes } = pieceLayout(workload.sizeBytes)
  const hasher = new PieceHasher(lengthBytes)
  const objects = workload.plan.groups.flatMap((group) => group.objects)
  const files = objects.map(({ digest, sizeBytes }) => ({ name: hexOf(digest), sizeBytes }))
  for (const { name } of files) hasher.add(readFileSync(join(workload.objectsFolder, name)))
  const path = join(workload.folder, "objects.torrent")
  writeFileSync(path, encodeFolderTorrent("objects", files, hasher.finish()))
  return path
}
