/** The routes of the fleet: what reaches the desk, what is refused before it, what a node without one says. */
import type { FastifyInstance } from "fastify"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { encodeJson } from "../../../src/core/json.ts"
import { parseDevicePublic } from "../../../src/fleet/device.ts"
import { FleetError } from "../../../src/fleet/errors.ts"
import { encodeFleetFiles } from "../../../src/fleet/fleet-files.ts"
import { encodeNodeKeys, parseNodeKeys } from "../../../src/fleet/node-key-file.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import type { TufSource } from "../../../src/trust/tuf/tuf-source.ts"
import { parseWitnessList } from "../../../src/trust/witness-list.ts"
import { FLEET } from "../release/world.ts"
import {
  deviceOf,
  GATE_DEVICE,
  OTHER_PEER,
  openReleaseApp,
  openReleaseWorld,
  PEER,
  policyOfDevices,
  type ReleaseWorld,
} from "./release-world.ts"

const KEY = createSigningKey().publicKey

let rooms: ReleaseWorld
let app: FastifyInstance
beforeEach(async () => {
  rooms = await openReleaseWorld()
  app = openReleaseApp(rooms)
})
afterEach(() => app.close())

async function ask(method: "GET" | "POST", url: string, payload?: object) {
  const answer = await app.inject({ method, url, ...(payload && { payload }) })
  return { status: answer.statusCode, body: answer.json() }
}
const post = (url: string, payload: object) => ask("POST", url, payload)
const raw = (url: string, payload: Buffer) =>
  app.inject({
    ...{ method: "POST", url, payload },
    headers: { "content-type": "application/octet-stream" },
  })

describe("acts of the operator", () => {
  test.each([
    ["/v1/fleet/init", { name: "lab" }, ["init", { name: "lab" }]],
    ["/v1/fleet/join", { token: "sealift-invite-1.abc" }, ["join", "sealift-invite-1.abc"]],
    ["/v1/fleet/renew", {}, ["renew"]],
    ["/v1/fleet/desk", {}, ["takeDesk"]],
    ["/v1/fleet/rotate", { role: "access" }, ["rotate", "access", {}]],
    ["/v1/fleet/rotate", { role: "plan", isLost: true }, ["rotate", "plan", { isLost: true }]],
    ["/v1/fleet/revoke", { peers: [PEER] }, ["revoke", [PEER]]],
    [
      "/v1/fleet/invite",
      { group: "edge", labels: { arch: "arm64" } },
      ["invite", { group: "edge", labels: { arch: "arm64" }, lifeMs: 3_600_000 }],
    ],
    [
      "/v1/fleet/admit",
      { peer: OTHER_PEER, isAnchor: true },
      ["admit", { peer: OTHER_PEER, groups: [], labels: {}, isAnchor: true }],
    ],
    [
      "/v1/fleet/group",
      { action: "remove", group: "edge", peers: [PEER] },
      ["removeFromGroup", "edge", [PEER]],
    ],
    [
      "/v1/fleet/group",
      { action: "add", group: "edge", peers: [PEER] },
      ["addToGroup", "edge", [PEER]],
    ],
  ])("%s %j reaches the desk as %j", async (url, payload, call) => {
    expect((await post(url, payload)).status).toBe(200)
    expect(rooms.calls).toEqual([call])
  })

  test.each([
    ["/v1/fleet/init", {}, "field name is missing"],
    ["/v1/fleet/join", { token: "a".repeat(8193) }, "field token is not a link"],
    ["/v1/fleet/invite", { labels: { arch: 64 } }, "field labels is not a labels"],
    ["/v1/fleet/invite", { lifeMs: 1.5 }, "field lifeMs is not a count"],
    ["/v1/fleet/group", { action: "move", group: "a", peers: [] }, "not one of add, remove"],
    ["/v1/fleet/renew", { force: true }, 'unknown field "force"; allowed: none'],
  ])("%s %j is refused before the desk is asked", async (url, payload, message) => {
    const { status, body } = await post(url, payload)
    expect(status).toBe(400)
    expect(body.error.code).toBe("REQUEST_INVALID")
    expect(body.error.message).toContain(message)
    expect(rooms.calls).toEqual([])
  })

  test.each([
    ["ROLE_KEY_MISSING", 403],
    ["PEER_UNKNOWN", 404],
    ["FLEET_REQUEST_INVALID", 400],
    ["DESK_CONFLICT", 409],
  ] as const)("that the desk refuses with %s answer %i", async (code, status) => {
    rooms.faults.set("revoke", new FleetError(code, "refused"))
    const answer = await post("/v1/fleet/revoke", { peers: [PEER] })
    expect(answer).toEqual({ status, body: { error: { code, message: "refused" } } })
  })
})

describe("a draft", () => {
  const held = { roles: ["root", "targets"], keys: [KEY], threshold: 1 }

  test.each([
    { act: "found", name: "lab", held: [held, { ...held, roles: ["plan"] }] },
    { act: "hold", ...held },
    { act: "renew" },
  ])("%j reaches the desk as it is", async (request) => {
    const { statusCode, body } = await app.inject({
      ...{ method: "POST", url: "/v1/fleet/draft", payload: request },
    })
    expect({ statusCode, body }).toEqual({ statusCode: 200, body: "a draft" })
    expect(rooms.calls).toEqual([["draft", request]])
  })

  test.each([
    [{ act: "found", name: "lab" }, "field held is missing"],
    [{ act: "found", held: [held] }, "field name is missing"],
    [{ act: "found", name: "lab", held: [{ ...held, name: "x" }] }, 'unknown field "name"'],
    [{ act: "found", name: "lab", held: [held], keys: [] }, 'unknown field "keys"'],
    [{ act: "hold", ...held, held: [held] }, 'unknown field "held"'],
    [{ act: "renew", name: "lab" }, 'unknown field "name"'],
    [{ act: "make" }, "not one of found, hold, renew, policy, witness"],
  ])("%j is refused before the desk is asked", async (request, message) => {
    const { status, body } = await post("/v1/fleet/draft", request)
    expect([status, body.error.code]).toEqual([400, "REQUEST_INVALID"])
    expect(body.error.message).toContain(message)
    expect(rooms.calls).toEqual([])
  })
})

describe("a policy", () => {
  test("is shown with its parties and its gate", async () => {
    const { body } = await ask("GET", "/v1/fleet/policy?namespace=acme")
    expect(body).toMatchObject({ namespace: "acme", version: 3, isStale: false })
    expect(body.parties.map((party: { name: string }) => party.name)).toEqual(["owner", "safety"])
    expect(body.gate).toMatchObject({ name: "gate", threshold: 1 })
    expect(body.parties[0].devices[0].state).toBe("active")
  })

  test("that a namespace does not have is POLICY_MISSING", async () => {
    rooms.policy = undefined
    const { status, body } = await ask("GET", "/v1/fleet/policy?namespace=acme")
    expect(status).toBe(403)
    expect(body.error.code).toBe("POLICY_MISSING")
  })

  test("is set of devices whose files were read here", async () => {
    const owner = await deviceOf("owner")
    const keeper = await deviceOf("keeper")
    await post("/v1/fleet/policy", {
      namespace: "acme",
      parties: [{ name: "owner", devices: [owner.file] }],
      gate: { threshold: 1, devices: [keeper.file] },
    })
    const { party, key, recipient } = owner.device
    expect(rooms.calls[0]).toMatchObject([
      "setPolicy",
      {
        namespace: "acme",
        parties: [{ name: "owner", threshold: 1, devices: [{ party, key, recipient }] }],
        gate: { devices: [{ key: keeper.device.key }] },
      },
    ])
  })

  test("of a device under another party's name, or with a false proof, is refused", async () => {
    const { file } = await deviceOf("owner")
    const swapped = await post("/v1/fleet/policy", {
      namespace: "acme",
      parties: [{ name: "safety", devices: [file] }],
    })
    expect(swapped.body.error.message).toContain('says that it is one of "owner"')
    const fields = JSON.parse(Buffer.from(file, "base64").toString())
    const forged = { ...fields, party: "safety" }
    const devices = [Buffer.from(JSON.stringify(forged)).toString("base64")]
    const answer = await post("/v1/fleet/policy", {
      namespace: "acme",
      parties: [{ name: "safety", devices }],
    })
    expect(answer.body.error.code).toBe("DEVICE_INVALID")
    expect(rooms.calls).toEqual([])
  })

  test("may have as many devices as a policy may: that is more than other bodies hold", async () => {
    const { file } = await deviceOf("owner")
    const devices = Array.from({ length: 256 }, () => file)
    const payload = { namespace: "acme", parties: [{ name: "owner", devices }] }
    expect(JSON.stringify(payload).length).toBeGreaterThan(512 * 1024)
    expect((await post("/v1/fleet/policy", payload)).status).toBe(200)
  })

  test("is compared by publish, and written only where there is none", async () => {
    const owner = await deviceOf("owner")
    const other = await deviceOf("owner")
    const publish = (file: string) =>
      app.inject({
        ...{ method: "POST", url: "/v1/releases" },
        payload: { name: "acme/model", parties: [{ name: "owner", devices: [file] }] },
      })
    rooms.policy = policyOfDevices(owner.device)
    expect((await publish(owner.file)).body).toContain('"type":"result"')
    expect(rooms.calls.map(([act]) => act)).toEqual(["publish"])
    const refused = JSON.parse((await publish(other.file)).body)
    expect(refused.error.code).toBe("POLICY_MISMATCH")
    expect(refused.error.message).toContain('other devices of "owner"')
    expect(rooms.calls).toHaveLength(1)
    rooms.policy = undefined
    const [first] = (await publish(other.file)).body.split("\n")
    expect(JSON.parse(first!)).toMatchObject({ type: "policy", namespace: "acme", version: 1 })
    expect(rooms.calls.map(([act]) => act)).toEqual(["publish", "setPolicy", "publish"])
  })
})

describe("the witnesses of a fleet", () => {
  const { publicKey: key } = createSigningKey()
  const rows = [{ peer: PEER, key }]
  const signed = encodeJson({ v: 1, fleet: FLEET, version: 3, threshold: 1, witnesses: rows })

  test("are those of the list that counts, with its digest", async () => {
    rooms.witnesses = { signed, counting: parseWitnessList(signed, FLEET) }
    const { status, body } = await ask("GET", "/v1/fleet/witness")
    expect([status, body]).toEqual([
      200,
      {
        ...{ version: 3, threshold: 1, faultyMax: 0, isStale: false, digest: digestOf(signed) },
        witnesses: [{ peer: PEER, key, isEnrolled: true, isConnected: true }],
      },
    ])
  })

  test("are none while the list that is signed is refused, or there is none", async () => {
    for (const one of [signed, undefined]) {
      rooms.witnesses = { signed: one, counting: undefined }
      const { status, body } = await ask("GET", "/v1/fleet/witness")
      expect([status, body.error.code]).toEqual([404, "WITNESSES_MISSING"])
    }
  })
})

describe("the gate's device of a node", () => {
  test("is made, and its public file is the answer", async () => {
    const answer = await app.inject({ method: "POST", url: "/v1/fleet/gate-key", payload: {} })
    expect(parseDevicePublic(answer.rawPayload).key).toBe(GATE_DEVICE.key)
    expect(rooms.calls).toEqual([["gateKey"]])
  })

  test("comes in as bytes", async () => {
    const answer = await raw("/v1/fleet/gate-key/import", Buffer.from("a key file"))
    expect(answer.statusCode).toBe(200)
    expect(rooms.calls).toEqual([["takeGateKey", expect.anything()]])
  })
})

describe("node keys by file", () => {
  test("go out as they are stated, of this node or of all", async () => {
    const own = await app.inject({ method: "GET", url: "/v1/fleet/node-keys" })
    expect(parseNodeKeys(own.rawPayload).statements.map(String)).toHaveLength(1)
    const all = await app.inject({ method: "GET", url: "/v1/fleet/node-keys?all=perhaps" })
    expect(all.json().error.code).toBe("REQUEST_INVALID")
    expect(rooms.calls.map(([act]) => act)).toEqual(["own", "gather"])
  })

  test("come in, each by itself", async () => {
    const statements = [PEER, OTHER_PEER].map((peer) => Buffer.from(peer))
    const file = Buffer.from(encodeNodeKeys({ fleet: FLEET, statements }))
    const answer = await raw("/v1/fleet/node-keys", file)
    expect(answer.json()).toEqual({ peers: [PEER, OTHER_PEER], refused: [] })
    const other = encodeNodeKeys({ fleet: "cd".repeat(32), statements })
    const refused = await raw("/v1/fleet/node-keys", Buffer.from(other))
    expect(refused.json().error.code).toBe("FLEET_WRONG")
  })
})

describe("the fleet's files", () => {
  test("let a node in that meets nobody", async () => {
    const files = [{ name: "metadata/timestamp.json", bytes: Buffer.from("{}") }]
    const body = Buffer.from(encodeFleetFiles(files))
    const answer = await raw(`/v1/fleet/join-files?fleet=${FLEET}`, body)
    expect(answer.json()).toMatchObject({ peer: PEER })
    expect(rooms.calls).toMatchObject([["joinByFiles", FLEET, [{ name: files[0]!.name }]]])
    const nameless = await raw("/v1/fleet/join-files", body)
    expect(nameless.json().error.code).toBe("REQUEST_INVALID")
  })

  test("come in as bytes, as a source that nobody trusts", async () => {
    const name = "metadata/timestamp.json"
    const bundle = encodeFleetFiles([{ name, bytes: Buffer.from("{}") }])
    let source: TufSource | undefined
    const takeFiles = async (given: TufSource) => {
      source = given
    }
    const own = openReleaseApp({ fleet: { ...rooms.fleet, takeFiles } })
    const answer = await own.inject({
      ...{ method: "POST", url: "/v1/fleet/files", payload: Buffer.from(bundle) },
      headers: { "content-type": "application/octet-stream" },
    })
    await own.close()
    expect(answer.json()).toMatchObject({ peer: PEER })
    const read = await source?.read(name, { bytesMax: 10 })
    expect(Buffer.from(read!).toString()).toBe("{}")
  })

  test("that are none are refused, and so is a body of another type", async () => {
    const broken = await raw("/v1/fleet/files", Buffer.from("no files"))
    expect(broken.json().error.code).toBe("FLEET_FILES_INVALID")
    const typed = await post("/v1/fleet/files", {})
    expect(typed.body.error.code).toBe("REQUEST_INVALID")
    expect(rooms.calls).toEqual([])
  })
})

test("a node that is in no fleet says how to come into one", async () => {
  rooms.isEnrolled = false
  const bare = openReleaseApp({})
  for (const url of ["/v1/fleet", "/v1/releases", "/v1/fleet/policy?namespace=acme"]) {
    const answer = await bare.inject({ method: "GET", url })
    expect(answer.statusCode).toBe(403)
    expect(answer.json().error.code).toBe("NOT_ENROLLED")
    expect(answer.json().error.message).toContain("sealift fleet join")
  }
  await bare.close()
  expect((await ask("GET", "/v1/releases")).body.error.code).toBe("NOT_ENROLLED")
  expect((await ask("GET", "/v1/fleet/files")).body.error.code).toBe("NOT_ENROLLED")
})
