/**
 * The receiving side of the raw limit: PATH SIZE. Writes what it receives where it stood.
 * @module
 */
import { ftruncateSync, openSync, writeSync } from "node:fs"
import { connect } from "node:net"
import { hear, say } from "./lines.ts"

const BUFFER_BYTES = 1024 * 1024
const path = process.argv[2]!
const sizeBytes = Number(process.argv[3])
const file = openSync(path, "w")
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)

say({ event: "ready" })
const order = await hear()
const startMs = performance.now()
ftruncateSync(file, sizeBytes)
let at = 0
const write = (count: number) => {
  for (let done = 0; done < count; ) done += writeSync(file, buffer, done, count - done, at + done)
  at += count
  if (at === sizeBytes) say({ event: "done", seconds: (performance.now() - startMs) / 1000 })
  return true
}
connect({ port: Number(order?.port), host: "127.0.0.1", onread: { buffer, callback: write } })
await hear()
process.exit(0)
