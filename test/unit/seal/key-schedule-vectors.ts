/** Reads the vectors of protocol/key-schedule.md as the values of src/seal. */
import { readdirSync, readFileSync } from "node:fs"
import type { BagFile } from "../../../src/seal/bag.ts"
import type { GateMode, ReleaseFields } from "../../../src/seal/context.ts"
import type { GrantedShare } from "../../../src/seal/grant.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"

const FOLDER = "protocol/key-schedule/vectors"

export interface Vector<Input> {
  readonly input: Input
  readonly expect: string
  // biome-ignore lint/suspicious/noExplicitAny: each case has an output of its own form.
  readonly output: any
}

export interface FieldsEntry {
  readonly fleet: string
  readonly namespace: string
  readonly name: string
  readonly sequence: number
  readonly parties: string[]
  readonly policy: string
  readonly audience: string[]
  readonly gate: GateMode
  readonly pq: boolean
}

export interface FileEntry {
  readonly cipher: string
  readonly key: string
  readonly path: string
  readonly sizeBytes: number
  readonly mediaType: string
  readonly plain: string
  readonly mode: number
}

export interface ReleaseEntry {
  readonly fields: FieldsEntry
  readonly context: string
  readonly files: { cipher: string; cipherBytes: number; commitment: string }[]
  readonly keyCommitment: string
  readonly bag: string
  readonly holders: {
    name: string
    threshold: number
    commitment: string
    devices: { key: string; share: string; commitment?: string }[]
  }[]
  readonly inspectors: { recipient: string; file: string }[]
}

export interface GrantEntry {
  readonly holder: string
  readonly device: string
  readonly share: string
}

export function vectors<Input>(prefix: string): [string, Vector<Input>][] {
  return readdirSync(FOLDER)
    .filter((name) => name.startsWith(prefix))
    .map((name) => [name, JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf8"))])
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
export const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

export function fieldsOf({ pq, fleet, policy, ...fields }: FieldsEntry): ReleaseFields {
  return { ...fields, fleet: unhex(fleet), policy: unhex(policy), isPostQuantum: pq }
}

export function bagFileOf({ cipher, key, plain, ...file }: FileEntry): BagFile {
  return { ...file, cipher: unhex(cipher), key: base64(key), plain: unhex(plain) }
}

export function releaseOf(entry: ReleaseEntry): SealedRelease {
  return {
    fields: fieldsOf(entry.fields),
    context: unhex(entry.context),
    files: entry.files.map(({ cipher, cipherBytes, commitment }) => ({
      cipher: unhex(cipher),
      cipherBytes,
      commitment: unhex(commitment),
    })),
    keyCommitment: unhex(entry.keyCommitment),
    bag: base64(entry.bag),
    holders: entry.holders.map(({ devices, commitment, ...holder }) => ({
      ...holder,
      commitment: unhex(commitment),
      devices: devices.map((device) => ({
        key: unhex(device.key),
        share: base64(device.share),
        commitment: device.commitment === undefined ? undefined : unhex(device.commitment),
      })),
    })),
    inspectors: entry.inspectors.map(({ recipient, file }) => ({ recipient, file: base64(file) })),
  }
}

export function grantOf({ holder, device, share }: GrantEntry): GrantedShare {
  return { holder, device: unhex(device), share: unhex(share) }
}
