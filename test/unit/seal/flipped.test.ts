/** One bit of anything public or sealed is flipped, byte by byte: refused, with the code of the layer. */
import { beforeAll, describe, expect, test } from "vitest"
import { newIdentity } from "../../../src/seal/age-key.ts"
import type { ReleaseFields } from "../../../src/seal/context.ts"
import { makeGrant, takeGrant } from "../../../src/seal/grant.ts"
import { openRelease } from "../../../src/seal/release-opening.ts"
import {
  type SealedFile,
  type SealedRelease,
  type ShareHolder,
  verifyRelease,
} from "../../../src/seal/sealed-release.ts"
import { type TakenShare, takeShare } from "../../../src/seal/share.ts"
import { codeOf } from "./refusal.ts"
import { DEVICE, flip, OLD_DEVICE, planOf, publish, sha256, takeAll, type World } from "./world.ts"

const DIGEST = sha256("the release statement")
const NOW = 1_795_000_000_000

let world: World
let release: SealedRelease
let taken: readonly TakenShare[]
beforeAll(async () => {
  world = await publish(
    planOf([
      [1, 1],
      [2, 2],
      [1, 1],
    ]),
  )
  release = world.release
  taken = await takeAll(world)
})

const open = (change: Partial<SealedRelease>) =>
  codeOf(() => openRelease({ ...release, ...change }, taken))
const places = (bytes: Uint8Array) => [...bytes.keys()]

/** Gives the codes that were met, once each. */
async function codesOver(
  bytes: Uint8Array,
  run: (changed: Uint8Array) => Promise<string>,
  at: readonly number[] = places(bytes),
): Promise<string[]> {
  const codes = new Set<string>()
  for (const place of at) codes.add(await run(flip(bytes, place)))
  return [...codes]
}

describe("a public value", () => {
  test("of the context is refused", async () => {
    const codes = await codesOver(release.context, (context) => open({ context }))
    expect(codes).toEqual(["CONTEXT_WRONG"])
  })

  test("of the fields is refused by the context", async () => {
    const { fields } = release
    const changed: Partial<ReleaseFields>[] = [
      { sequence: fields.sequence + 1 },
      { isPostQuantum: false },
      { gate: "hold" },
      { audience: fields.audience.slice(1) },
    ]
    for (const at of places(fields.fleet)) {
      changed.push({ fleet: flip(fields.fleet, at) }, { policy: flip(fields.policy, at) })
    }
    for (const change of changed) {
      expect(await open({ fields: { ...fields, ...change } })).toBe("CONTEXT_WRONG")
    }
  })

  test("of a ciphertext's digest is refused by the context", async () => {
    const codes = await codesOver(release.files[1]!.cipher, (cipher) => open(withFile({ cipher })))
    expect(codes).toEqual(["CONTEXT_WRONG"])
  })

  test("of a ciphertext's length is refused by the bag", async () => {
    const { cipherBytes } = release.files[1]!
    expect(await open(withFile({ cipherBytes: cipherBytes + 1 }))).toBe("BAG_INVALID")
  })

  test("of KC is refused as a wrong release key", async () => {
    const codes = await codesOver(release.keyCommitment, (keyCommitment) => open({ keyCommitment }))
    expect(codes).toEqual(["RELEASE_KEY_WRONG"])
  })

  test("of a file's commitment is refused as a wrong file key", async () => {
    const { commitment } = release.files[1]!
    const codes = await codesOver(commitment, (value) => open(withFile({ commitment: value })))
    expect(codes).toEqual(["FILE_KEY_WRONG"])
  })

  test("of the bag is refused", async () => {
    const codes = await codesOver(release.bag, (bag) => open({ bag }))
    expect(codes).toEqual(["BAG_INVALID"])
  })

  test("of a holder's commitment makes its share wrong", async () => {
    for (const at of release.holders.keys()) {
      const { commitment } = release.holders[at]!
      const run = (value: Uint8Array) => open(withHolder(at, { commitment: value }))
      expect(await codesOver(commitment, run)).toEqual(["SHARE_WRONG"])
    }
  })

  test("of a commitment is refused by the device whose share it is", async () => {
    const whole = release.holders[0]!
    const part = release.holders[1]!
    const commitment = flip(whole.commitment, 5)
    const moved = [
      { change: withHolder(0, { commitment }), device: whole.devices[0]! },
      {
        change: withHolder(1, {
          devices: part.devices.map((device) => ({
            ...device,
            commitment: flip(device.commitment!, 5),
          })),
        }),
        device: part.devices[1]!,
      },
    ]
    for (const { change, device } of moved) {
      const taker = { device: device.key, secret: DEVICE.secret }
      const code = await codeOf(() => takeShare({ ...release, ...change }, taker))
      expect(code).toBe("SHARE_NOT_FOR_THIS_RELEASE")
    }
  })

  function withFile(change: Partial<SealedFile>): Partial<SealedRelease> {
    return { files: [release.files[0]!, { ...release.files[1]!, ...change }] }
  }

  function withHolder(at: number, change: Partial<ShareHolder>): Partial<SealedRelease> {
    return {
      holders: release.holders.map((holder, index) =>
        index === at ? { ...holder, ...change } : holder,
      ),
    }
  }
})

test("a share or a part with any bit flipped is wrong", async () => {
  for (const [index, { share }] of taken.entries()) {
    const run = (changed: Uint8Array) =>
      codeOf(() =>
        openRelease(
          release,
          taken.map((grant, at) => (at === index ? { ...grant, share: changed } : grant)),
        ),
      )
    expect(await codesOver(share, run)).toEqual(["SHARE_WRONG"])
  }
})

describe("an age file", () => {
  test("of a classical share does not open with any byte changed or any end cut", async () => {
    const plan = planOf([[1, 1]], { gate: "none", isPostQuantum: false })
    const old = (await publish(plan)).release
    const [holder] = old.holders
    const [device] = holder!.devices
    const run = (share: Uint8Array) => {
      const holders = [{ ...holder!, devices: [{ ...device!, share }] }]
      const taker = { device: device!.key, secret: OLD_DEVICE.secret }
      return codeOf(() => takeShare({ ...old, holders }, taker))
    }
    const file = device!.share
    expect(await run(file)).toBe("ok")
    expect(await codesOver(file, run)).toEqual(["SHARE_NOT_FOR_THIS_DEVICE"])
    for (let length = 0; length < file.length; length += 7) {
      expect(await run(file.subarray(0, length))).toBe("SHARE_NOT_FOR_THIS_DEVICE")
    }
  })

  test("of a post-quantum grant does not open with a byte changed", async () => {
    const node = await newIdentity()
    const terms = { release: DIGEST, recipient: node.recipient, notAfter: NOW }
    const file = await makeGrant(taken[0]!, terms)
    const expected = { release, digest: DIGEST, holder: "party0", device: taken[0]!.device }
    const run = (grant: Uint8Array) =>
      codeOf(() => takeGrant(grant, expected, { ...node, now: NOW }))
    // The header is the first 1.7 KiB; every byte of it would take too long here.
    const at = places(file).filter((place) => place % 61 === 0)
    expect(await run(file)).toBe("ok")
    expect(await codesOver(file, run, at)).toEqual(["GRANT_NOT_FOR_THIS_NODE"])
  })
})

test("a release that nobody changed passes every check", async () => {
  expect(await codeOf(() => verifyRelease(release, () => undefined))).toBe("ok")
  expect(await open({})).toBe("ok")
})
