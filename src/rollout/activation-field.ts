/**
 * Activations and probes as fields of plans and of releases (protocol/rollout.md §4, activations and
 * probes).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import { isName } from "../core/name.ts"
import {
  choiceField,
  countField,
  invalidField,
  type Section,
  textField,
  textListField,
} from "../core/section.ts"
import { type Activation, ARGUMENTS_MAX, type Probe, type Program, SPAN_MS_MAX } from "./plan.ts"
import { isArgument, isContainerName, isLinkPath, isProgram, isWebUrl } from "./plan-value.ts"

/** Most tries of a probe after its first one. */
export const RETRIES_MAX = 100
export const ACTIVATION_KINDS: readonly Activation["kind"][] = [
  ...(["files", "exec", "listed", "podman", "docker", "containerd", "webhook"] as const),
]
export const CHECK_KINDS: readonly Probe["check"]["kind"][] = [
  ...(["exec", "listed", "http", "container", "running"] as const),
]

/** Reads an activation: of a plan, or a release's own. @throws what the section refuses with */
export function parseActivation(section: Section): Activation {
  const kind = choiceField(section, "kind", ACTIVATION_KINDS)
  if (kind === "files") return { kind, path: checkedField(section, "path", PATH) }
  const timeoutMs = countField(section, "timeoutMs", { min: 1, max: SPAN_MS_MAX })
  switch (kind) {
    case "exec":
    case "listed":
      return { ...programField(section, kind), timeoutMs }
    case "webhook":
      return { kind, url: checkedField(section, "url", URL_TEXT), timeoutMs }
    default:
      return { kind, container: checkedField(section, "container", CONTAINER), timeoutMs }
  }
}

export function encodeActivation(activation: Activation): JsonObject {
  return { ...activation }
}

/** Reads a probe. @throws what the section refuses with */
export function parseProbe(section: Section): Probe {
  return {
    check: parseCheck(section),
    timeoutMs: countField(section, "timeoutMs", { min: 1, max: SPAN_MS_MAX }),
    retries: countField(section, "retries", { max: RETRIES_MAX }),
    intervalMs: countField(section, "intervalMs", { max: SPAN_MS_MAX }),
  }
}

export function encodeProbe({ check, timeoutMs, retries, intervalMs }: Probe): JsonObject {
  return { ...check, timeoutMs, retries, intervalMs }
}

function parseCheck(section: Section): Probe["check"] {
  const kind = choiceField(section, "kind", CHECK_KINDS)
  switch (kind) {
    case "exec":
    case "listed":
      return programField(section, kind)
    case "http":
      return { kind, url: checkedField(section, "url", URL_TEXT) }
    case "container":
      return { kind, container: checkedField(section, "container", CONTAINER) }
    default:
      return { kind }
  }
}

/** What a text must be, and what to say when it is not. */
type TextCheck = readonly [isRight: (text: string) => boolean, reason: string]
const PATH: TextCheck = [isLinkPath, "no absolute path"]
const LISTED: TextCheck = [isName, "no name"]
const URL_TEXT: TextCheck = [isWebUrl, "no URL of a web server"]
const CONTAINER: TextCheck = [isContainerName, "no name of a container"]

function checkedField(section: Section, name: string, [isRight, reason]: TextCheck): string {
  const text = textField(section, name)
  if (!isRight(text)) throw invalidField(section, name, { reason })
  return text
}

function programField(section: Section, kind: Program["kind"]): Program {
  if (kind === "exec") return { kind, argv: argvField(section) }
  return { kind, name: checkedField(section, "name", LISTED) }
}

function argvField(section: Section): readonly string[] {
  const argv = textListField(section, "argv", { min: 1, max: ARGUMENTS_MAX })
  if (!isProgram(argv[0]!)) {
    throw invalidField(section, "argv", { reason: "no absolute path of a program" })
  }
  if (!argv.every(isArgument)) throw invalidField(section, "argv", { reason: "no arguments" })
  return argv
}
