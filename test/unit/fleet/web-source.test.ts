/** A fleet's files from a web server, and the folder that one gives. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { writeWebFolder } from "../../../src/fleet/web-folder.ts"
import { type WebSource, webSource } from "../../../src/fleet/web-source.ts"

const TIMESTAMP = "metadata/timestamp.json"
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const act of undo.splice(0).reverse()) await act()
})

async function serve(listener: RequestListener): Promise<WebSource> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  undo.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const source = webSource(systemClock, `http://127.0.0.1:${port}/lab`)
  undo.push(() => source.close())
  return source
}

describe("a web server as a source", () => {
  test("is asked below its URL, with names as they are", async () => {
    const asked: (string | undefined)[] = []
    const source = await serve((request, response) => {
      asked.push(request.url)
      response.end("bytes")
    })
    const bytes = await source.read("metadata/1.releases%2Facme.json", { bytesMax: 5 })
    expect(Buffer.from(bytes!).toString()).toBe("bytes")
    expect(asked).toEqual(["/lab/metadata/1.releases%252Facme.json"])
    expect(await source.read("../secret", { bytesMax: 5 })).toBeUndefined()
    expect(asked.length).toBe(1)
  })

  test.each([404, 410])("has no file when it answers %i", async (status) => {
    const source = await serve((_request, response) => response.writeHead(status).end())
    expect(await source.read(TIMESTAMP, { bytesMax: 5 })).toBeUndefined()
  })

  test.each([301, 403, 500])("is no help when it answers %i", async (status) => {
    const headers = { location: "http://127.0.0.1:1/" }
    const source = await serve((_request, response) => response.writeHead(status, headers).end())
    const reading = source.read(TIMESTAMP, { bytesMax: 5 })
    await expect(reading).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" })
  })

  test("is read no further than a file may be long", async () => {
    let sentBytes = 0
    const source = await serve((_request, response) => {
      const send = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sentBytes += 65_536
      }
      response.on("drain", send)
      response.on("error", () => {})
      send()
    })
    const reading = source.read(TIMESTAMP, { bytesMax: 100_000 })
    await expect(reading).rejects.toMatchObject({ code: "TUF_TOO_LARGE" })
    expect(sentBytes).toBeLessThan(50_000_000)
  })

  test("that is not there, or hangs up half way, is no help", async () => {
    const source = await serve((_request, response) => {
      response.writeHead(200, { "content-length": "100" }).write("half")
      setImmediate(() => response.destroy())
    })
    const gone = webSource(systemClock, "http://127.0.0.1:1/")
    undo.push(() => gone.close())
    for (const one of [source, gone]) {
      const reading = one.read(TIMESTAMP, { bytesMax: 1_000 })
      await expect(reading).rejects.toMatchObject({ code: "SOURCE_UNAVAILABLE" })
    }
  })

  test("ends with the signal's own reason", async () => {
    const source = await serve(() => {})
    const controller = new AbortController()
    const reason = new Error("no longer wanted")
    setTimeout(() => controller.abort(reason), 20)
    const { signal } = controller
    await expect(source.read(TIMESTAMP, { bytesMax: 5, signal })).rejects.toBe(reason)
  })
})

describe("a folder for a web server", () => {
  const fileOf = (name: string, text: string) => ({ name, bytes: Buffer.from(text) })

  test("gets what is new, and the timestamp each time", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sealift-web-"))
    undo.push(() => rmSync(folder, { recursive: true }))
    const first = [fileOf(TIMESTAMP, "1"), fileOf("metadata/1.root.json", "root")]
    expect(await writeWebFolder(folder, first)).toEqual({ files: 2, newFiles: 2 })
    // A root comes behind the timestamp: its keys may have signed nothing else yet.
    const timeOf = (name: string) => statSync(join(folder, name), { bigint: true }).mtimeNs
    expect(timeOf("metadata/1.root.json") >= timeOf(TIMESTAMP)).toBe(true)
    const next = [
      fileOf(TIMESTAMP, "2"),
      fileOf("metadata/1.root.json", "another"),
      fileOf("targets/ab.access.json", "list"),
    ]
    expect(await writeWebFolder(folder, next)).toEqual({ files: 3, newFiles: 2 })
    const read = (name: string) => readFileSync(join(folder, name), "utf8")
    expect([read(TIMESTAMP), read("metadata/1.root.json")]).toEqual(["2", "root"])
    expect(readdirSync(join(folder, "metadata")).toSorted()).toEqual([
      "1.root.json",
      "timestamp.json",
    ])
    expect(statSync(join(folder, TIMESTAMP)).mode & 0o777).toBe(0o644)
  })
})
