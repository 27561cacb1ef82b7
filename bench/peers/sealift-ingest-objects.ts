/**
 * Fills a store with all objects of a plan: DIRECTORY OBJECTS-FOLDER PLAN.
 * @module
 */
import { createReadStream } from "node:fs"
import { join } from "node:path"
import { hexOf } from "../../src/core/digest.ts"
import { readPlan } from "../object-workload.ts"
import { openStore } from "./sealift-peer.ts"

const [directory, folder, planPath] = process.argv.slice(2) as [string, string, string]
const { warmUp, groups } = readPlan(planPath)
const store = await openStore(directory)
for (const { digest } of [...warmUp, ...groups.flatMap((group) => group.objects)]) {
  const source = createReadStream(join(folder, hexOf(digest)))
  await store.ingest(source, { expected: digest, isShared: true })
}
await store.close()
