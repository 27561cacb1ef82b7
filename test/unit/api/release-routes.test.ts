/** The routes of releases: names, lines of progress, files that go in and out, and what is refused. */

import fc from "fast-check"
import type { FastifyInstance } from "fastify"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { parseReleaseReference } from "../../../src/api/release-reference.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { encodeApprovalFile } from "../../../src/release/approval-file.ts"
import { type AssetVersion, formatAssetVersion } from "../../../src/release/asset-name.ts"
import { ReleaseError } from "../../../src/release/errors.ts"
import { OTHER_PEER, openReleaseApp, openReleaseWorld, type ReleaseWorld } from "./release-world.ts"

let rooms: ReleaseWorld
let app: FastifyInstance
beforeEach(async () => {
  rooms = await openReleaseWorld()
  app = openReleaseApp(rooms)
  await rooms.arrive(5)
  await rooms.arrive(6)
})
afterEach(() => app.close())

const get = async (url: string) => (await app.inject({ method: "GET", url })).json()
const send = (url: string, payload: object) => app.inject({ method: "POST", url, payload })
const raw = (url: string, bytes: Uint8Array) =>
  app.inject({
    ...{ method: "POST", url, payload: Buffer.from(bytes) },
    headers: { "content-type": "application/octet-stream" },
  })
async function lines(url: string, payload: object) {
  const answer = await send(url, payload)
  expect(answer.headers["content-type"]).toContain("application/x-ndjson")
  return answer.body
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
}

describe("a name", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,6}([._-][a-z0-9]{1,4})?$/)
  const asset = fc.record({
    namespace: part,
    name: fc
      .array(part, { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join("/"))
      .filter((name) => !name.split("/").some((one) => one.endsWith(".json"))),
    sequence: fc.oneof(fc.integer({ min: 1, max: 99 }), fc.constant(Number.MAX_SAFE_INTEGER)),
  })

  test("of a version is read back from its text, with and without release:", () => {
    fc.assert(
      fc.property(asset, (version: AssetVersion) => {
        const text = formatAssetVersion(version)
        expect(parseReleaseReference(text)).toEqual(version)
        expect(parseReleaseReference(`release:${text}`)).toEqual(version)
        const { namespace, name } = version
        expect(parseReleaseReference(`${namespace}/${name}`)).toEqual({ namespace, name })
      }),
      { numRuns: 100 },
    )
  })

  test.each([
    "model@1",
    "acme/model:1",
    "oci:acme/model",
    "acme/a__b@1",
    "acme/a.json@1",
    `acme/${"a/".repeat(8)}b@1`,
    "acme/model@0",
    "acme/model@9007199254740992",
  ])("%s is refused before anything is looked up", async (ref) => {
    const answer = await send("/v1/release/open", { ref })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.code).toBe("REFERENCE_INVALID")
    expect(rooms.calls).toEqual([])
  })

  test("without a number is the newest release", async () => {
    expect((await get("/v1/release?ref=acme/model")).ref).toBe("acme/model@6")
    expect((await get("/v1/release?ref=acme/model@5")).ref).toBe("acme/model@5")
  })
})

describe("a release that is not here", () => {
  test("is asked for anew, and awaited while it is on its way", async () => {
    const asked = get("/v1/release?ref=acme/model@7")
    await vi.waitFor(() => expect(rooms.calls).toEqual([["refresh"]]))
    await rooms.arrive(7)
    expect((await asked).ref).toBe("acme/model@7")
  })

  test("is given up after five seconds; one without a number at once", async () => {
    const clock = new VirtualClock()
    const own = openReleaseApp(rooms, clock)
    const ask = (ref: string) => own.inject({ method: "GET", url: `/v1/release?ref=${ref}` })
    expect((await ask("acme/other")).json().error.code).toBe("RELEASE_UNKNOWN")
    let answer: Awaited<ReturnType<typeof ask>> | undefined
    const asked = ask("acme/other@1").then((given) => {
      answer = given
    })
    await vi.waitFor(() => expect(rooms.calls).toHaveLength(2))
    await clock.advance(4_999)
    expect(answer).toBeUndefined()
    await clock.advance(1)
    await asked
    expect(answer?.statusCode).toBe(404)
    await own.close()
  })

  test("is unknown to a node without a fleet", async () => {
    rooms.isEnrolled = false
    const { error } = await get("/v1/release?ref=acme/model@6")
    expect(error).toMatchObject({
      code: "RELEASE_UNKNOWN",
      message: expect.stringContaining("in no fleet"),
    })
  })
})

describe("what a release is", () => {
  test("is listed, all or those of one name", async () => {
    const refs = async (query: string) =>
      (await get(`/v1/releases${query}`)).releases.map(({ ref }: { ref: string }) => ref)
    expect(await refs("")).toEqual(["acme/model@6", "acme/model@5"])
    expect(await refs("?ref=acme/model@5")).toEqual(["acme/model@5"])
    expect(await refs("?ref=acme/other")).toEqual([])
  })

  test("is shown with all that a party signs", async () => {
    const details = await get("/v1/release?ref=acme/model@5")
    expect(details).toMatchObject({
      ref: "acme/model@5",
      missing: ["safety"],
      audience: ["group:edge:4"],
      policy: { version: 3, isCurrent: true },
      access: { version: 12, isStale: false },
      isPostQuantum: true,
      inspectors: [],
      contents: [{ sizeBytes: 48 }],
    })
    expect(details.holders.map(({ name }: { name: string }) => name)).toEqual([
      "owner",
      "safety",
      "gate",
    ])
    rooms.policy = undefined
    expect((await get("/v1/release?ref=acme/model@5")).policy.isCurrent).toBe(false)
  })
})

describe("publish", () => {
  test("passes on what is asked, with defaults, and tells how far it is", async () => {
    const all = await lines("/v1/releases", {
      ...{ name: "acme/team/model", paths: ["/srv/model"], visibility: "sealed" },
      ...{ audience: ["edge"], slots: { arch: "arm64" }, lifeMs: 1000, floor: 1 },
      requires: ["acme/base@3"],
    })
    expect(all[0]).toEqual({ type: "progress", phase: "publish", doneBytes: 1, totalBytes: 2 })
    expect(all.at(-1)).toMatchObject({ type: "result", ref: "acme/team/model@1", files: 2 })
    expect(rooms.calls).toEqual([
      [
        "publish",
        {
          ...{ namespace: "acme", name: "team/model", paths: ["/srv/model"], gate: "open" },
          ...{ visibility: "sealed", audience: ["edge"], slots: { arch: "arm64" } },
          ...{ lifeMs: 1000, floor: 1 },
          requires: [{ namespace: "acme", name: "base", sequence: 3 }],
        },
      ],
    ])
  })

  test("passes on variants with their paths", async () => {
    const variants = [{ slots: { arch: "arm64" }, paths: ["/srv/arm"] }, { paths: ["/srv/any"] }]
    await lines("/v1/releases", { name: "acme/model", variants })
    expect(rooms.calls).toEqual([
      [
        "publish",
        {
          ...{ namespace: "acme", name: "model", paths: [], visibility: "fleet", audience: [] },
          ...{ gate: "open", variants: [variants[0], { ...variants[1], slots: {} }] },
        },
      ],
    ])
  })

  test("passes on an activation as statements have it", async () => {
    const activation = { podman: { container: "web" } }
    await lines("/v1/releases", { name: "acme/web", image: "a.example/web:1", activation })
    expect(rooms.calls).toEqual([
      [
        "publish",
        {
          ...{ namespace: "acme", name: "web", paths: [], image: "a.example/web:1" },
          ...{ visibility: "fleet", audience: [], gate: "open" },
          activation: { kind: "podman", container: "web", timeoutMs: 300_000 },
        },
      ],
    ])
  })

  test("refuses an activation that is none, before anything is done", async () => {
    const payload = { name: "acme/web", paths: ["/a"], activation: { files: "web" } }
    const { error } = (await send("/v1/releases", payload)).json()
    expect(error.code).toBe("PLAN_INVALID")
    expect(error.message).toContain("cannot use the activation: files: ")
    expect(rooms.calls).toEqual([])
  })

  test.each([
    [{}, "field name is missing"],
    [{ name: "acme/model", paths: ["model"] }, "field paths is not a paths"],
    [{ name: "acme/model", paths: ["/a\0b"] }, "field paths is not a paths"],
    [{ name: "acme/model", paths: [`/${"a".repeat(4096)}`] }, "field paths is not a paths"],
    [{ name: "acme/model", visibility: "secret" }, "not one of sealed, fleet, public"],
    [{ name: "acme/model", gate: "shut" }, "not one of open, hold, none"],
    [{ name: "acme/model", activation: "/srv" }, "field activation is not a object"],
    [{ name: "acme/model", requires: ["acme/base"] }, "is no NAMESPACE/NAME@SEQUENCE"],
    [{ name: "acme/model", parties: ["owner"] }, "field parties is not a objects"],
    [{ name: "acme/model", variants: ["arm"] }, "field variants is not a objects"],
    [{ name: "acme/model", variants: [{ paths: ["arm"] }] }, "field paths is not a paths"],
    [{ name: "acme/model", variants: [{ slots: { a: 1 } }] }, "field slots is not a labels"],
    [{ name: "acme/model", variants: [{ image: "a:1" }] }, "unknown field"],
  ])("refuses %j", async (payload, message) => {
    const answer = await send("/v1/releases", payload)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.message).toContain(message)
    expect(rooms.calls).toEqual([])
  })

  test("ends with the error when it fails", async () => {
    rooms.faults.set("publish", new ReleaseError("AUDIENCE_UNKNOWN", "no such group"))
    const all = await lines("/v1/releases", { name: "acme/model", paths: ["/a"] })
    expect(all.at(-1)).toMatchObject({ type: "error", error: { code: "AUDIENCE_UNKNOWN" } })
  })
})

describe("stage, open and verify", () => {
  test("end with what came of it", async () => {
    const stage = await lines("/v1/release/stage", { ref: "acme/model@5" })
    expect(stage.at(-1)).toMatchObject({ type: "result", ref: "acme/model@5", state: "announced" })
    const open = await lines("/v1/release/open", { ref: "acme/model@5", path: "/srv/out" })
    expect(open.at(-1)).toEqual({
      ...{ type: "result", ref: "acme/model@5", path: "/srv/out", files: 1 },
    })
    const verify = await lines("/v1/release/verify", { ref: "acme/model@5", isDeep: true })
    expect(verify.at(-1)).toMatchObject({ type: "result", wrongFiles: [] })
    expect(rooms.calls).toEqual([
      ["stage", 5],
      ["open", "/srv/out"],
      ["verify", true],
    ])
  })

  test("open into the data directory unless told otherwise, and nowhere relative", async () => {
    const open = await lines("/v1/release/open", { ref: "acme/model@5" })
    expect(open.at(-1).path).toBe("/nowhere/opened/acme/model/5")
    const relative = await send("/v1/release/open", { ref: "acme/model@5", path: "../out" })
    expect(relative.json().error.message).toContain("field path is not a path")
  })

  test("say which release does not open, and whose approval it waits for", async () => {
    const details = { parties: ["safety"] }
    rooms.faults.set("open", new ReleaseError("APPROVALS_MISSING", "some", { details }))
    const [error] = (await lines("/v1/release/open", { ref: "acme/model@5" })).slice(-1)
    expect(error.error).toEqual({
      code: "APPROVALS_MISSING",
      message: 'cannot open acme/model@5: 1 of 2 parties approved, waiting for "safety"',
      details: { parties: ["safety"], release: "acme/model@5" },
    })
    rooms.faults.set("open", new ReleaseError("GATE_REFUSED", "the gate says no"))
    const [refused] = (await lines("/v1/release/open", { ref: "acme/model@5" })).slice(-1)
    expect(refused.error).toMatchObject({
      code: "GATE_REFUSED",
      message: "cannot open acme/model@5: the gate says no",
    })
  })
})

describe("files", () => {
  test("of a release go out and come in as they are", async () => {
    const out = await app.inject({
      method: "GET",
      url: "/v1/release/bundle?ref=acme/model@5",
    })
    expect(out.headers["content-type"]).toBe("application/octet-stream")
    expect([...out.rawPayload]).toEqual([4, 5, 6])
    const back = await raw("/v1/release/bundle", new Uint8Array([7, 8]))
    expect(back.json()).toEqual({ ref: "acme/model@6" })
    expect(rooms.calls.at(-1)).toEqual(["import", Buffer.from([7, 8])])
  })

  test("of an approval bring it and its grants, and say who is missing", async () => {
    const approval = new Uint8Array([1])
    const grants = new Uint8Array([2])
    const answer = await raw("/v1/release/approval", encodeApprovalFile({ approval, grants }))
    expect(answer.json()).toEqual({
      ...{ ref: "acme/model@6", party: "owner", device: "ab".repeat(32), missing: ["safety"] },
      gate: "open",
    })
    expect(rooms.calls).toEqual([["addApproval", approval, grants]])
    rooms.decision = { kind: "approved", devices: new Set() }
    const bare = await raw(
      "/v1/release/approval",
      encodeApprovalFile({ approval, grants: undefined }),
    )
    expect(bare.json().missing).toEqual([])
    const broken = await raw("/v1/release/approval", Buffer.from("{}"))
    expect(broken.json().error.code).toBe("APPROVAL_INVALID")
  })

  test("of the gate are for one node", async () => {
    const grant = await send("/v1/release/gate-grant", { ref: "acme/model@5", node: OTHER_PEER })
    expect([...grant.rawPayload]).toEqual([1, 2, 3])
    expect(rooms.calls).toEqual([["grantGate", OTHER_PEER]])
    const back = await raw("/v1/release/gate-grant/import", grant.rawPayload)
    expect(back.json()).toEqual({ ref: "acme/model@6" })
  })

  test.each(["/v1/release/bundle", "/v1/release/approval", "/v1/release/gate-grant/import"])(
    "%s takes no empty body and no JSON",
    async (url) => {
      for (const answer of [await raw(url, new Uint8Array()), await send(url, { a: 1 })]) {
        expect(answer.statusCode).toBe(400)
        expect(answer.json().error.code).toBe("REQUEST_INVALID")
      }
      expect(rooms.calls).toEqual([])
    },
  )

  test("that are larger than their kind may be are refused", async () => {
    const large = new Uint8Array(4 * 1024 * 1024 + 1)
    const answer = await raw("/v1/release/gate-grant/import", large)
    expect(answer.json().error.code).toBe("REQUEST_INVALID")
    expect((await raw("/v1/release/bundle", large)).statusCode).toBe(200)
  })
})

describe("withdraw", () => {
  test("is by the targets role, or by what a device has signed", async () => {
    const ref = "acme/model@5"
    await send("/v1/release/withdraw", { ref, reason: "a wrong licence" })
    await send("/v1/release/withdraw", { ref, reason: "so", envelope: "AQI=" })
    expect(rooms.calls).toEqual([
      ["withdraw", 5, "a wrong licence", undefined],
      ["withdraw", 5, "so", new Uint8Array([1, 2])],
    ])
  })

  test("needs a reason, and an envelope that is base64", async () => {
    const ref = "acme/model@5"
    expect((await send("/v1/release/withdraw", { ref })).json().error.message).toContain("reason")
    const stray = await send("/v1/release/withdraw", { ref, reason: "so", envelope: "AQJ=" })
    expect(stray.json().error.message).toContain("no withdrawal in base64")
    expect(rooms.calls).toEqual([])
  })
})
