/**
 * A container client's pull in a process of its own. Is told `{base, repository, tag}` and pulls; as
 * often as it is told. With `tellsFirstByte` it says when that came, as soon as it does.
 * @module
 */
import { type PullTarget, pullImage } from "../registry-client.ts"
import { hear, say } from "./lines.ts"

const PULL_MS_MAX = 600_000

say({ event: "ready" })
for (let order = await hear(); order !== undefined; order = await hear()) {
  const signal = AbortSignal.timeout(PULL_MS_MAX)
  const tell = (firstByteSeconds: number) => say({ event: "first-byte", firstByteSeconds })
  const onFirstByte = order.tellsFirstByte === true ? tell : () => {}
  const options = { signal, onFirstByte }
  const { seconds, firstByteSeconds } = await pullImage(order as unknown as PullTarget, options)
  say({ event: "done", seconds, firstByteSeconds })
}
process.exit(0)
