/** The releases of protocol/key-schedule.md's vectors: one simple, one with two of three devices. */
import {
  bagOf,
  base64,
  commitment,
  contextOf,
  document,
  FIELDS,
  type Fields,
  fileKeyCommitmentOf,
  fileOf,
  hex,
  keyCommitmentOf,
  partAt,
  releaseKeyOf,
  type SceneFields,
  type SceneFile,
  seeded,
  sha256,
} from "./key-schedule-scene.ts"

export interface DeviceEntry {
  readonly key: string
  share: string
  commitment?: string
}

export interface HolderEntry {
  readonly name: string
  readonly threshold: number
  commitment: string
  devices: DeviceEntry[]
}

/** A release as vectors write it; cases change a copy. */
export interface ReleaseEntry {
  fields: SceneFields
  context: string
  files: { cipher: string; cipherBytes: number; commitment: string }[]
  keyCommitment: string
  bag: string
  holders: HolderEntry[]
  inspectors: { recipient: string; file: string }[]
}

export interface SceneHolder {
  readonly name: string
  readonly threshold: number
  readonly share: Buffer
  readonly devices: readonly { readonly key: Buffer; readonly part?: Buffer }[]
}

export interface Scene {
  readonly ctx: Buffer
  readonly releaseKey: Buffer
  readonly holders: readonly SceneHolder[]
  readonly files: readonly SceneFile[]
  readonly release: ReleaseEntry
}

export const deviceKey = (label: string): Buffer => seeded(`device ${label}`, 32)
export const DIGEST: string = hex(sha256("a release statement"))
export const FILES: readonly SceneFile[] = [
  fileOf("weights/a.bin", "the weights"),
  fileOf("README.md", "how to use them"),
]
const PLACES = [1, 7, 255]

/** A holder of one device with the whole, or of three of whom two are asked. */
export function holderOf(name: string, threshold = 1): SceneHolder {
  const share = seeded(`share of ${name}`, 32)
  const count = threshold === 1 ? 1 : 3
  const higher = Array.from({ length: threshold - 1 }, (_, power) =>
    seeded(`polynomials of ${name}, ${power}`, 32),
  )
  const devices = Array.from({ length: count }, (_, index) => ({
    key: deviceKey(`${name} ${index}`),
    ...(threshold > 1 && { part: partAt(PLACES[index]!, share, higher) }),
  }))
  return { name, threshold, share, devices }
}

export const SIMPLE: readonly SceneHolder[] = ["owner", "safety", "gate"].map((name) =>
  holderOf(name),
)
export const HOLDERS: readonly SceneHolder[] = [
  holderOf("owner"),
  holderOf("safety", 2),
  holderOf("gate"),
]

function entryOf({ name, threshold, share, devices }: SceneHolder, ctx: Buffer): HolderEntry {
  return {
    name,
    threshold,
    commitment: hex(commitment(share, ctx, name)),
    devices: devices.map(({ key, part }) => ({
      key: hex(key),
      share: "",
      ...(part && { commitment: hex(commitment(part, ctx, name, key)) }),
    })),
  }
}

export function bagDocument(files: readonly Fields[]): Buffer {
  return document({ files })
}

export function scene(
  holders: readonly SceneHolder[] = HOLDERS,
  fields: SceneFields = FIELDS,
  files: readonly SceneFile[] = FILES,
): Scene {
  const ctx = contextOf(
    fields,
    files.map(({ cipher }) => cipher),
  )
  const releaseKey = releaseKeyOf(
    holders.map(({ share }) => share),
    ctx,
  )
  const publicFiles = files.map(({ cipher, key, sizeBytes }) => ({
    cipher,
    cipherBytes: 16 + sizeBytes + 16,
    commitment: hex(fileKeyCommitmentOf(Buffer.from(key, "base64"), cipher)),
  }))
  const release = {
    fields,
    context: hex(ctx),
    files: publicFiles,
    keyCommitment: hex(keyCommitmentOf(releaseKey)),
    bag: base64(bagOf(bagDocument(files.map((file) => ({ ...file }))), releaseKey)),
    holders: holders.map((holder) => entryOf(holder, ctx)),
    inspectors: [],
  }
  return { ctx, releaseKey, holders, files, release }
}

/** Gives a copy of a release that was changed. */
export function changed(
  release: ReleaseEntry,
  change: (copy: ReleaseEntry) => unknown,
): ReleaseEntry {
  const copy = structuredClone(release)
  change(copy)
  return copy
}
