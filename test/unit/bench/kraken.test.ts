/** How the suite sets and starts Kraken's programs; Kraken itself is not needed here. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { KrakenPrograms } from "../../../bench/contenders/kraken-programs.ts"
import {
  agentSettings,
  KRAKEN_NGINX_FOLDER,
  krakenBlobPath,
  originSettings,
  trackerSettings,
} from "../../../bench/contenders/kraken-settings.ts"
import { freePort } from "../../support/process.ts"
import { openWorkspace } from "../../support/workspace.ts"

const workspace = openWorkspace("kraken")
afterAll(() => workspace.close())

// Starts what Kraken starts, tells both process ids, and says that it is well.
const LIKE_KRAKEN = `#!${process.execPath}
const { spawn } = require("node:child_process")
const { createServer } = require("node:http")
const { readFileSync } = require("node:fs")
const { port, told } = JSON.parse(readFileSync(process.argv[3], "utf8"))
const child = spawn("sudo", ["/usr/sbin/nginx"])
require("node:fs").writeFileSync(told, JSON.stringify([process.pid, child.pid]))
createServer((_request, response) => response.end("OK")).listen(port, "127.0.0.1")
`

/** Tells whether a process runs; one that ended and waits for its parent does not. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

describe("settings", () => {
  const all = [
    agentSettings("/a/host0", { tracker: "10.0.0.1" }),
    trackerSettings("/a/tracker", "10.0.0.1"),
    originSettings("/a/origin", "10.0.0.1", "4MB"),
  ]

  test("nothing is encrypted, in either direction", () => {
    const tls = { server: { disabled: true }, client: { disabled: true } }
    expect(all.map((settings) => settings.tls)).toEqual([tls, tls, tls])
  })

  test("no two programs write the same file for nginx", () => {
    const names = all.map(({ nginx }) =>
      join(KRAKEN_NGINX_FOLDER, (nginx as { name: string }).name),
    )
    expect(names).toEqual(["/a/host0/nginx.conf", "/a/tracker/nginx.conf", "/a/origin/nginx.conf"])
  })

  test("the torrent plane keeps Kraken's own limits, which are not named", () => {
    const { scheduler } = all[0] as { scheduler: Record<string, unknown> }
    expect(Object.keys(scheduler)).toEqual(["log", "torrentlog", "dispatch", "conn"])
    expect(scheduler.conn).toEqual({ bandwidth: { enable: true } })
    expect(scheduler.dispatch).toEqual({ piece_request_policy: "rarest_first" })
  })

  test("a blob lies in a folder of its first two bytes", () => {
    expect(krakenBlobPath("/a", "sha256:0123456789")).toBe("/a/cache/01/23/0123456789/data")
  })
})

describe("programs", () => {
  test("end with all that they started", async () => {
    const folder = join(await workspace.folder("programs"), "host0")
    mkdirSync(folder)
    const path = join(folder, "like-kraken.cjs")
    writeFileSync(path, LIKE_KRAKEN, { mode: 0o755 })
    const port = await freePort()
    const told = join(folder, "told.json")
    const programs = new KrakenPrograms()
    const settings = { port, told }
    const health = `http://127.0.0.1:${port}/health`
    const pid = await programs.startKraken(folder, health, { path, settings, words: [] })
    const pids = JSON.parse(readFileSync(told, "utf8")) as number[]
    expect(pids[0]).toBe(pid)
    expect(pids.map(isThere)).toEqual([true, true])
    await programs.stop()
    await expect.poll(() => pids.map(isThere)).toEqual([false, false])
  })

  test("that end at their start are named", async () => {
    const folder = await workspace.folder("broken")
    const program = { path: "/bin/false", settings: {}, words: [] }
    const start = new KrakenPrograms().startKraken(folder, "http://127.0.0.1:1/health", program)
    await expect(start).rejects.toThrow("/bin/false ended at its start")
  })
})
