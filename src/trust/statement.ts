/**
 * Statements: what was signed, of which kind and in which fleet (protocol/envelope.md).
 * @module
 */
import { type Digest, digestOf, hexOf, isDigest, isSha256Hex } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import {
  asArray,
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  type JsonValue,
} from "../core/json.ts"
import { PAYLOAD_BYTES_MAX, parseEnvelope, verifyEnvelope } from "./envelope.ts"
import { TrustError } from "./errors.ts"
import type { PublicKey } from "./public-key.ts"
import { parseStrictObject } from "./strict-json.ts"

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
/** Most subjects of a statement. */
export const SUBJECTS_MAX = 10_000
/** Longest name of a subject, in UTF-8. */
export const SUBJECT_NAME_BYTES_MAX = 512
/** Most fields that a statement may say must be known. */
export const CRITICAL_MAX = 32
/** Fields of every predicate: each reader of statements knows them. */
const BASIC_FIELDS: readonly string[] = ["fleet", "critical"]

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
  const { payload } = envelope
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
  return { kind, subject, predicate, digest: digestOf(payload), signers, payload }
}

/** Own keys only, so that no statement is of the kind `constructor`. */
function isKind<Kind extends string>(
  name: string,
  kinds: Readonly<Record<Kind, readonly string[]>>,
): name is Kind {
  return Object.hasOwn(kinds, name)
}

function checkCritical({ critical, predicate }: ParsedPayload, known: readonly string[]): void {
  const names = new Set([...known, ...BASIC_FIELDS])
  const unknown = critical.find((name) => !names.has(name) || !Object.hasOwn(predicate, name))
  if (unknown === undefined) return
  const shown = JSON.stringify(unknown.slice(0, 80))
  throw new TrustError("CRITICAL_UNKNOWN", `the critical field ${shown} is unknown or not there`)
}

/** Step 4: only bytes that were rightly signed come here, or those that are about to be. */
function parsePayload(payload: Uint8Array): ParsedPayload {
  const limits = { bytesMax: PAYLOAD_BYTES_MAX, code: "STATEMENT_MALFORMED" } as const
  const fields = parseStrictObject(payload, limits)
  if (field(fields, "_type") !== STATEMENT_TYPE) throw malformed("_type")
  const subject = parseSubjects(field(fields, "subject"))
  const predicateType = asText(field(fields, "predicateType"))
  if (predicateType === undefined) throw malformed("predicateType")
  const predicate = asObject(field(fields, "predicate"))
  if (predicate === undefined) throw malformed("predicate")
  const fleet = asText(field(predicate, "fleet"))
  if (fleet === undefined || !isSha256Hex(fleet)) throw malformed("predicate.fleet")
  const critical = parseCritical(field(predicate, "critical"))
  return { predicateType, fleet, critical, subject, predicate }
}

function parseSubjects(value: JsonValue | undefined): readonly Subject[] {
  const list = asArray(value) ?? []
  if (list.length === 0 || list.length > SUBJECTS_MAX) throw malformed("subject")
  return list.map(parseSubject)
}

function parseSubject(value: JsonValue): Subject {
  const fields = asObject(value) ?? {}
  const name = asText(field(fields, "name")) ?? ""
  const isNamed = name !== "" && Buffer.byteLength(name) <= SUBJECT_NAME_BYTES_MAX
  if (!isNamed) throw malformed("subject's name")
  const digests = asObject(field(fields, "digest")) ?? {}
  const digest = `sha256:${asText(field(digests, "sha256")) ?? ""}`
  if (!isDigest(digest)) throw malformed("subject's digest")
  return { name, digest }
}

function parseCritical(value: JsonValue | undefined): readonly string[] {
  if (value === undefined) return []
  const list = asArray(value)
  const names = list?.map(asText).filter((name) => name !== undefined)
  if (names === undefined || names.length !== list?.length || names.length > CRITICAL_MAX) {
    throw malformed("predicate.critical")
  }
  return names
}

function malformed(name: string): TrustError {
  return new TrustError("STATEMENT_MALFORMED", `the ${name} is missing or malformed`)
}
