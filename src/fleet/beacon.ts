/**
 * Beacons: what a witness of the fleet holds as newest, and when it said so, signed so that anybody may
 * carry it (protocol/beacon.md §4).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { countField, parseSection, type Section, sectionField } from "../core/section.ts"
import { addSignature, encodeEnvelope, envelopeOf, parseEnvelope } from "../trust/envelope.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeStatement, readStatement, type Statement } from "../trust/statement.ts"
import { TIMESTAMP_NAME } from "../trust/tuf/metadata-file.ts"
import type { Witness } from "../trust/witness-list.ts"
import { peerField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { type FleetPlace, PLACE_NAMES } from "./fleet-place.ts"

/** The kind of the statement. */
const BEACON_KIND = "sealift:beacon/v1"
/** Largest file of a beacon; one without fields of a later version has less than 1 KiB. */
export const BEACON_BYTES_MAX: number = 4 * 1024
const FIELDS: readonly string[] = ["peer", "at", ...PLACE_NAMES]

/** What a witness said. */
export interface Beacon extends Witness {
  /** By the clock of its machine, milliseconds since 1970. */
  readonly atMs: number
  readonly place: FleetPlace
  /** The envelope as it was signed. */
  readonly statement: Uint8Array
}

/** What a witness is about to say. */
export interface BeaconDraft extends Omit<Beacon, "key" | "statement"> {
  /** Of the timestamp file that it accepted: two that differ show that the fleet was told two things. */
  readonly timestampDigest: Digest
}

/**
 * Signs a beacon.
 * @param signer - the key of the witness
 * @throws TrustError `SIGNATURE_WRONG`
 */
export async function signBeacon(
  { peer, atMs, place, timestampDigest }: BeaconDraft,
  { fleet, signer }: { readonly fleet: string; readonly signer: Signer },
): Promise<Beacon> {
  const payload = encodeStatement({
    kind: BEACON_KIND,
    fleet,
    subject: [{ name: TIMESTAMP_NAME, digest: timestampDigest }],
    predicate: { peer, at: atMs, ...place },
  })
  const envelope = await addSignature(envelopeOf(payload), signer)
  return { peer, key: signer.publicKey, atMs, place, statement: encodeEnvelope(envelope) }
}

/**
 * Reads what a witness has said.
 * @param expected - the fleet id, and the witnesses that are named
 * @throws {@link FleetError} `BEACON_INVALID`
 * @see protocol/beacon.md §5, reading
 */
export function parseBeacon(
  file: Uint8Array,
  { fleet, witnesses }: { readonly fleet: string; readonly witnesses: readonly Witness[] },
): Beacon {
  return reading(file, () => {
    const keys = new Set(witnesses.map(({ key }) => key))
    const statement = readStatement(file, { keys, fleet, kinds: { [BEACON_KIND]: FIELDS } }) // step 2
    const said = saidOf(statement) // step 3
    return { ...said, key: keyOf(said.peer, statement.signers, witnesses), statement: file } // step 4
  })
}

/**
 * Reads a beacon that was verified before it was kept: its fields alone.
 * @param key - the key that had signed it
 * @throws {@link FleetError} `BEACON_INVALID`
 */
export function parseKeptBeacon(file: Uint8Array, key: PublicKey): Beacon {
  return { ...parseUnverified(file), key, statement: file }
}

/**
 * Reads what a beacon says, whoever has signed it.
 * @throws {@link FleetError} `BEACON_INVALID`
 */
export function parseUnverified(file: Uint8Array): Said {
  return reading(file, () => {
    const { payload } = parseEnvelope(file)
    const bounds = { bytesMax: BEACON_BYTES_MAX, refuse: invalidBeacon }
    return saidIn(sectionField(parseSection(payload, bounds), "predicate"))
  })
}

/** Reads a file that is not too long (step 1); what is wrong with it has one code. */
function reading<Result>(file: Uint8Array, read: () => Result): Result {
  if (file.length > BEACON_BYTES_MAX) throw invalidBeacon(`${file.length} bytes`)
  try {
    return read()
  } catch (cause) {
    if (cause instanceof FleetError) throw cause
    throw invalidBeacon(messageOf(cause), cause)
  }
}

/** Gives the error of a beacon that is refused. */
export function invalidBeacon(reason: string, cause?: unknown): FleetError {
  return new FleetError("BEACON_INVALID", `a beacon is refused: ${reason}`, { cause })
}

type Said = Omit<Beacon, "key" | "statement">

function saidOf({ subject, predicate }: Statement): Said {
  const [about] = subject
  if (subject.length > 1 || about?.name !== TIMESTAMP_NAME) {
    throw invalidBeacon("its subject is not the timestamp")
  }
  return saidIn({ fields: predicate, place: "predicate.", refuse: invalidBeacon })
}

/** No witness speaks for another one. */
function keyOf(
  peer: string,
  signers: ReadonlySet<PublicKey>,
  witnesses: readonly Witness[],
): PublicKey {
  const named = witnesses.find((witness) => witness.peer === peer)
  if (named !== undefined && signers.has(named.key)) return named.key
  throw invalidBeacon(`it is of ${peer}, and another witness has signed it`)
}

function saidIn(section: Section): Said {
  const versions = PLACE_NAMES.map((name) => [name, countField(section, name)] as const)
  return {
    peer: peerField(section, "peer"),
    atMs: countField(section, "at"),
    place: Object.fromEntries(versions) as FleetPlace,
  }
}
