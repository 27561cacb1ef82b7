/**
 * One side of a pull that is measured: skopeo as a process, and what the server used meanwhile.
 * @module
 */
import { join } from "node:path"
import { skopeoPull } from "../test/support/skopeo.ts"
import { resetUsage, usageSince } from "./peer-process.ts"
import type { Sample } from "./scenario.ts"
import { removeFolder } from "./workload.ts"

/** Copies an image into a folder, which is removed, and times the whole of it. */
export async function measureSkopeo(
  reference: string,
  server: { folder: string; pid: number },
): Promise<Sample> {
  const folder = join(server.folder, "pulled")
  const before = resetUsage(server.pid)
  const startMs = performance.now()
  await skopeoPull(reference, folder)
  const seconds = (performance.now() - startMs) / 1000
  const usage = { server: usageSince(server.pid, before) }
  removeFolder(folder)
  return { seconds, usage }
}
