/**
 * Life signs: what a node says of itself to its peers, so that it finds out from them when somebody else
 * runs with its identity, or when its state was put back (protocol/fleet.md §4, the life sign).
 * @module
 */
import { encodeHex, parseHex } from "../core/byte-text.ts"
import { digestOf } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import {
  countField,
  hashField,
  invalidField,
  parseSection,
  type Section,
  sectionField,
  textField,
  textSetField,
} from "../core/section.ts"
import type { PeerId } from "../net/net.ts"
import { addSignature, encodeEnvelope, envelopeOf, parseEnvelope } from "../trust/envelope.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeStatement, readStatement, type Statement } from "../trust/statement.ts"
import { peerField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { compareLogs, type LogPlace } from "./own-log.ts"
import { publicKeyOfPeer } from "./peer-signer.ts"

/** The kind of the statement. */
export const LIFE_SIGN_KIND = "sealift:life-sign/v1"
/** Largest file of a life sign; one that names eight boots has less than 2 KiB. */
export const LIFE_SIGN_BYTES_MAX: number = 4 * 1024
/** Other boots that one names. */
export const BOOTS_NAMED_MAX = 8
/** Random bytes of a boot id. */
export const BOOT_ID_BYTES = 16
const FIELDS: readonly string[] = ["peer", "boot", "others", "nodeKey", "root", "timestamp", "log"]

/** How far what a node keeps has come; nothing of it ever falls, but by an old copy. */
export interface SelfPlace {
  /** The highest counter of its node keys; 0: it has none. */
  readonly nodeKey: number
  /** Versions of the root that it trusts and of the timestamp that it accepted. */
  readonly root: number
  readonly timestamp: number
  readonly log: LogPlace
}

/** What a node says of itself. */
export interface LifeSign extends SelfPlace {
  readonly peer: PeerId
  /** Made anew at each start: 32 lower-case hex digits. */
  readonly boot: string
  /** Other boots of this node that peers have told it of. */
  readonly others: readonly string[]
  /** The envelope as it was signed. */
  readonly statement: Uint8Array
}

/**
 * Signs a life sign.
 * @param signer - the node's own identity
 * @throws TrustError `SIGNATURE_WRONG`
 */
export async function signLifeSign(
  sign: Omit<LifeSign, "statement">,
  { fleet, signer }: { readonly fleet: string; readonly signer: Signer },
): Promise<LifeSign> {
  const { peer, boot, others, nodeKey, root, timestamp, log } = sign
  const payload = encodeStatement({
    kind: LIFE_SIGN_KIND,
    fleet,
    subject: [{ name: peer, digest: digestOf(Buffer.from(boot)) }],
    predicate: {
      ...{ peer, boot, others, nodeKey, root, timestamp },
      log: { ...log, root: encodeHex(log.root) },
    },
  })
  const envelope = await addSignature(envelopeOf(payload), signer)
  return { ...sign, statement: encodeEnvelope(envelope) }
}

/**
 * Reads what a node has signed of itself.
 * @param expected - the fleet id, and whose life sign it must be
 * @throws {@link FleetError} `LIFE_SIGN_INVALID`
 * @see protocol/fleet.md §5, reading a life sign
 */
export function parseLifeSign(
  file: Uint8Array,
  { fleet, peer }: { readonly fleet: string; readonly peer: PeerId },
): LifeSign {
  if (file.length > LIFE_SIGN_BYTES_MAX) throw invalidLifeSign(`${file.length} bytes`)
  try {
    const keys = new Set([publicKeyOfPeer(peer)])
    const statement = readStatement(file, { keys, fleet, kinds: { [LIFE_SIGN_KIND]: FIELDS } })
    return signOf(statement, { peer, file })
  } catch (cause) {
    if (cause instanceof FleetError) throw cause
    throw invalidLifeSign(messageOf(cause), cause)
  }
}

/**
 * Reads a life sign that was verified before it was kept: its fields alone.
 * @throws {@link FleetError} `LIFE_SIGN_INVALID`; TrustError `ENVELOPE_MALFORMED`
 */
export function parseKeptSign(file: Uint8Array): LifeSign {
  const { payload } = parseEnvelope(file)
  const bounds = { bytesMax: LIFE_SIGN_BYTES_MAX, refuse: invalidLifeSign }
  return signIn(sectionField(parseSection(payload, bounds), "predicate"), file)
}

/** Tells whether one life sign of a node says that it has come further than by another. */
export function isFurther(one: SelfPlace, other: SelfPlace): boolean {
  const order =
    compareLogs(one.log, other.log) ||
    one.root - other.root ||
    one.timestamp - other.timestamp ||
    one.nodeKey - other.nodeKey
  return order > 0
}

/** Gives the error of a life sign that is refused. */
export function invalidLifeSign(reason: string, cause?: unknown): FleetError {
  return new FleetError("LIFE_SIGN_INVALID", `a life sign is refused: ${reason}`, { cause })
}

function signOf(
  { subject, predicate }: Statement,
  { peer, file }: { readonly peer: PeerId; readonly file: Uint8Array },
): LifeSign {
  const section: Section = { fields: predicate, place: "predicate.", refuse: invalidLifeSign }
  const sign = signIn(section, file)
  const { boot, others } = sign
  if (sign.peer !== peer) throw invalidLifeSign(`it is of ${sign.peer}, and ${peer} has signed it`)
  if (others.includes(boot)) throw invalidLifeSign("it names its own boot as another")
  const [about] = subject
  const isAbout = about?.name === peer && about.digest === digestOf(Buffer.from(boot))
  if (!isAbout || subject.length > 1) throw invalidLifeSign("its subject is not the node's boot")
  return sign
}

function signIn(section: Section, file: Uint8Array): LifeSign {
  const boot = bootOf(textField(section, "boot"), section, "boot")
  const named = textSetField(section, "others", { max: BOOTS_NAMED_MAX })
  const log = sectionField(section, "log")
  return {
    peer: peerField(section, "peer"),
    boot,
    others: named.map((one) => bootOf(one, section, "others")),
    nodeKey: countField(section, "nodeKey"),
    root: countField(section, "root"),
    timestamp: countField(section, "timestamp"),
    log: {
      incarnation: countField(log, "incarnation", { min: 1 }),
      size: countField(log, "size"),
      root: hashField(log, "root"),
    },
    statement: file,
  }
}

function bootOf(text: string, section: Section, name: string): string {
  if (parseHex(text)?.length === BOOT_ID_BYTES) return text
  throw invalidField(section, name, { reason: "no boot id" })
}
