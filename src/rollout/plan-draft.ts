/**
 * A plan that keys in several places have to sign, as one file: the fleet's files, the plan, and the
 * signatures so far (protocol/rollout.md §4, drafts of plans).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import {
  bytesField,
  choiceField,
  countField,
  fleetField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textSetField,
} from "../core/section.ts"
import { FleetError } from "../fleet/errors.ts"
import { FLEET_FILES_BYTES_MAX, fleetFilesIn, fleetFilesJson } from "../fleet/fleet-files.ts"
import { type EnvelopeSignature, PAYLOAD_BYTES_MAX, SIGNATURES_MAX } from "../trust/envelope.ts"
import { isKeyText } from "../trust/public-key.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"

/** Largest draft. */
export const PLAN_DRAFT_BYTES_MAX: number = FLEET_FILES_BYTES_MAX
const KIND = "plan"
const SIGNATURE_BYTES = 64
/** The end of the year 9999: later times have no text in the fleet's files. */
const TIME_MS_MAX = 253_402_300_799_000
/** Plans that one takes the place of: one of each channel is active. */
const DROPS_MAX = 64

/** A draft of a plan. Nothing in it is believed before it was read over what a fleet has signed. */
export interface PlanDraft {
  readonly fleet: string
  /** All files of the fleet that it follows. */
  readonly files: readonly NamedBytes[]
  /** The plan's statement: the bytes that are signed. */
  readonly statement: Uint8Array
  /** By keys of the plan role, as they came. */
  readonly signatures: readonly EnvelopeSignature[]
  readonly listing: PlanListing
}

/**
 * The next file of the plan role, which lists the plan: made anew by whoever reads the draft, so that
 * there is nothing in it that was not shown.
 */
export interface PlanListing {
  /** Until when the list is good, milliseconds since 1970. */
  readonly expiresAtMs: number
  /** Paths of plans that are listed no more. */
  readonly drops: readonly string[]
  /** Of the list as it is once enough keys have signed the plan. */
  readonly signatures: readonly EnvelopeSignature[]
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`, { cause })

/** Writes a draft. @throws {@link FleetError} `DRAFT_INVALID` when it is too large */
export function encodePlanDraft(draft: PlanDraft): Uint8Array {
  const { fleet, files, statement, signatures, listing } = draft
  const { expiresAtMs, drops } = listing
  const bytes = encodeJson({
    v: 1,
    kind: KIND,
    fleet,
    files: fleetFilesJson(files),
    plan: { statement: encodeBase64(statement), signatures: signatures.map(signatureJson) },
    listing: {
      expiresAt: expiresAtMs,
      drops,
      signatures: listing.signatures.map(signatureJson),
    },
  })
  if (bytes.length > PLAN_DRAFT_BYTES_MAX) throw refuse(`${bytes.length} bytes`)
  return bytes
}

/** Reads a draft. @throws {@link FleetError} `DRAFT_INVALID` */
export function parsePlanDraft(bytes: Uint8Array): PlanDraft {
  const section = parseSection(bytes, { bytesMax: PLAN_DRAFT_BYTES_MAX, refuse })
  choiceField(section, "kind", [KIND])
  const fleet = fleetField(section)
  const plan = sectionField(section, "plan")
  const listing = sectionField(section, "listing")
  return {
    fleet,
    files: fleetFilesIn(section),
    statement: bytesField(plan, "statement", { max: PAYLOAD_BYTES_MAX }),
    signatures: signaturesField(plan),
    listing: {
      expiresAtMs: countField(listing, "expiresAt", { min: 1, max: TIME_MS_MAX }),
      drops: textSetField(listing, "drops", { min: 0, max: DROPS_MAX }),
      signatures: signaturesField(listing),
    },
  }
}

/**
 * Puts the signatures of copies of one draft together. Where a copy has signatures of the list, the
 * plan's are those that the list was made over.
 * @param copies - at least one
 * @throws {@link FleetError} `DRAFT_INVALID` when they are not copies of one
 */
export function mergePlanDrafts(copies: readonly PlanDraft[]): PlanDraft {
  const [first, ...others] = copies
  if (first === undefined) throw refuse("there is none")
  if (!others.every((other) => isCopy(first, other))) throw refuse("these are different drafts")
  const listed = copies.filter(({ listing }) => listing.signatures.length > 0)
  const [whole = first] = listed
  const isOfOne = listed.every((copy) => keysOf(copy) === keysOf(whole))
  if (!isOfOne) throw refuse("its copies list the plan with signatures of different keys")
  const counting = listed.length > 0 ? listed : copies
  return {
    ...first,
    signatures: united(counting.map(({ signatures }) => signatures)),
    listing: {
      ...first.listing,
      signatures: united(listed.map((copy) => copy.listing.signatures)),
    },
  }
}

function isCopy(one: PlanDraft, other: PlanDraft): boolean {
  return (
    one.fleet === other.fleet &&
    Buffer.compare(one.statement, other.statement) === 0 &&
    one.listing.expiresAtMs === other.listing.expiresAtMs &&
    one.listing.drops.join("\n") === other.listing.drops.join("\n")
  )
}

function keysOf({ signatures }: PlanDraft): string {
  return [...new Set(signatures.map(({ keyid }) => keyid))].toSorted().join(" ")
}

/** Each once; which of two by one key counts is not known yet. */
function united(lists: readonly (readonly EnvelopeSignature[])[]): readonly EnvelopeSignature[] {
  const named = lists.flat().map((one) => [`${one.keyid} ${encodeBase64(one.sig)}`, one] as const)
  return [...new Map(named).values()]
}

function signatureJson({ keyid, sig }: EnvelopeSignature): { keyid: string; sig: string } {
  return { keyid, sig: encodeBase64(sig) }
}

function signaturesField(section: Section): readonly EnvelopeSignature[] {
  return sectionListField(section, "signatures", { max: SIGNATURES_MAX }).map((one) => {
    const keyid = textField(one, "keyid")
    const sig = parseBase64(textField(one, "sig"))
    if (!isKeyText(keyid)) throw invalidField(one, "keyid", { reason: "no public key" })
    if (sig?.length !== SIGNATURE_BYTES) throw invalidField(one, "sig", { reason: "no signature" })
    return { keyid, sig }
  })
}
