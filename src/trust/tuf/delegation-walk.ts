/**
 * Which role's word counts for a target file: TUF 1.0 §5.6.7.
 * @module
 */
import type { Metadata, TargetFile, Targets } from "@tufjs/models"
import { ROLES_VISITED_MAX } from "./tuf-limits.ts"

/** A role, and the role through which it was reached. */
interface Step {
  readonly role: string
  readonly parent: string
}

/** What the walk asks. */
export interface Walk {
  /** Gives a role that was accepted; undefined when there is nothing usable of it. */
  load(role: string, parent: string): Promise<Metadata<Targets> | undefined>
  /** Tells whether a role may sign the target file. */
  maySign(role: string): boolean
}

/** What a role says of a target file. */
export interface FoundFile {
  readonly role: string
  readonly file: TargetFile
}

/**
 * Finds the most trusted role that lists a target file: depth first, in the order of delegations.
 * @returns undefined when none does
 */
export async function findTarget(path: string, walk: Walk): Promise<FoundFile | undefined> {
  const visited = new Set<string>()
  // The next one to visit is the last.
  const open: Step[] = [{ role: "targets", parent: "root" }]
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    // §5.6.7.1: a role is visited once, so that a circle ends.
    if (visited.has(step.role)) continue
    if (visited.size >= ROLES_VISITED_MAX) return undefined
    visited.add(step.role)
    const signed = (await walk.load(step.role, step.parent))?.signed
    if (signed === undefined) continue
    const { targets } = signed
    // tuf-js also finds what an object has by birth, such as `constructor`.
    const file = Object.hasOwn(targets, path) ? targets[path] : undefined
    if (file !== undefined && walk.maySign(step.role)) return { role: step.role, file }
    const next: Step[] = []
    for (const { role, terminating } of signed.delegations?.rolesForTarget(path) ?? []) {
      next.push({ role, parent: step.role })
      // §5.6.7.2: nobody else is asked.
      if (terminating) open.length = 0
      if (terminating) break
    }
    open.push(...next.reverse())
  }
  return undefined
}
