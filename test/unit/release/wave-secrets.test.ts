/**
 * A node whose wave is not released has all but the gate's share. All that it has is taken out of it, keys
 * and what they open, and tried as keys in every place.
 */
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOfRaw, rawOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { readGateGrant } from "../../../src/release/gate-grant.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import { openAgeFile } from "../../../src/seal/age-file.ts"
import { FILE_KEY_BYTES, openPayload } from "../../../src/seal/payload.ts"
import {
  bagKey,
  isSame,
  keyCommitment,
  releaseKey,
  SHARE_BYTES,
} from "../../../src/seal/release-key.ts"
import { openByKey } from "../../../src/seal/release-opening.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { takeShare } from "../../../src/seal/share.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { EPOCH, KEEPERS, NAMES, type Node, OpeningWorld } from "./opening-world.ts"
import { trustOf } from "./world.ts"

const KEEPER = KEEPERS[0]!

let world: OpeningWorld
/** Of the first wave, which is released and has opened, and of the second. */
let first: Node
let second: Node
let known: KnownRelease
let sealed: SealedRelease
let released: Set<string>

beforeEach(async () => {
  world = await OpeningWorld.open()
  released = new Set()
  const plan = { isReleased: (_: KnownRelease, peer: string) => released.has(peer) }
  await world.join({ device: KEEPER, isAnchor: true, groups: [], plan })
  first = await world.join()
  second = await world.join()
  world.hub.connectAll()
  known = await world.publish([`group:edge:${EPOCH}`], { gate: "hold" })
  await world.approveAll(known)
  const { content } = known.release.said
  if (content.visibility !== "sealed") throw new TypeError("it is not sealed")
  sealed = content.sealed
  released.add(first.peer)
  await open(first)
})
afterEach(() => world.close())

async function open({ opener, folder }: Node): Promise<void> {
  const watch = { signal: new AbortController().signal, onProgress: () => {} }
  await opener.open(known, join(folder, "out"), watch)
}

/** Every age file that the node has, or that passes by it: the parties' grants, the release's own, the gate's for others. */
function filesNear(): readonly Uint8Array[] {
  const { approvals } = world.sight
  const lists = (approvals.get(known.release.digest) ?? []).map(({ approval }) =>
    world.sight.lists.get(approval.digest),
  )
  const grants = lists.flatMap((list) => list?.grants ?? []).map(({ file }) => file)
  const own = sealed.holders.flatMap(({ devices }) => devices.map(({ share }) => share))
  const [, envelope] = [...first.files.contents].find(([name]) => name.includes("/gate-"))!
  return [...grants, ...own, readGateGrant(envelope, trustOf(KEEPER.signing)).said.file]
}

/** What the secrets of a node open of them. */
async function openedBy(node: Node): Promise<readonly Record<string, unknown>[]> {
  const identities = [...node.identities, ...Object.values(node.epochs)]
  const opened: Record<string, unknown>[] = []
  for (const file of filesNear()) {
    for (const { secret } of identities) {
      const plain = await openAgeFile(file, secret).catch(() => undefined)
      if (plain !== undefined) opened.push(JSON.parse(Buffer.from(plain).toString()))
    }
  }
  return opened
}

/** Everything with the length of a share that the node could take for one. */
function candidates(shares: readonly Uint8Array[]): readonly Uint8Array[] {
  const { context, keyCommitment: committed, files, holders } = sealed
  return [
    ...[...shares, context, committed, rawOf(known.release.digest)],
    ...files.flatMap(({ cipher, commitment }) => [cipher, commitment]),
    ...holders.flatMap(({ commitment, devices }) => [commitment, ...devices.map(({ key }) => key)]),
    ...[new Uint8Array(SHARE_BYTES), ...shares.map((share) => combined(shares, share))],
  ]
}

/** All shares of the parties but one, laid over each other. */
function combined(shares: readonly Uint8Array[], without: Uint8Array): Uint8Array {
  const others = shares.filter((share) => share !== without)
  return new Uint8Array(SHARE_BYTES).map((_, at) => others.reduce((sum, one) => sum ^ one[at]!, 0))
}

/** Tries a key as the release's, the bag's and every file's. */
function expectNothing(key: Uint8Array): void {
  if (isSame(keyCommitment(key), sealed.keyCommitment)) throw new Error("it is the release key")
  const fileKeys = [bagKey(key), key.subarray(0, FILE_KEY_BYTES), key.subarray(-FILE_KEY_BYTES)]
  const payloads = sealed.files.map(({ cipher }) => world.blobs.get(digestOfRaw(cipher))!)
  for (const fileKey of fileKeys) {
    for (const payload of [sealed.bag, ...payloads]) {
      expect(() => openPayload(payload, { fileKey })).toThrow()
    }
  }
}

describe("a node of the second wave", () => {
  test("has every party's share, and opens nothing with all that it has", async () => {
    const opened = await openedBy(second)
    expect(new Set(opened.map(({ holder }) => holder))).toEqual(new Set(NAMES))
    const shares = NAMES.map((name) => {
      const { share } = opened.find(({ holder }) => holder === name)!
      return new Uint8Array(Buffer.from(String(share), "base64"))
    })
    const tried = candidates(shares)
    expect(tried.every(({ length }) => length === SHARE_BYTES)).toBe(true)
    for (const gate of tried) {
      expectNothing(gate)
      // In the gate's place, behind the parties, and without anything there.
      expectNothing(releaseKey([...shares, gate], sealed.context))
    }
    expectNothing(releaseKey(shares, sealed.context))
    // It is the gate's share that is missing, and nothing else.
    const taker = { device: rawOfPublicKey(KEEPER.key), secret: KEEPER.exportIdentity() }
    const { share } = await takeShare(sealed, taker)
    const key = releaseKey([...shares, share], sealed.context)
    expect(openByKey(sealed, key)).toHaveLength(sealed.files.length)
  })

  test("opens once its wave is released, by nothing else", async () => {
    expect(await open(second).catch(codeOf)).toBe("GATE_REFUSED")
    released.add(second.peer)
    expect(await open(second).catch(codeOf)).toBeUndefined()
  })
})
