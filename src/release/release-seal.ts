/**
 * The sealed side of a release: who holds shares of its key, and what is sealed with it
 * (protocol/release.md §4, protocol/key-schedule.md).
 * @module
 */
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import type { JsonObject } from "../core/json.ts"
import { DEVICES_MAX, INSPECTORS_MAX, PARTIES_MAX } from "../core/limits.ts"
import { isPostQuantum, isRecipientText } from "../core/recipient.ts"
import {
  bytesField,
  countField,
  flagField,
  hashField,
  invalidField,
  type Section,
  sectionField,
  sectionListField,
  textField,
  verifyAbsent,
} from "../core/section.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import { BAG_BYTES_MAX } from "../seal/bag.ts"
import type { ReleaseFields } from "../seal/context.ts"
import {
  type HolderDevice,
  type InspectorFile,
  type SealedRelease,
  type ShareHolder,
} from "../seal/sealed-release.ts"

/** The parties, and the gate. */
const HOLDERS_MAX: number = PARTIES_MAX + 1

/** What a sealed release says outside of `seal`. */
export interface UnsealedSide {
  readonly fields: Omit<ReleaseFields, "isPostQuantum">
  readonly files: SealedRelease["files"]
}

/** Reads `seal`: its form only. That context and holders are right is for `verifyRelease`. */
export function sealField(section: Section, { fields, files }: UnsealedSide): SealedRelease {
  const seal = sectionField(section, "seal")
  const isPostQuantumOnly = flagField(seal, "pq")
  return {
    fields: { ...fields, isPostQuantum: isPostQuantumOnly },
    context: hashField(seal, "context"),
    files,
    keyCommitment: hashField(seal, "keyCommitment"),
    bag: bytesField(seal, "bag", { max: BAG_BYTES_MAX }),
    holders: sectionListField(seal, "holders", { max: HOLDERS_MAX }).map(parseHolder),
    inspectors: parseInspectors(seal, isPostQuantumOnly),
  }
}

export function encodeSeal(sealed: SealedRelease): JsonObject {
  return {
    context: encodeHex(sealed.context),
    keyCommitment: encodeHex(sealed.keyCommitment),
    pq: sealed.fields.isPostQuantum,
    bag: encodeBase64(sealed.bag),
    holders: sealed.holders.map(encodeHolder),
    inspectors: sealed.inspectors.map(({ recipient, file }) => ({
      recipient,
      file: encodeBase64(file),
    })),
  }
}

function encodeHolder({ name, threshold, commitment, devices }: ShareHolder): JsonObject {
  return { name, threshold, commitment: encodeHex(commitment), devices: devices.map(encodeDevice) }
}

function encodeDevice({ key, share, commitment }: HolderDevice): JsonObject {
  const bound = commitment && { commitment: encodeHex(commitment) }
  return { key: encodeHex(key), ...bound, share: encodeBase64(share) }
}

function parseHolder(section: Section): ShareHolder {
  const threshold = countField(section, "threshold")
  const devices = sectionListField(section, "devices", { max: DEVICES_MAX })
  return {
    name: textField(section, "name"),
    threshold,
    commitment: hashField(section, "commitment"),
    devices: devices.map((device) => parseDevice(device, threshold)),
  }
}

function parseDevice(section: Section, threshold: number): HolderDevice {
  const isPart = threshold >= 2
  if (!isPart) verifyAbsent(section, ["commitment"])
  return {
    key: hashField(section, "key"),
    share: bytesField(section, "share", { max: AGE_FILE_BYTES_MAX }),
    commitment: isPart ? hashField(section, "commitment") : undefined,
  }
}

function parseInspectors(seal: Section, isPostQuantumOnly: boolean): readonly InspectorFile[] {
  const sections = sectionListField(seal, "inspectors", { max: INSPECTORS_MAX })
  const inspectors = sections.map((section): InspectorFile => {
    const recipient = textField(section, "recipient")
    if (!isRecipientText(recipient)) {
      throw invalidField(section, "recipient", { reason: "no age recipient" })
    }
    if (isPostQuantumOnly && !isPostQuantum(recipient)) {
      throw invalidField(section, "recipient", { reason: "classical in a post-quantum release" })
    }
    return { recipient, file: bytesField(section, "file", { max: AGE_FILE_BYTES_MAX }) }
  })
  if (new Set(inspectors.map(({ recipient }) => recipient)).size < inspectors.length) {
    throw invalidField(seal, "inspectors", { reason: "one twice" })
  }
  return inspectors
}
