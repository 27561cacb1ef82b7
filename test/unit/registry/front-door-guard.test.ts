import { request } from "node:http"
import fastify, { type FastifyInstance } from "fastify"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { guardFrontDoor, isLoopback } from "../../../src/registry/front-door-guard.ts"

let app: FastifyInstance
let port: number
let writes = 0

beforeAll(async () => {
  app = fastify()
  guardFrontDoor(app, { hosts: () => ["node.example", "192.168.7.7", "fe80::7"] })
  app.get("/read", async () => "secret")
  app.get("/page", async (_request, reply) => {
    return reply.type("text/html").send("<script>fetch('/write', { method: 'POST' })</script>")
  })
  app.get("/own", async (_request, reply) => {
    return reply.header("content-security-policy", "default-src 'self'").send("ours")
  })
  app.post("/write", async () => {
    writes++
    return "written"
  })
  await app.listen({ host: "127.0.0.1", port: 0 })
  port = (app.server.address() as { port: number }).port
})
afterAll(() => app.close())

interface Got {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
}

/** undici and fetch do not let a test choose its Host; node:http does. */
function send(method: string, path: string, headers: Record<string, string>): Promise<Got> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, method, path, headers, setHost: false }
    const sent = request(options, (answer) => {
      let body = ""
      answer.on("data", (part: Buffer) => {
        body += part.toString()
      })
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
      })
    })
    sent.on("error", reject)
    sent.end()
  })
}

const own = (): string => `127.0.0.1:${port}`

describe("Host", () => {
  test.each([
    "127.0.0.1:PORT",
    "127.0.0.1",
    "127.8.9.1:PORT",
    "localhost:PORT",
    "LocalHost:PORT",
    "localhost.:PORT",
    "[::1]:PORT",
    "node.example:PORT",
    "192.168.7.7:PORT",
    "[fe80::7]:PORT",
  ])("%s is this node", async (host) => {
    const answer = await send("GET", "/read", { host: host.replace("PORT", String(port)) })
    expect([answer.status, answer.body]).toEqual([200, "secret"])
  })

  test.each([
    "evil.example:PORT",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1:PORT",
    "0.0.0.0:PORT",
    "[::2]:PORT",
    "user@localhost",
    "",
    "localhost:99999999",
  ])("%j is foreign", async (host) => {
    const answer = await send("GET", "/read", { host: host.replace("PORT", String(port)) })
    expect([400, 421]).toContain(answer.status)
    expect(answer.body).not.toContain("secret")
  })

  test("that is foreign is refused with a body that clients can read", async () => {
    const answer = await send("GET", "/read", { host: "evil.example" })
    expect(answer.status).toBe(421)
    expect(JSON.parse(answer.body)).toMatchObject({
      errors: [{ code: "DENIED", detail: { code: "HOST_FOREIGN" } }],
    })
  })
})

describe("pages", () => {
  test.each([
    [{ origin: "http://evil.example" }],
    [{ origin: "null" }],
    [{ origin: "https://127.0.0.1" }],
    [{ "sec-fetch-site": "cross-site" }],
    [{ "sec-fetch-site": "same-site" }],
    [{ "sec-fetch-site": "nonsense" }],
  ])("with %o may neither read nor write, nor ask beforehand", async (headers) => {
    const before = writes
    for (const [method, path] of [
      ["GET", "/read"],
      ["POST", "/write"],
      ["OPTIONS", "/write"],
    ]) {
      const answer = await send(method!, path!, { host: own(), ...(headers as object) })
      expect(answer.status).toBe(403)
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined()
    }
    expect(writes).toBe(before)
  })

  test("of another port on this machine are foreign", async () => {
    const answer = await send("GET", "/read", { host: own(), origin: "http://127.0.0.1:1" })
    expect(answer.status).toBe(403)
  })

  test("of the node itself may read and write", async () => {
    const headers = { host: own(), origin: `http://${own()}`, "sec-fetch-site": "same-origin" }
    expect((await send("GET", "/read", headers)).status).toBe(200)
    expect((await send("POST", "/write", headers)).status).toBe(200)
  })

  test("that a user opened by hand may read", async () => {
    const headers = { host: own(), "sec-fetch-site": "none" }
    const answer = await send("GET", "/read", headers)
    expect(answer.status).toBe(200)
    expect(answer.headers["cross-origin-resource-policy"]).toBe("same-origin")
    expect(answer.headers["x-content-type-options"]).toBe("nosniff")
  })
})

describe("a page that came from outside, in the media type of a manifest", () => {
  test("runs nothing in the node's origin when a user opens it", async () => {
    const answer = await send("GET", "/page", { host: own(), "sec-fetch-site": "none" })
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "text/html"])
    const policy = String(answer.headers["content-security-policy"]).split("; ")
    expect(policy).toEqual(["default-src 'none'", "frame-ancestors 'none'", "sandbox"])
  })

  test("while pages of the node itself have their own policy", async () => {
    const answer = await send("GET", "/own", { host: own() })
    expect(answer.headers["content-security-policy"]).toBe("default-src 'self'")
  })
})

describe("writes", () => {
  test("come from loopback", async () => {
    expect((await send("POST", "/write", { host: own() })).status).toBe(200)
  })

  test("from another machine are refused, reads are not", async () => {
    for (const [method, url, status] of [
      ["POST", "/write", 403],
      ["GET", "/read", 200],
    ] as const) {
      const answer = await app.inject({
        method,
        url,
        headers: { host: "node.example" },
        remoteAddress: "192.168.7.8",
      })
      expect(answer.statusCode).toBe(status)
    }
  })

  test.each([
    ["127.0.0.1", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["127.5.5.5", true],
    ["192.168.1.1", false],
    ["::ffff:10.0.0.1", false],
    ["fe80::1", false],
    [undefined, false],
  ])("%s is loopback: %s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected)
  })
})
