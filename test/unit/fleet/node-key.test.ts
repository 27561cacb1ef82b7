/** Node-key statements, fingerprints and the keys inside peer ids: vectors, and moved statements. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { fingerprintOf } from "../../../src/fleet/fingerprint.ts"
import { parseNodeKey, readNodeKey } from "../../../src/fleet/node-key.ts"
import { takeNodeKeys } from "../../../src/fleet/node-key-file.ts"
import { peerSigner, publicKeyOfPeer } from "../../../src/fleet/peer-signer.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { isAccepted } from "../../../src/trust/signature.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { fromBase64, toBase64, vectorsOf } from "../net/vectors.ts"
import { codeFrom, FLEET, OTHER_FLEET, START_MS, stateKey } from "./key-world.ts"

const { net, other } = { net: createMemoryHub().join(), other: createMemoryHub().join() }

describe("node keys for the road", () => {
  test.each(vectorsOf("fleet", "node-keys-"))(
    "$case: $comment",
    async ({ input, expect: code, output }) => {
      const { file, fleet } = input as Record<string, string>
      const accept = (statement: Uint8Array) => Promise.resolve({ peer: toBase64(statement) })
      const taken = takeNodeKeys({ accept } as never, { fleet: fleet! }, fromBase64(file!))
      if (code === "ok") expect({ statements: (await taken).peers }).toEqual(output)
      else expect(await codeFrom(taken)).toBe(code)
    },
  )
})

describe("a node key", () => {
  test.each(vectorsOf("fleet", "node-key-"))(
    "$case: $comment",
    async ({ input, expect: code, output }) => {
      const { file, fleet, peer, now, minCounter } = input as Record<string, string | number>
      const terms = { nowMs: Number(now), minCounter: Number(minCounter) }
      const expected = { fleet: `${fleet}`, peer: `${peer}` }
      const read = readNodeKey(fromBase64(`${file}`), { ...expected, ...terms })
      if (code === "ok") {
        const { counter, recipient, notBeforeMs, notAfterMs } = await read
        expect({ counter, recipient, notBefore: notBeforeMs, notAfter: notAfterMs }).toEqual(output)
      } else expect(await codeFrom(read)).toBe(code)
    },
  )

  test("that was written here is read here, whoever is expected", async () => {
    const key = await stateKey(net, { counter: 7 })
    const terms = { fleet: FLEET, nowMs: START_MS }
    expect(await readNodeKey(key.statement, terms)).toEqual(key)
    expect(await readNodeKey(key.statement, { ...terms, peer: net.id })).toEqual(key)
    const refused = readNodeKey(key.statement, { ...terms, peer: other.id })
    expect(await codeFrom(refused)).toBe("NODE_KEY_INVALID")
    const moved = readNodeKey(key.statement, { ...terms, fleet: OTHER_FLEET })
    expect(await codeFrom(moved)).toBe("NODE_KEY_INVALID")
  })

  test("is refused with any byte changed, or cut", async () => {
    const { statement } = await stateKey(net)
    const outcome = (file: Uint8Array) => {
      try {
        return parseNodeKey(file, { fleet: FLEET, peer: net.id })
      } catch (error) {
        return (error as { code: unknown }).code
      }
    }
    expect(outcome(statement)).toMatchObject({ counter: 1 })
    const at = fc.nat(statement.length - 1)
    const property = fc.property(at, fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const changed = Uint8Array.from(statement)
      changed[index]! ^= mask
      expect(outcome(changed)).toBe("NODE_KEY_INVALID")
      expect(outcome(statement.subarray(0, index))).toBe("NODE_KEY_INVALID")
    })
    fc.assert(property, { numRuns: 60, seed: 1 })
  })
})

test.each(vectorsOf("fleet", "fingerprint-"))("$case is a fingerprint", ({ input, output }) => {
  expect({ fingerprint: fingerprintOf(input.fleet!, input.peer!) }).toEqual(output)
})

describe("a node as a signer", () => {
  test("signs by the key in its peer id, and no other node's key takes it", async () => {
    const signer = peerSigner(net)
    expect(signer.publicKey).toBe(publicKeyOfPeer(net.id))
    const bytes = Buffer.from("DSSEv1 …")
    const signature = await signer.sign(bytes)
    expect(isAccepted({ key: signer.publicKey, bytes, signature })).toBe(true)
    expect(isAccepted({ key: publicKeyOfPeer(other.id), bytes, signature })).toBe(false)
    expect(isAccepted({ key: createSigningKey().publicKey, bytes, signature })).toBe(false)
  })

  test("does not sign once its signal is aborted", async () => {
    const reason = new Error("no more")
    const signing = peerSigner(net).sign(Buffer.from("DSSEv1"), {
      signal: AbortSignal.abort(reason),
    })
    await expect(signing).rejects.toBe(reason)
  })

  test("has a true peer id, of a key that may be registered", () => {
    expect(() => publicKeyOfPeer("somebody")).toThrow(
      expect.objectContaining({ code: "ADDRESS_INVALID" }),
    )
    const weak = vectorsOf("fleet", "node-key-peer-weak")[0]!.input.peer!
    expect(() => publicKeyOfPeer(weak)).toThrow(expect.objectContaining({ code: "KEY_WEAK" }))
  })
})
