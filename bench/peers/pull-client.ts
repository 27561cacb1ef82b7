/**
 * A container client's pull in a process of its own. Is told `{base, repository, tag}` and pulls; as
 * often as it is told.
 * @module
 */
import { type PullTarget, pullImage } from "../registry-client.ts"
import { hear, say } from "./lines.ts"

const PULL_MS_MAX = 600_000

say({ event: "ready" })
for (let order = await hear(); order !== undefined; order = await hear()) {
  const signal = AbortSignal.timeout(PULL_MS_MAX)
  const { seconds, firstByteSeconds } = await pullImage(order as unknown as PullTarget, { signal })
  say({ event: "done", seconds, firstByteSeconds })
}
process.exit(0)
