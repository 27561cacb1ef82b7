/**
 * Paths of plans among the target files of a fleet (protocol/tuf-profile.md §4).
 * @module
 */
import { parseCountText } from "../core/count-text.ts"
import { isName } from "../core/name.ts"
import type { Plan } from "./plan.ts"

const PATH = /^plans\/([^/]+)\/([^/]+)\.json$/

/** Gives the path of a plan's target file. */
export function planPath({ name, version }: Pick<Plan, "name" | "version">): string {
  return `plans/${name}/${version}.json`
}

/** Gives the plan that a target file is; undefined when it is none. */
export function planOfPath(path: string): Pick<Plan, "name" | "version"> | undefined {
  const [, name = "", digits = ""] = PATH.exec(path) ?? []
  const version = parseCountText(digits)
  return isName(name) && version !== undefined ? { name, version } : undefined
}
