/**
 * Enrolments: a new node says, signed by its own identity, into which fleet it wants to be let
 * (protocol/fleet.md §4).
 * @module
 */
import { digestOf } from "../core/digest.ts"
import { CodedError } from "../core/errors.ts"
import type { JsonObject } from "../core/json.ts"
import { isPeerId } from "../core/name.ts"
import { parseSection, type Refuse, sectionField, textField } from "../core/section.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { addSignature, encodeEnvelope, envelopeOf, parseEnvelope } from "../trust/envelope.ts"
import { encodeStatement, readStatement } from "../trust/statement.ts"
import { type Labels, labelsField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { peerSigner, publicKeyOfPeer } from "./peer-signer.ts"

const KIND = "sealift:enrolment/v1"
const FIELDS: readonly string[] = ["peer", "invite", "labels", "version"]
/** Largest file of an enrolment. */
const ENROLMENT_BYTES_MAX: number = 16 * 1024
const VERSION_CHARACTERS_MAX = 64

/** What a new node says of itself. */
export interface Enrolment {
  readonly peer: PeerId
  /** The id of the invite that it holds; empty when it has none. */
  readonly invite: string
  readonly labels: Labels
  /** Of the software. */
  readonly version: string
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("ENROLMENT_INVALID", `the enrolment is refused: ${reason}`, { cause })

/** Writes and signs what this node says. */
export async function signEnrolment(
  net: Pick<PeerNetwork, "id" | "sign">,
  fleet: string,
  { invite, labels, version }: Omit<Enrolment, "peer">,
): Promise<Uint8Array> {
  const peer = net.id
  const payload = encodeStatement({
    kind: KIND,
    fleet,
    subject: [{ name: peer, digest: digestOf(Buffer.from(peer)) }],
    predicate: { peer, invite, labels, version } satisfies JsonObject,
  })
  return encodeEnvelope(await addSignature(envelopeOf(payload), peerSigner(net)))
}

/**
 * Reads what a node says: the peer id that it names has signed it, and its key may be registered.
 * @throws {@link FleetError} `ENROLMENT_INVALID`
 */
export function readEnrolment(file: Uint8Array, fleet: string): Enrolment {
  if (file.length > ENROLMENT_BYTES_MAX) throw refuse(`${file.length} bytes`)
  try {
    const peer = namedPeer(file)
    const keys = new Set([publicKeyOfPeer(peer)])
    const { predicate, subject } = readStatement(file, { keys, fleet, kinds: { [KIND]: FIELDS } })
    const section = { fields: predicate, place: "predicate.", refuse }
    const isOfPeer = subject.length === 1 && subject[0]?.name === peer
    if (!isOfPeer || subject[0]?.digest !== digestOf(Buffer.from(peer))) {
      throw refuse("its subject is not the peer")
    }
    const version = textField(section, "version")
    if (version.length > VERSION_CHARACTERS_MAX) throw refuse("version: too long")
    const labels = labelsField(section, "labels")
    return { peer, invite: textField(section, "invite"), labels, version }
  } catch (error) {
    if (error instanceof FleetError && error.code === "ENROLMENT_INVALID") throw error
    if (error instanceof CodedError) throw refuse(error.message, error)
    throw error
  }
}

/** Whose key must have signed: nothing of it is believed before the signature is checked. */
function namedPeer(file: Uint8Array): PeerId {
  const { payload } = parseEnvelope(file)
  const section = parseSection(payload, { bytesMax: ENROLMENT_BYTES_MAX, refuse })
  const peer = textField(sectionField(section, "predicate"), "peer")
  if (!isPeerId(peer)) throw refuse("peer: no peer id")
  return peer
}
