/** Releases that are published for real, with every secret that went into them. */
import { createHash, randomBytes } from "node:crypto"
import { type AgeIdentity, newIdentity } from "../../../src/seal/age-key.ts"
import type { BagFile } from "../../../src/seal/bag.ts"
import { holderNames, type ReleaseFields } from "../../../src/seal/context.ts"
import { newFileKey, sealPayload } from "../../../src/seal/payload.ts"
import { type PublishingPlan, publishRelease } from "../../../src/seal/publishing.ts"
import { SHARE_BYTES } from "../../../src/seal/release-key.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { type TakenShare, takeShare } from "../../../src/seal/share.ts"

export const sha256 = (bytes: Uint8Array | string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest())

/** t of m devices. */
export type Shape = readonly [threshold: number, count: number]

export interface World {
  readonly plan: PublishingPlan
  readonly release: SealedRelease
  /** The holders' secrets in order, copied before they were erased. */
  readonly shares: readonly Uint8Array[]
}

/** Key pairs cost milliseconds, and whose they are does not matter: devices share one. */
export const DEVICE: AgeIdentity = await newIdentity()
export const OLD_DEVICE: AgeIdentity = await newIdentity({ isPostQuantum: false })

export const FIELDS: ReleaseFields = {
  fleet: sha256("a fleet"),
  namespace: "acme",
  name: "model",
  sequence: 1,
  parties: ["owner", "safety"],
  policy: sha256("a policy"),
  audience: ["group:edge:4", "node:a", "node:b"],
  gate: "open",
  isPostQuantum: true,
}

export const deviceKey = (label: string): Uint8Array => sha256(`device ${label}`)

export function sealedFile(path: string, text: string = path): BagFile {
  const key = new Uint8Array(newFileKey())
  const plain = Buffer.from(text)
  return {
    cipher: sha256(sealPayload(plain, { fileKey: key })),
    key,
    path,
    sizeBytes: plain.length,
    mediaType: "text/plain",
    plain: sha256(plain),
    mode: 0o644,
  }
}

/** A plan of holders with these shapes: as many parties, and the gate last unless there is none. */
export function planOf(
  shapes: readonly Shape[],
  change: Partial<ReleaseFields> = {},
): PublishingPlan {
  const isGated = change.gate !== "none"
  const parties = Array.from(
    { length: shapes.length - (isGated ? 1 : 0) },
    (_, index) => `party${index}`,
  )
  const fields = { ...FIELDS, parties, ...change }
  const { recipient } = fields.isPostQuantum ? DEVICE : OLD_DEVICE
  const holders = holderNames(fields).map((name, index) => {
    const [threshold, count] = shapes[index]!
    const devices = Array.from({ length: count }, (_, device) => ({
      key: deviceKey(`${name} ${device}`),
      recipient,
    }))
    return { name, threshold, devices }
  })
  return { fields, files: [sealedFile("a"), sealedFile("b/c")], holders, inspectors: [] }
}

export async function publish(plan: PublishingPlan): Promise<World> {
  const given: Uint8Array[] = []
  const release = await publishRelease(plan, (byteCount) => {
    const bytes = randomBytes(byteCount)
    given.push(new Uint8Array(bytes))
    return bytes
  })
  return { plan, release, shares: given.filter(({ length }) => length === SHARE_BYTES) }
}

/** Takes the share of every device. */
export async function takeAll({ release }: World): Promise<TakenShare[]> {
  const { secret } = release.fields.isPostQuantum ? DEVICE : OLD_DEVICE
  const devices = release.holders.flatMap((holder) => holder.devices)
  const taken: TakenShare[] = []
  for (const { key } of devices) taken.push(await takeShare(release, { device: key, secret }))
  return taken
}

/** Gives every subset of a list, the empty one and the whole included. */
export function* subsetsOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let mask = 0; mask < 2 ** items.length; mask++) {
    yield items.filter((_, index) => Math.floor(mask / 2 ** index) % 2 === 1)
  }
}

/** Gives a copy with one bit flipped: bit `at % 8` of byte `at`. */
export function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at]! ^= 1 << (at % 8)
  return copy
}
