/**
 * Kraken as one of many: `seed PROGRAMS FOLDER ADDRESS DIGEST FILE REDIS PIECES` runs tracker and origin and
 * gives the file to the origin; `fetch PROGRAMS FOLDER ADDRESS DIGEST TRACKER` runs an agent and asks it
 * for the blob when it is told.
 * @module
 */
import { once } from "node:events"
import { open } from "node:fs/promises"
import { get, type IncomingMessage } from "node:http"
import { join } from "node:path"
import { KrakenPrograms } from "../contenders/kraken-programs.ts"
import {
  agentSettings,
  KRAKEN_NAMESPACE,
  KRAKEN_PORTS,
  originSettings,
  trackerSettings,
} from "../contenders/kraken-settings.ts"
import { hear, say } from "./lines.ts"

// As Kraken's own client does.
const CHUNK_BYTES = 16 * 1024 * 1024

const [role, binaries, folder, address, digest, place, redis, pieces] = process.argv.slice(2) as [
  "seed" | "fetch",
  string,
  string,
  string,
  string,
  string,
  string?,
  string?,
]
const programs = new KrakenPrograms()
// Also in the midst of a fetch.
process.stdin.once("end", async () => {
  await programs.stop()
  process.exit(0)
})
await (role === "seed" ? seed(place, { redis: redis!, pieces: pieces! }) : fetchOnce(place))

async function seed(path: string, options: { redis: string; pieces: string }): Promise<void> {
  const origin = `http://${address}:${KRAKEN_PORTS.origin}`
  const originFolder = join(folder, "origin")
  // What the origin uses is what counts: the tracker moves no bytes of the blob.
  const pid = await programs.startKraken(originFolder, `${origin}/health`, {
    path: join(binaries, "origin"),
    settings: originSettings(originFolder, address, options.pieces),
    words: [
      ...["-peer-ip", address, "-peer-port", String(KRAKEN_PORTS.originPeer)],
      ...["-blobserver-hostname", address, "-blobserver-port", String(KRAKEN_PORTS.origin)],
    ],
  })
  await upload(`${origin}/namespace/${KRAKEN_NAMESPACE}/blobs/${digest}/uploads`, path)
  await programs.startRedis(options.redis, KRAKEN_PORTS.redis)
  const trackerFolder = join(folder, "tracker")
  const tracker = `http://${address}:${KRAKEN_PORTS.tracker}`
  await programs.startKraken(trackerFolder, `${tracker}/health`, {
    path: join(binaries, "tracker"),
    settings: trackerSettings(trackerFolder, address),
    words: ["-port", String(KRAKEN_PORTS.tracker)],
  })
  say({ event: "ready", address, pid })
}

async function fetchOnce(tracker: string): Promise<void> {
  const agent = `http://127.0.0.1:${KRAKEN_PORTS.agent}`
  const pid = await programs.startKraken(folder, `${agent}/health`, {
    path: join(binaries, "agent"),
    settings: agentSettings(folder, { tracker }),
    words: [
      ...["-peer-ip", address, "-peer-port", String(KRAKEN_PORTS.agentPeer)],
      ...["-agent-server-port", String(KRAKEN_PORTS.agent)],
      ...["-agent-registry-port", String(KRAKEN_PORTS.agentRegistry)],
    ],
  })
  say({ event: "ready", address, pid })
  await hear()
  // It learns of the others from its tracker, once it fetches.
  say({ event: "connected" })
  await hear()
  const startMs = performance.now()
  await drain(`${agent}/namespace/${KRAKEN_NAMESPACE}/blobs/${digest}`)
  say({ event: "done", seconds: (performance.now() - startMs) / 1000 })
}

/** Gives a file to an origin, which checks its digest and cuts it into pieces. */
async function upload(url: string, path: string): Promise<void> {
  const started = await expectOk(await fetch(url, { method: "POST" }))
  const place = `${url}/${started.headers.get("location")}`
  const file = await open(path)
  const chunk = Buffer.alloc(CHUNK_BYTES)
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, at)
    if (bytesRead === 0) break
    const headers = { "Content-Range": `${at}-${at + bytesRead}` }
    const body = chunk.subarray(0, bytesRead)
    await expectOk(await fetch(place, { method: "PATCH", headers, body }))
    at += bytesRead
  }
  await file.close()
  await expectOk(await fetch(place, { method: "PUT" }))
}

async function expectOk(response: Response): Promise<Response> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`)
  return response
}

/** Reads all that an agent answers, for which it may take any time. */
async function drain(url: string): Promise<void> {
  const [response] = (await once(get(url), "response")) as [IncomingMessage]
  response.resume()
  await once(response, "end")
  if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
}
