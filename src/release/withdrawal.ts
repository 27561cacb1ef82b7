/**
 * Withdrawals: a release is taken back, and no honest node opens or activates it any more
 * (protocol/release.md §4, the withdrawal).
 * @module
 */
import { isPartyName } from "../core/name.ts"
import { invalidField, lineField, type Section, textField } from "../core/section.ts"
import type { StatementDraft } from "../trust/statement.ts"
import { refusal } from "./errors.ts"
import {
  type Claim,
  draftOf,
  type NamedRelease,
  namedRelease,
  type ReaderTrust,
  readSaid,
  type Saying,
  type Signed,
} from "./signed.ts"

/** The predicate type of a withdrawal. */
export const WITHDRAWAL_KIND = "sealift:withdrawal/v1"
const CODE = "WITHDRAWAL_INVALID"
const FIELDS: readonly string[] = ["by", "reason"]
const REASON_BYTES_MAX = 1_024
const PARTY_PREFIX = "party:"
const TARGETS_TEXT = "role:targets"

/** Who takes a release back. */
export type Withdrawer =
  | { readonly kind: "party"; readonly name: string }
  | { readonly kind: "targets" }

export interface Withdrawal {
  /** The fleet id. */
  readonly fleet: string
  readonly release: NamedRelease
  readonly by: Withdrawer
  /** For people: 1 … 1,024 bytes of UTF-8 in one line. */
  readonly reason: string
}

const SAYING: Saying<Withdrawal, typeof WITHDRAWAL_KIND> = {
  kind: WITHDRAWAL_KIND,
  fields: FIELDS,
  parse: parseWithdrawal,
}

/**
 * Makes the statement of a withdrawal; what it gives can be read.
 * @throws {@link ReleaseError} `WITHDRAWAL_INVALID`
 */
export function encodeWithdrawal(withdrawal: Withdrawal): StatementDraft<typeof WITHDRAWAL_KIND> {
  const { fleet, release, by, reason } = withdrawal
  const predicate = { by: textOfWithdrawer(by), reason }
  return draftOf(SAYING, { fleet, release }, { predicate })
}

/**
 * Reads a withdrawal. Whether it counts is another question (`counting.ts`).
 * @param trust - the devices of the parties under the current policy, and the keys of targets
 * @throws {@link TrustError} as `readStatement`; {@link ReleaseError} `WITHDRAWAL_INVALID`
 * @see protocol/release.md §5, reading the others
 */
export function readWithdrawal(file: Uint8Array, trust: ReaderTrust): Signed<Withdrawal> {
  return readSaid(file, trust, SAYING)
}

function parseWithdrawal(statement: Claim, fleet: string): Withdrawal {
  const section: Section = { fields: statement.predicate, place: "", refuse: refusal(CODE) }
  const reason = lineField(section, "reason", { min: 1, max: REASON_BYTES_MAX })
  return { fleet, release: namedRelease(statement, CODE), by: parseWithdrawer(section), reason }
}

/** Writes who takes a release back. */
export function textOfWithdrawer(by: Withdrawer): string {
  return by.kind === "party" ? `${PARTY_PREFIX}${by.name}` : TARGETS_TEXT
}

/** Reads the field `by`. */
export function parseWithdrawer(section: Section): Withdrawer {
  const text = textField(section, "by")
  if (text === TARGETS_TEXT) return { kind: "targets" }
  const name = text.slice(PARTY_PREFIX.length)
  if (!text.startsWith(PARTY_PREFIX) || !isPartyName(name)) {
    throw invalidField(section, "by", { reason: "neither a party nor the targets role" })
  }
  return { kind: "party", name }
}
