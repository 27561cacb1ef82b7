/**
 * Shares and grants mean nothing elsewhere: in another release, for another node, as another device's
 * or holder's. The attacker may copy whatever is public or sealed, and write what it likes around it.
 */
import { beforeAll, describe, expect, test } from "vitest"
import { openAgeFile, sealAgeFile } from "../../../src/seal/age-file.ts"
import { type AgeIdentity, newIdentity } from "../../../src/seal/age-key.ts"
import { contextOf, holderNames, type ReleaseFields } from "../../../src/seal/context.ts"
import { type ExpectedGrant, makeGrant, takeGrant } from "../../../src/seal/grant.ts"
import { openRelease } from "../../../src/seal/release-opening.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { makeShareFile, type TakenShare, takeShare } from "../../../src/seal/share.ts"
import { codeOf, refusalOf } from "./refusal.ts"
import { DEVICE, planOf, publish, sha256, takeAll, type World } from "./world.ts"

const NOW = 1_795_000_000_000
const DIGEST = sha256("the release statement")
const NODE: AgeIdentity = await newIdentity()
const OTHER_NODE: AgeIdentity = await newIdentity()

let world: World
let taken: readonly TakenShare[]
let grants: readonly Uint8Array[]
beforeAll(async () => {
  world = await publish(
    planOf([
      [1, 2],
      [2, 3],
      [1, 1],
    ]),
  )
  taken = await takeAll(world)
  const made: Uint8Array[] = []
  for (const share of taken) made.push(await grantOf(share))
  grants = made
})

const grantOf = (share: TakenShare, { recipient } = NODE): Promise<Uint8Array> =>
  makeGrant(share, { release: DIGEST, recipient, notAfter: NOW })

/** What a node expects of the grant of one device. */
function expected(index: number, release: SealedRelease = world.release): ExpectedGrant {
  const { holder, device } = taken[index]!
  return { release, digest: DIGEST, holder, device }
}

const take = (file: Uint8Array, of: ExpectedGrant, node: AgeIdentity = NODE, now: number = NOW) =>
  takeGrant(file, of, { ...node, now })

describe("where nothing was moved", () => {
  test("every device's grant is taken, and together they open", async () => {
    const all = []
    for (const [index, file] of grants.entries()) all.push(await take(file, expected(index)))
    expect(all).toEqual(
      taken.map(({ holder, device, share }) => ({ holder, device, share, notAfter: NOW })),
    )
    expect(await openRelease(world.release, all)).toEqual(world.plan.files)
  })
})

type Change = (fields: ReleaseFields) => Partial<ReleaseFields>
const CHANGES: Record<string, Change> = {
  fleet: () => ({ fleet: sha256("another fleet") }),
  namespace: () => ({ namespace: "acme2" }),
  name: () => ({ name: "model2" }),
  "text cut elsewhere": () => ({ namespace: "acmem", name: "odel" }),
  sequence: ({ sequence }) => ({ sequence: sequence + 1 }),
  "party list": ({ parties }) => ({ parties: [parties[0]!, "somebody"] }),
  policy: () => ({ policy: sha256("another policy") }),
  audience: () => ({ audience: ["node:mallory"] }),
  "audience that grew": ({ audience }) => ({ audience: [...audience, "node:mallory"] }),
  "gate mode": () => ({ gate: "hold" }),
  "release without a gate": () => ({ gate: "none" }),
  "kind of recipient": () => ({ isPostQuantum: false }),
}

/** The release with other fields and their right context; all that is sealed is copied. */
function copiedTo(change: Partial<ReleaseFields>, ciphers?: readonly Uint8Array[]): SealedRelease {
  const { release } = world
  const fields = { ...release.fields, ...change }
  const files = release.files.map((file, index) => ({
    ...file,
    cipher: ciphers?.[index] ?? file.cipher,
  }))
  const named = files.map(({ cipher }) => cipher)
  const holders = holderNames(fields).map((name, index) => ({ ...release.holders[index]!, name }))
  return { ...release, fields, files, holders, context: contextOf(fields, named) }
}

const elsewhere = (): [string, SealedRelease][] => [
  ...Object.entries(CHANGES).map(([name, change]): [string, SealedRelease] => [
    name,
    copiedTo(change(world.release.fields)),
  ]),
  ["cipher", copiedTo({}, [sha256("another cipher")])],
  ["order of ciphers", copiedTo({}, world.release.files.map(({ cipher }) => cipher).reverse())],
]

describe("in a release that differs in one thing", () => {
  test("no device takes its share", async () => {
    for (const [name, release] of elsewhere()) {
      for (const { devices } of release.holders) {
        const { key } = devices[0]!
        const code = await codeOf(() => takeShare(release, { device: key, ...DEVICE }))
        expect([name, code]).toEqual([name, "SHARE_NOT_FOR_THIS_RELEASE"])
      }
    }
  })

  test("no device takes its share if the sealed text names the new release", async () => {
    for (const [name, release] of elsewhere()) {
      // Whoever knew the share could do this; the commitments are the ones that were copied.
      const { device, share } = taken[0]!
      const holder = release.holders[0]!
      const sealed = { ctx: release.context, holder: holder.name, device, share }
      const file = await makeShareFile(sealed, DEVICE.recipient)
      const devices = [{ ...holder.devices[0]!, share: file }, ...holder.devices.slice(1)]
      const holders = [{ ...holder, devices }, ...release.holders.slice(1)]
      const code = await codeOf(() => takeShare({ ...release, holders }, { device, ...DEVICE }))
      expect([name, code]).toEqual([name, "SHARE_NOT_FOR_THIS_RELEASE"])
    }
  })

  test("no node takes a grant", async () => {
    for (const [name, release] of elsewhere()) {
      const code = await codeOf(() => take(grants[0]!, expected(0, release)))
      expect([name, code]).toEqual([name, "GRANT_NOT_FOR_THIS_RELEASE"])
    }
  })

  test("shares that were taken do not open", async () => {
    for (const [name, release] of elsewhere()) {
      const renamed = taken.map((share) => {
        const index = world.release.holders.findIndex((holder) => holder.name === share.holder)
        return { ...share, holder: release.holders[index]?.name ?? share.holder }
      })
      expect([name, await codeOf(() => openRelease(release, renamed))]).toEqual([
        name,
        "SHARE_WRONG",
      ])
    }
  })

  test("the old context is refused by everybody", async () => {
    const { context } = world.release
    for (const [, moved] of elsewhere()) {
      const release = { ...moved, context }
      const { device } = taken[0]!
      const codes = [
        await codeOf(() => takeShare(release, { device, ...DEVICE })),
        await codeOf(() => take(grants[0]!, expected(0, release))),
        await codeOf(() => openRelease(release, taken)),
      ]
      expect(codes).toEqual(["CONTEXT_WRONG", "CONTEXT_WRONG", "CONTEXT_WRONG"])
    }
  })
})

describe("swapped grants", () => {
  test("between nodes do not open", async () => {
    const code = await codeOf(() => take(grants[0]!, expected(0), OTHER_NODE))
    expect(code).toBe("GRANT_NOT_FOR_THIS_NODE")
  })

  test("that a node seals anew for another node are refused", async () => {
    const plain = await openAgeFile(grants[0]!, NODE.secret)
    const file = await sealAgeFile(plain, OTHER_NODE.recipient)
    const code = await codeOf(() => take(file, expected(0), OTHER_NODE))
    expect(code).toBe("GRANT_NOT_FOR_THIS_RELEASE")
  })

  test("that a node writes anew for its next key are taken with that key", async () => {
    const { notAfter, ...granted } = await take(grants[0]!, expected(0))
    const share = { ...taken[0]!, ...granted }
    const terms = { release: DIGEST, recipient: OTHER_NODE.recipient, notAfter }
    const file = await makeGrant(share, terms)
    expect(await codeOf(() => take(file, expected(0), OTHER_NODE))).toBe("ok")
  })

  test("between statements of the same context are refused", async () => {
    const of = { ...expected(0), digest: sha256("a second statement") }
    expect(await codeOf(() => take(grants[0]!, of))).toBe("GRANT_NOT_FOR_THIS_RELEASE")
  })

  test("between devices and holders are refused, whichever two", async () => {
    for (const [index, file] of grants.entries()) {
      for (const other of grants.keys()) {
        const code = await codeOf(() => take(file, expected(other)))
        expect(code).toBe(index === other ? "ok" : "GRANT_NOT_FOR_THIS_RELEASE")
      }
    }
  })

  test("that claim another device's name give that device the blame", async () => {
    const share = { ...taken[2]!, share: taken[3]!.share }
    const refusal = await refusalOf(async () => take(await grantOf(share), expected(2)))
    const device = Buffer.from(share.device).toString("hex")
    expect(refusal).toMatchObject({ code: "SHARE_WRONG", details: { holder: "party1", device } })
  })

  test("after their time are refused", async () => {
    expect(await codeOf(() => take(grants[0]!, expected(0), NODE, NOW + 1))).toBe("GRANT_EXPIRED")
  })
})

test("a share of one device's file does not serve another device", async () => {
  const [first, second] = world.release.holders[0]!.devices
  const devices = [{ ...first!, share: second!.share }, second!]
  const holders = [{ ...world.release.holders[0]!, devices }, ...world.release.holders.slice(1)]
  const run = () => takeShare({ ...world.release, holders }, { device: first!.key, ...DEVICE })
  expect(await codeOf(run)).toBe("SHARE_NOT_FOR_THIS_RELEASE")
})

test("a share of a post-quantum release is sealed to no classical recipient", async () => {
  const old = await newIdentity({ isPostQuantum: false })
  expect(await codeOf(() => grantOf(taken[0]!, old))).toBe("RECIPIENT_NOT_POST_QUANTUM")
})
