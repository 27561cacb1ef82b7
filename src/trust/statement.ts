/**
 * Statements: what was signed, of which kind and in which fleet (protocol/envelope.md).
 * @module
 */
import { type Digest, digestOf, hexOf } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import {
  choiceField,
  digestField,
  fleetField,
  invalidField,
  parseSection,
  type Section,
  sectionField,
  sectionListField,
  textField,
} from "../core/section.ts"
import { criticalField, verifyCritical } from "./critical.ts"
import { PAYLOAD_BYTES_MAX, parseEnvelope, verifyEnvelope } from "./envelope.ts"
import { refusal, TrustError } from "./errors.ts"
import type { PublicKey } from "./public-key.ts"

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
/** Most subjects of a statement. */
export const SUBJECTS_MAX = 10_000
/** Longest name of a subject, in UTF-8. */
export const SUBJECT_NAME_BYTES_MAX = 512
/** Fields of every predicate: each reader of statements knows them. */
const BASIC_FIELDS: readonly string[] = ["fleet"]

/** A thing that a statement is about. */
export interface Subject {
  readonly name: string
  readonly digest: Digest
}

/** What a statement says, before it is signed. */
export interface StatementDraft<Kind extends string = string> {
  /** Its predicate type, e.g. `sealift:release/v1`. */
  readonly kind: Kind
  /** The fleet id: 64 lower-case hex digits. */
  readonly fleet: string
  /** 1 … 10,000. */
  readonly subject: readonly Subject[]
  /** All fields of the predicate but `fleet`. */
  readonly predicate: JsonObject
}

/** What a reader expects. */
export interface Expectation<Kind extends string> {
  /** The keys that may count. */
  readonly keys: ReadonlySet<PublicKey>
  readonly fleet: string
  /** The kinds, each with the fields of its predicate that the reader knows. */
  readonly kinds: Readonly<Record<Kind, readonly string[]>>
}

/** A statement that at least one expected key has signed. */
export interface Statement<Kind extends string = string> {
  readonly kind: Kind
  readonly subject: readonly Subject[]
  /** As it was signed, `fleet` included. Read its fields by `core/json`'s `field`. */
  readonly predicate: JsonObject
  /** SHA-256 of the payload: it does not change with who has signed. */
  readonly digest: Digest
  readonly signers: ReadonlySet<PublicKey>
  /** The bytes that were signed. */
  readonly payload: Uint8Array
}

/** A payload whose form is right; kind, fleet and critical fields are not looked at yet. */
interface ParsedPayload {
  readonly predicateType: string
  readonly fleet: string
  readonly critical: readonly string[]
  readonly subject: readonly Subject[]
  readonly predicate: JsonObject
}

/**
 * Makes the bytes to sign. Make them once: two encodings are two statements.
 * @throws {@link TrustError} `STATEMENT_MALFORMED` when a bound is passed, `CRITICAL_UNKNOWN` when
 * a critical field is not there
 */
export function encodeStatement({ kind, fleet, subject, predicate }: StatementDraft): Uint8Array {
  assert(!Object.hasOwn(predicate, "fleet"), "the fleet is given once")
  const payload = encodeJson({
    _type: STATEMENT_TYPE,
    subject: subject.map(({ name, digest }) => ({ name, digest: { sha256: hexOf(digest) } })),
    predicateType: kind,
    predicate: { fleet, ...predicate },
  })
  // What is written can be read: one place has the bounds.
  const parsed = parsePayload(payload)
  checkCritical(parsed, Object.keys(predicate))
  return payload
}

/**
 * Reads a file as one of the expected kinds.
 * @throws {@link TrustError} with the code of the first step that fails
 * @see protocol/envelope.md §5, reading
 */
export function readStatement<Kind extends string>(
  file: Uint8Array,
  { keys, fleet, kinds }: Expectation<Kind>,
): Statement<Kind> {
  const envelope = parseEnvelope(file) // step 1
  const signers = verifyEnvelope(envelope, keys) // steps 2 and 3
  return { ...readPayload(envelope.payload, { fleet, kinds }), signers }
}

/**
 * Reads what is about to be signed, as one of the expected kinds; whoever reads what was signed calls
 * {@link readStatement}.
 * @throws {@link TrustError} as it
 */
export function readPayload<Kind extends string>(
  payload: Uint8Array,
  { fleet, kinds }: Omit<Expectation<Kind>, "keys">,
): Omit<Statement<Kind>, "signers"> {
  const parsed = parsePayload(payload) // step 4
  const { predicateType: kind, subject, predicate } = parsed
  // Step 5.
  if (!isKind(kind, kinds)) {
    throw new TrustError("KIND_WRONG", `a statement of kind ${JSON.stringify(kind.slice(0, 80))}`)
  }
  // Step 6.
  if (parsed.fleet !== fleet) {
    throw new TrustError("FLEET_WRONG", `a statement of fleet ${parsed.fleet}, expected ${fleet}`)
  }
  checkCritical(parsed, kinds[kind]) // step 7
  return { kind, subject, predicate, digest: digestOf(payload), payload }
}

/** Own keys only, so that no statement is of the kind `constructor`. */
function isKind<Kind extends string>(
  name: string,
  kinds: Readonly<Record<Kind, readonly string[]>>,
): name is Kind {
  return Object.hasOwn(kinds, name)
}

function checkCritical({ critical, predicate }: ParsedPayload, known: readonly string[]): void {
  verifyCritical(critical, predicate, [...known, ...BASIC_FIELDS])
}

/** Step 4: only bytes that were rightly signed come here, or those that are about to be. */
function parsePayload(payload: Uint8Array): ParsedPayload {
  const refuse = refusal("STATEMENT_MALFORMED")
  const section = parseSection(payload, { bytesMax: PAYLOAD_BYTES_MAX, refuse })
  choiceField(section, "_type", [STATEMENT_TYPE])
  const subjects = sectionListField(section, "subject", { min: 1, max: SUBJECTS_MAX })
  const predicate = sectionField(section, "predicate")
  const fleet = fleetField(predicate)
  return {
    predicateType: textField(section, "predicateType"),
    fleet,
    critical: criticalField(predicate),
    subject: subjects.map(parseSubject),
    predicate: predicate.fields,
  }
}

function parseSubject(section: Section): Subject {
  const name = textField(section, "name")
  if (name === "" || Buffer.byteLength(name) > SUBJECT_NAME_BYTES_MAX) {
    throw invalidField(section, "name", { reason: `not 1 to ${SUBJECT_NAME_BYTES_MAX} bytes` })
  }
  return { name, digest: digestField(sectionField(section, "digest"), "sha256") }
}
