/**
 * The plan that a decision or a report is about (protocol/rollout.md §4).
 * @module
 */
import { parseCountText } from "../core/count-text.ts"
import type { Digest } from "../core/digest.ts"
import { isName } from "../core/name.ts"
import type { Refuse } from "../core/section.ts"
import type { Statement, Subject } from "../trust/statement.ts"

/** A plan as other statements name it. */
export interface NamedPlan {
  readonly name: string
  readonly version: number
  /** Of the plan's statement. */
  readonly digest: Digest
}

/** Writes the subject: `NAME@VERSION`. */
export function subjectOfPlan({ name, version, digest }: NamedPlan): Subject {
  return { name: `${name}@${version}`, digest }
}

/** Gives the plan that a statement is about: its one subject. @throws what `refuse` gives */
export function namedPlan({ subject }: Pick<Statement, "subject">, refuse: Refuse): NamedPlan {
  const [only, ...others] = subject
  if (only === undefined || others.length > 0) {
    throw refuse(`${subject.length} subjects, expected one plan`)
  }
  const [name = "", digits = "", ...rest] = only.name.split("@")
  const version = parseCountText(digits)
  if (!isName(name) || version === undefined || version < 1 || rest.length > 0) {
    throw refuse("the subject is no plan")
  }
  return { name, version, digest: only.digest }
}

/** Tells whether two statements are about one plan. */
export function isSamePlan(one: NamedPlan, other: NamedPlan): boolean {
  return one.digest === other.digest && one.name === other.name && one.version === other.version
}
