/** Rosters as bytes, and proofs of places in them. */
import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  encodeRoster,
  parseRoster,
  placeProof,
  type Roster,
  rosterRoot,
  rosterSize,
  verifyPlace,
} from "../../../src/rollout/roster.ts"
import { peerIdOfKey } from "../../support/peer-id.ts"

const RUNS = { numRuns: process.env.SLOW === "1" ? 2_000 : 100 }
const WAVES = 4
const PEERS = Array.from({ length: 20 }, (_, number) =>
  peerIdOfKey(createHash("sha256").update(`peer ${number}`).digest()),
).toSorted()

const refused = expect.objectContaining({ code: "ROSTER_INVALID" })
const bytesOf = (text: string) => Buffer.from(text, "latin1")

/** Each node in a wave, or in none. */
const anyRoster: fc.Arbitrary<Roster> = fc
  .array(fc.integer({ min: -1, max: WAVES - 1 }), { maxLength: PEERS.length })
  .map((seats) => ({
    waves: Array.from({ length: WAVES }, (_, wave) =>
      PEERS.filter((_peer, number) => seats[number] === wave),
    ),
  }))

describe("a roster as bytes", () => {
  const [a, b] = PEERS

  it("is a line for each node, by peer id", () => {
    const bytes = encodeRoster({ waves: [[b!], [a!]] })
    expect(Buffer.from(bytes).toString()).toBe(`${a} 1\n${b} 0\n`)
  })

  it("is read as it was written", () => {
    fc.assert(
      fc.property(anyRoster, (roster) => {
        expect(parseRoster(encodeRoster(roster), WAVES)).toEqual(roster)
      }),
      RUNS,
    )
  })

  it("has one form: what is read is what would be written", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })
    fc.assert(
      fc.property(anyRoster, changes, (roster, places) => {
        const bytes = Buffer.from(encodeRoster(roster))
        for (const [place, byte] of places) if (bytes.length > 0) bytes[place % bytes.length] = byte
        let read: Roster
        try {
          read = parseRoster(bytes, WAVES)
        } catch (error) {
          expect(error).toEqual(refused)
          return
        }
        expect(Buffer.from(encodeRoster(read))).toEqual(bytes)
      }),
      RUNS,
    )
  })

  it.each([
    ["a line without an end", `${a} 0`],
    ["a line without a wave", `${a}\n`],
    ["a wave beyond the plan's", `${a} 4\n`],
    ["a wave with a zero before it", `${a} 01\n`],
    ["a wave below zero", `${a} -1\n`],
    ["two spaces", `${a}  0\n`],
    ["an empty line", `\n${a} 0\n`],
    ["a carriage return", `${a} 0\r\n`],
    ["a node twice", `${a} 0\n${a} 1\n`],
    ["nodes out of order", `${b} 0\n${a} 0\n`],
    ["what is no peer id", "12D3KooW 0\n"],
    ["a byte that is no ASCII", `${a}\u00a00\n`],
    ["more bytes than there may be", " ".repeat(560_001)],
  ])("is refused with %s", (_, text) => {
    expect(() => parseRoster(bytesOf(text), WAVES)).toThrow(refused)
  })

  it("is refused when it was cut, at each byte but the ends of lines", () => {
    const bytes = encodeRoster({ waves: [[a!], [b!], [], []] })
    for (let length = 1; length < bytes.length; length++) {
      if (bytes[length - 1] === 0x0a) continue
      expect(() => parseRoster(bytes.subarray(0, length), WAVES)).toThrow(refused)
    }
  })
})

describe("the place of a node", () => {
  it("is shown to whoever has the root, in its own wave and in no other", () => {
    fc.assert(
      fc.property(anyRoster, fc.constantFrom(...PEERS), (roster, peer) => {
        const [root, size] = [rosterRoot(roster), rosterSize(roster)]
        const wave = roster.waves.findIndex((peers) => peers.includes(peer))
        const place = placeProof(roster, peer)
        if (place === undefined) {
          expect(wave).toBe(-1)
          return
        }
        expect(place.wave).toBe(wave)
        verifyPlace(root, size, place)
        const other = PEERS.find((one) => one !== peer)!
        for (const wrong of [
          { ...place, wave: (wave + 1) % WAVES },
          { ...place, wave: wave + 0.5 },
          { ...place, peer: other },
          { ...place, peer: `${peer} ` },
          { ...place, index: place.index + 1 },
          { ...place, proof: [...place.proof, root] },
        ]) {
          expect(() => verifyPlace(root, size, wrong)).toThrow(refused)
        }
        expect(() =>
          verifyPlace(
            root.map((byte) => byte ^ 1),
            size,
            place,
          ),
        ).toThrow(refused)
        expect(() => verifyPlace(root, 0, place)).toThrow(refused)
      }),
      RUNS,
    )
  })

  it("is the hash of its line in a tree as RFC 6962 has it", () => {
    const hash = (...parts: Uint8Array[]) =>
      createHash("sha256").update(Buffer.concat(parts)).digest()
    const [a, b, c] = PEERS
    const leaf = (text: string) => hash(Uint8Array.of(0), Buffer.from(text))
    const node = (left: Uint8Array, right: Uint8Array) => hash(Uint8Array.of(1), left, right)
    const root = node(node(leaf(`${a} 0\n`), leaf(`${b} 1\n`)), leaf(`${c} 0\n`))
    expect(Buffer.from(rosterRoot({ waves: [[c!, a!], [b!]] }))).toEqual(root)
  })
})
