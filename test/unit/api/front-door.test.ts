/** The front door's own pages on a real socket, with a plugin standing for the protocol fronts. */
import { request } from "node:http"
import { afterEach, beforeEach, expect, test } from "vitest"
import type { StatusReport } from "../../../src/api/api.ts"
import { createFrontDoor, type FrontDoor } from "../../../src/api/front-door.ts"
import { createPrometheusMetrics } from "../../../src/api/metrics.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"

const metrics = createPrometheusMetrics()
const status: StatusReport = {
  peerId: "12D3<script>",
  http: "http://127.0.0.1:1",
  p2p: [],
  control: "",
  pid: 1,
  version: "0.0.0",
  data: "",
  isReady: true,
  uptimeSeconds: 1,
  rssBytes: 1,
  store: { usedBytes: 0, quotaBytes: 0, blobCount: 0 },
  swarm: { uploadedBytes: 0, downloadedBytes: 0, sessionCount: 0 },
  peerCount: 0,
  flightCount: 0,
  public: { torrentCount: 0 },
  blocked: [],
  warnings: [{ code: "WITNESSES_UNHEARD", message: "few are heard" }],
}

let door: FrontDoor
let base: string
let isStoreOpen = true
let slow: { readonly entered: PromiseWithResolvers<void>; readonly end: PromiseWithResolvers<void> }
beforeEach(async () => {
  isStoreOpen = true
  slow = { entered: Promise.withResolvers(), end: Promise.withResolvers() }
  door = await createFrontDoor(
    { log: silentLogger, clock: systemClock, metrics },
    {
      checks: [{ name: "store", isReady: () => isStoreOpen }],
      status: () => status,
      guard: (app) => {
        app.addHook("onRequest", async (request, reply) => {
          if (request.headers.host?.startsWith("127.0.0.1") !== true) return reply.code(421).send()
        })
      },
      plugins: [
        async (app) => {
          app.get("/slow", async () => {
            slow.entered.resolve()
            await slow.end.promise
            return "done"
          })
        },
      ],
    },
  )
  const { host, port } = await door.listen({ host: "127.0.0.1", port: 0 })
  base = `http://${host}:${port}`
})
afterEach(() => door.stop({ deadlineMs: 500 }))

test("answers health and readiness, and why it is not ready", async () => {
  expect(await (await fetch(`${base}/healthz`)).text()).toBe("ok\n")
  expect((await fetch(`${base}/readyz`)).status).toBe(200)
  isStoreOpen = false
  const answer = await fetch(`${base}/readyz`)
  expect(answer.status).toBe(503)
  expect(await answer.json()).toEqual({
    ready: false,
    checks: { accepting: true, store: false },
  })
})

test("is not ready while it drains, but still answers", async () => {
  door.drain()
  expect((await fetch(`${base}/readyz`)).status).toBe(503)
  expect((await fetch(`${base}/healthz`)).status).toBe(200)
})

test("shows metrics of the process and of the rooms", async () => {
  const counter = metrics.counter("sealift_test_total", "A test.", ["kind"])
  counter.add(2, { kind: "a" })
  expect(metrics.counter("sealift_test_total", "A test.", ["kind"])).toBe(counter)
  metrics.histogram("sealift_test_seconds", "A test.", [1, 2]).observe(1.5)
  metrics.gauge("sealift_test_bytes", "A test.", () => 7)
  metrics.gauge("sealift_test_bytes", "A test, made again.", () => 8)
  await fetch(`${base}/healthz`)
  const text = await (await fetch(`${base}/metrics`)).text()
  expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m)
  expect(text).toContain("nodejs_eventloop_lag_seconds")
  expect(text).toContain('sealift_test_total{kind="a"} 2')
  expect(text).toContain('sealift_test_seconds_bucket{le="2"} 1')
  expect(text).toContain("sealift_test_bytes 8")
  expect(text).toMatch(/sealift_http_requests_total\{method="GET",status="200"\} \d/)
})

test("has a page that loads nothing from outside and escapes what it shows", async () => {
  const answer = await fetch(base)
  expect(answer.url).toBe(`${base}/ui/`)
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'")
  const html = await answer.text()
  expect(html).not.toMatch(/<script|src=|href=/)
  expect(html).toContain("12D3&#60;script&#62;")
  expect(html).toContain("<th>warning</th><td>few are heard</td>")
})

test("is behind its guard with every page, also those that do not exist", async () => {
  for (const path of ["/", "/healthz", "/metrics", "/ui/", "/slow", "/nothing"]) {
    expect(await statusFor(path, "evil.example")).toBe(421)
  }
})

test("says that there is no such path", async () => {
  const answer = await fetch(`${base}/nothing`)
  expect(answer.status).toBe(404)
  expect(await answer.json()).toMatchObject({ error: { code: "REQUEST_INVALID" } })
})

test("lets a running answer end while it stops, and accepts no new connection", async () => {
  const running = fetch(`${base}/slow`)
  await slow.entered.promise
  const stopping = door.stop({ deadlineMs: 5_000 })
  await expect(fetch(`${base}/healthz`)).rejects.toThrow()
  slow.end.resolve()
  expect(await (await running).text()).toBe("done")
  await stopping
})

test("cuts an answer that does not end within the deadline", async () => {
  const asking = request(new URL(`${base}/slow`))
  const cut = new Promise((resolve) => asking.once("error", resolve))
  asking.end()
  await slow.entered.promise
  await door.stop({ deadlineMs: 100 })
  expect(await cut).toMatchObject({ code: "ECONNRESET" })
})

test("tells when its address is taken", async () => {
  const other = await createFrontDoor(
    { log: silentLogger, clock: systemClock, metrics },
    { checks: [], status: () => status, guard: () => {}, plugins: [] },
  )
  const port = Number(new URL(base).port)
  await expect(other.listen({ host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "EADDRINUSE",
  })
  await other.stop({ deadlineMs: 100 })
})

/** Asks under another Host, which fetch does not allow. */
function statusFor(path: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request(new URL(path, base), { headers: { host } }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asking.once("error", reject).end()
  })
}
