/**
 * The fetching side of plain HTTP with many objects: DIRECTORY PLAN ORIGIN. Kept connections; each
 * object is hashed and written to a file of its own, renamed when its digest is right.
 * @module
 */
import { createHash } from "node:crypto"
import { rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Pool } from "undici"
import { digestOfRaw, hexOf } from "../../src/core/digest.ts"
import { type BenchObject, readPlan } from "../object-workload.ts"
import { hear, say } from "./lines.ts"
import { fetchGroups, fetchWarmUp } from "./object-fetching.ts"

const [directory, planPath, origin] = process.argv.slice(2) as [string, string, string]
const plan = readPlan(planPath)
const pool = new Pool(origin, { connections: plan.atOnce, pipelining: 1 })

const fetch = async ({ digest }: BenchObject) => {
  const name = hexOf(digest)
  const { statusCode, body } = await pool.request({ method: "GET", path: `/${name}` })
  const bytes = new Uint8Array(await body.arrayBuffer())
  const found = digestOfRaw(createHash("sha256").update(bytes).digest())
  if (statusCode !== 200 || found !== digest) throw new Error(`${statusCode}, ${found}`)
  await writeFile(join(directory, `${name}.part`), bytes)
  await rename(join(directory, `${name}.part`), join(directory, name))
}

say({ event: "ready" })
await hear()
await fetchWarmUp(plan, fetch)
say({ event: "connected" })
await hear()
const groups = await fetchGroups(plan, fetch)
const seconds = groups.reduce((sum, group) => sum + group.seconds, 0)
say({ event: "done", seconds, groups })
await hear()
await pool.destroy()
process.exit(0)
