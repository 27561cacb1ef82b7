/** What travels when a node joins: invites, enrolments, fleet files. Round trips, cuts, flips. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { readEnrolment, signEnrolment } from "../../../src/fleet/enrolment.ts"
import { encodeFleetFiles, parseFleetFiles } from "../../../src/fleet/fleet-files.ts"
import { encodeInvite, type Invite, inviteKey, parseInvite } from "../../../src/fleet/invite.ts"
import { encodeJoinAnswer, parseJoinAnswer } from "../../../src/fleet/join-answer.ts"
import { parseFileRequest, parseNews } from "../../../src/fleet/tuf-message.ts"
import { createIdentity } from "../../../src/net/identity.ts"
import type { NamedBytes } from "../../../src/trust/tuf/publication.ts"

const FLEET = "ab".repeat(32)
const coded = (code: string) => expect.objectContaining({ code })
const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((raw) => Buffer.from(raw).toString("hex"))
const PEER = createIdentity().id

const invites: fc.Arbitrary<Invite> = fc.record({
  fleet: hex(32),
  issuer: fc.constant(PEER),
  addresses: fc.array(
    fc.webUrl().map((url) => url.slice(0, 512)),
    { maxLength: 16 },
  ),
  group: fc.constantFrom("", "edge", "lab-2.a"),
  expiresAtMs: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  id: hex(16),
  secret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
})

describe("an invite", () => {
  test("reads as it was written, also with white space around it", () => {
    fc.assert(
      fc.property(invites, (invite) => {
        const token = encodeInvite(invite)
        expect(token).toMatch(/^sealift-invite-1\.[A-Za-z0-9_-]+$/)
        const read = parseInvite(` ${token}\n`)
        expect({ ...read, secret: [...read.secret] }).toEqual({
          ...invite,
          secret: [...invite.secret],
        })
      }),
      { numRuns: 50 },
    )
  })

  test("has a key that all of fleet, issuer, group, expiry and secret decide", () => {
    fc.assert(
      fc.property(invites, invites, (one, other) => {
        const keyOf = (invite: Invite) => Buffer.from(inviteKey(invite)).toString("hex")
        for (const field of ["fleet", "group", "expiresAtMs", "secret"] as const) {
          const isSame = Buffer.from(String(one[field])).equals(Buffer.from(String(other[field])))
          expect(keyOf({ ...one, [field]: other[field] }) === keyOf(one)).toBe(isSame)
        }
        expect(keyOf({ ...one, issuer: createIdentity().id })).not.toBe(keyOf(one))
        expect(keyOf({ ...one, addresses: [], id: other.id })).toBe(keyOf(one))
      }),
      { numRuns: 20 },
    )
  })

  test("cut or changed anywhere is refused, or is another invite; its error does not quote it", () => {
    const [invite] = fc.sample(invites, { seed: 1, numRuns: 1 })
    const token = encodeInvite(invite!)
    for (let end = 0; end < token.length; end++) {
      expect(() => parseInvite(token.slice(0, end))).toThrow(coded("INVITE_INVALID"))
    }
    for (const bad of [
      `${token}=`,
      `${token}A`,
      token.replace("1.", "2."),
      "x".repeat(20_000),
      "",
    ]) {
      expect(() => parseInvite(bad)).toThrow(coded("INVITE_INVALID"))
    }
    const secret = Buffer.from(invite!.secret).toString("hex")
    const broken = Buffer.from(`{"secret":"${secret}",`).toString("base64url")
    const read = () => parseInvite(`sealift-invite-1.${broken}`)
    expect(read).toThrow(expect.not.objectContaining({ cause: expect.anything() }))
    expect(read).not.toThrow(secret)
  })
})

describe("an enrolment", () => {
  const identity = createIdentity()
  const net = { id: identity.id, sign: async (bytes: Uint8Array) => identity.sign(bytes) }
  const said = { invite: "00".repeat(16), labels: { arch: "arm64" }, version: "0.1.0" }

  test("is read if the node that it names has signed it, in this fleet", async () => {
    const file = await signEnrolment(net, FLEET, said)
    expect(readEnrolment(file, FLEET)).toEqual({ peer: identity.id, ...said })
    expect(() => readEnrolment(file, "cd".repeat(32))).toThrow(coded("ENROLMENT_INVALID"))
  })

  test("of another node, or changed, is refused", async () => {
    const other = createIdentity()
    const forged = { id: identity.id, sign: async (bytes: Uint8Array) => other.sign(bytes) }
    await expect(signEnrolment(forged, FLEET, said)).rejects.toThrow(coded("SIGNATURE_WRONG"))
    const file = JSON.parse(Buffer.from(await signEnrolment(net, FLEET, said)).toString())
    const payload = Buffer.from(file.payload, "base64").toString().replaceAll(identity.id, other.id)
    const changed = { ...file, payload: Buffer.from(payload).toString("base64") }
    const bytes = Buffer.from(JSON.stringify(changed))
    expect(() => readEnrolment(bytes, FLEET)).toThrow(coded("ENROLMENT_INVALID"))
    for (const noise of ["", "{}", "[]", JSON.stringify({ ...file, signatures: [] })]) {
      expect(() => readEnrolment(Buffer.from(noise), FLEET)).toThrow(coded("ENROLMENT_INVALID"))
    }
  })
})

describe("fleet files", () => {
  const names = fc.constantFrom("metadata/timestamp.json", "metadata/1.root.json", "targets/ab.x")
  const files = fc.uniqueArray(
    fc.record({ name: names, bytes: fc.uint8Array({ maxLength: 64 }) }),
    { selector: ({ name }) => name },
  )

  test("read as they were written, alone and in the answer to an invite", () => {
    fc.assert(
      fc.property(files, (written) => {
        const plain = (read: readonly NamedBytes[]) =>
          read.map(({ name, bytes }) => [name, ...bytes])
        expect(plain(parseFleetFiles(encodeFleetFiles(written)))).toEqual(plain(written))
        const answer = { name: "lab", addresses: ["/ip4/1.2.3.4/tcp/1"], files: written }
        const { files: read, ...rest } = parseJoinAnswer(encodeJoinAnswer(answer))
        expect(rest).toEqual({ name: "lab", addresses: answer.addresses })
        expect(plain(read)).toEqual(plain(written))
      }),
      { numRuns: 50 },
    )
  })

  test.each([
    ["a name outside a repository", [{ name: "keys/root.key", bytes: "" }]],
    ["a name that climbs", [{ name: "targets/../../x", bytes: "" }]],
    ["one name twice", Array(2).fill({ name: "metadata/timestamp.json", bytes: "" })],
    ["bytes that are no base64", [{ name: "metadata/timestamp.json", bytes: "*" }]],
  ])("with %s are refused", (_, entries) => {
    const bundle = Buffer.from(JSON.stringify({ v: 1, files: entries }))
    expect(() => parseFleetFiles(bundle)).toThrow(coded("FLEET_FILES_INVALID"))
  })

  test("of any bytes are read or refused by code, as are requests and news", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json().map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
        (bytes) => {
          expect(() => parseFleetFiles(bytes)).toThrow(coded("FLEET_FILES_INVALID"))
          expect(() => parseFileRequest(bytes)).toThrow(coded("TUF_FILE_UNKNOWN"))
          expect(parseNews(bytes)).toBeUndefined()
        },
      ),
      { numRuns: 50 },
    )
  })
})
