/** The front door of a node in a fleet: what everybody on the machine may do, and what takes the token. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fastify, { type FastifyInstance } from "fastify"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { guardFrontDoor } from "../../../src/registry/front-door-guard.ts"
import { hasToken, loadFrontDoorToken } from "../../../src/registry/front-door-token.ts"

const TOKEN = "t".repeat(43)
const LOOPBACK = "127.0.0.1"
const REMOTE = "192.168.7.8"
let app: FastifyInstance
let isLocked = true
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-token-"))
  app = fastify()
  guardFrontDoor(app, {
    hosts: () => ["node.example"],
    lock: { isLocked: () => isLocked, token: TOKEN },
  })
  app.all("/*", async () => "served")
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  isLocked = true
})

const basic = (password: string) => `Basic ${Buffer.from(`any:${password}`).toString("base64")}`

async function send(
  method: string,
  url: string,
  options: { authorization?: string; from?: string } = {},
) {
  const { authorization, from = LOOPBACK } = options
  const headers = { host: "node.example:7070", ...(authorization && { authorization }) }
  const answer = await app.inject({ method: method as "GET", url, headers, remoteAddress: from })
  return { status: answer.statusCode, challenge: answer.headers["www-authenticate"], answer }
}

const IMAGE = "/v2/docker.io/library/alpine/manifests/latest"

describe("in a fleet", () => {
  test.each([
    IMAGE,
    "/v2/team/app/blobs/sha256:00",
    "/",
    "/ui/",
    "/metrics",
    "/healthz",
    "/readyz",
  ])("everybody on this machine reads %s", async (path) => {
    for (const method of ["GET", "HEAD"]) expect((await send(method, path)).status).toBe(200)
  })

  test.each([
    ["POST", "/v2/team/app/blobs/uploads/"],
    ["PUT", "/v2/team/app/manifests/v1"],
    ["PATCH", "/v2/team/app/blobs/uploads/1"],
    ["DELETE", "/v2/team/app/manifests/v1"],
    ["GET", "/api/anything"],
    ["GET", "/v3/"],
  ])("%s %s takes the token, as any user's password or as a bearer", async (method, path) => {
    const refused = await send(method, path)
    expect([refused.status, refused.challenge]).toEqual([
      401,
      'Basic realm="sealift", charset="UTF-8"',
    ])
    expect(refused.answer.json()).toMatchObject({
      errors: [{ code: "UNAUTHORIZED", detail: { code: "TOKEN_REQUIRED" } }],
    })
    for (const authorization of [basic(TOKEN), `Bearer ${TOKEN}`, `bearer ${TOKEN}`]) {
      expect((await send(method, path, { authorization })).status).toBe(200)
    }
    for (const authorization of [
      basic("wrong"),
      "Bearer wrong",
      "Bearer none",
      "Basic Og==",
      "?",
    ]) {
      expect((await send(method, path, { authorization })).status).toBe(401)
    }
  })

  test("wrong credentials do not keep anybody from reading", async () => {
    expect((await send("GET", IMAGE, { authorization: basic("wrong") })).status).toBe(200)
  })

  test("from another machine nothing is read without the token, but whether the node lives", async () => {
    for (const path of [IMAGE, "/v2/", "/ui/", "/metrics", "/token"]) {
      expect((await send("GET", path, { from: REMOTE })).status).toBe(401)
    }
    expect((await send("GET", "/healthz", { from: REMOTE })).status).toBe(200)
    const authorization = basic(TOKEN)
    expect((await send("GET", IMAGE, { authorization, from: REMOTE })).status).toBe(200)
    const write = await send("PUT", IMAGE, { authorization, from: REMOTE })
    expect(write.status).toBe(403)
  })

  test("a client learns at /v2/ where it gets a token, and gets on without one, too", async () => {
    const asked = await send("GET", "/v2/")
    const realm = 'Bearer realm="http://node.example:7070/token",service="sealift"'
    expect([asked.status, asked.challenge]).toEqual([401, realm])
    const tokenOf = async (authorization?: string) => {
      const answer = await send(
        "GET",
        "/token?service=sealift",
        authorization ? { authorization } : {},
      )
      return [answer.status, answer.answer.json().token]
    }
    expect(await tokenOf()).toEqual([200, "none"])
    expect(await tokenOf(basic(TOKEN))).toEqual([200, TOKEN])
    expect(await tokenOf(basic("wrong"))).toEqual([401, undefined])
    expect((await send("GET", "/v2/", { authorization: "Bearer none" })).status).toBe(200)
    expect((await send("GET", "/v2/", { authorization: `Bearer ${TOKEN}` })).status).toBe(200)
  })

  test("web pages are refused as ever, with the token too", async () => {
    const headers = {
      host: "node.example",
      authorization: basic(TOKEN),
      origin: "http://evil.example",
    }
    expect((await app.inject({ method: "GET", url: IMAGE, headers })).statusCode).toBe(403)
  })
})

test("without a fleet nothing takes a token", async () => {
  isLocked = false
  for (const [method, path] of [
    ["GET", "/v2/"],
    ["PUT", IMAGE],
    ["GET", "/api/anything"],
  ] as const) {
    const { status, challenge } = await send(method, path)
    expect([status, challenge]).toEqual([200, undefined])
  }
  expect((await send("GET", IMAGE, { from: REMOTE })).status).toBe(200)
  expect((await send("GET", "/token")).status).toBe(404)
})

describe("the token's file", () => {
  test("is made once, for its owner alone", async () => {
    const path = join(folder, "token")
    const token = await loadFrontDoorToken(path)
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(await loadFrontDoorToken(path)).toBe(token)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(hasToken(basic((await readFile(path, "utf8")).trim()), token)).toBe(true)
  })

  test.each([
    ["others may read", TOKEN, 0o644],
    ["holds no token", "short", 0o600],
    ["is empty", "", 0o600],
  ])("that %s is refused", async (what, text, mode) => {
    const path = join(folder, what)
    await writeFile(path, text)
    await chmod(path, mode)
    await expect(loadFrontDoorToken(path)).rejects.toMatchObject({ code: "SECRET_FILE_INVALID" })
  })
})
