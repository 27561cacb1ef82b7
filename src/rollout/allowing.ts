/**
 * What a plan may do on this node: `rollout.allow` of the node's own configuration. A plan's signature
 * says what shall run; only this says what may (protocol/rollout.md §5, activating).
 * @module
 */
import { isAbsolute, resolve, sep } from "node:path"
import { isWithin } from "../disk/folder.ts"
import { RolloutError } from "./errors.ts"
import { fillText, PLACE, STAND_IN } from "./filled-text.ts"
import type { Activation, Probe } from "./plan.ts"
import { isContainerName } from "./plan-value.ts"

/** Programs that keep images and run containers of them. */
export const CONTAINER_RUNTIMES = ["podman", "docker", "containerd"] as const
export type ContainerRuntime = (typeof CONTAINER_RUNTIMES)[number]

/** How a container is started once its image is there. */
export interface ContainerRule {
  /** The only runtime by which a plan may ask for it; undefined leaves that to the plan. */
  readonly runtime?: ContainerRuntime | undefined
  /** The systemd unit that is restarted, instead of a container that is run. */
  readonly unit?: string | undefined
  /** Words of `podman run`, `docker run` or `ctr run` before the image. */
  readonly args?: readonly string[] | undefined
  /** Words after the image: what it runs instead of what it says itself. */
  readonly command?: readonly string[] | undefined
  /** The runtime's program with its own options, such as `[ctr, --namespace, k8s.io]`. */
  readonly program?: readonly string[] | undefined
}

/** What plans may do. Nothing that is not named here. */
export interface RolloutAllow {
  /** Absolute folders in which, at any depth, links may be set. */
  readonly files: readonly string[]
  /** `plan`: programs that a plan names; `listed`: those of `listed` only. */
  readonly exec: "plan" | "listed" | "none"
  /** Programs and their arguments by name. */
  readonly listed: Readonly<Record<string, readonly string[]>>
  /** Origins such as `https://hooks.example`, for web hooks and for probes; {@link ANY} for all. */
  readonly webhook: readonly string[]
  /** By name; {@link ANY} for all others. */
  readonly containers: Readonly<Record<string, ContainerRule>>
}

/** Of `rollout.allow`: everything in a fleet of one person, nothing in any other. */
export const AUTO = "auto"

/** Stands for every origin, and for every container. */
export const ANY = "*"

/** Of a fleet of one person: its plans are the node owner's own. */
export const ALLOW_ALL: RolloutAllow = {
  files: ["/"],
  exec: "plan",
  listed: {},
  webhook: [ANY],
  containers: { [ANY]: {} },
}

/** Of every other fleet, until the node's owner says more. */
export const ALLOW_NOTHING: RolloutAllow = {
  files: [],
  exec: "none",
  listed: {},
  webhook: [],
  containers: {},
}

/**
 * Gives what holds on a node.
 * @param said - `rollout.allow`: `auto` leaves it to the fleet
 * @param isOnePerson - whether all roles and parties of the fleet are one person's
 */
export function effectiveAllow(
  said: RolloutAllow | typeof AUTO,
  { isOnePerson }: { readonly isOnePerson: boolean },
): RolloutAllow {
  if (said !== AUTO) return said
  return isOnePerson ? ALLOW_ALL : ALLOW_NOTHING
}

/**
 * Refuses an activation that this node does not allow, before anything is brought or run.
 * @throws {@link RolloutError} `ACTIVATION_REFUSED`, with the key to set
 */
export function verifyAllowed(allow: RolloutAllow, activation: Activation): void {
  switch (activation.kind) {
    case "files":
      verifyLinkText(allow, activation.path)
      break
    case "exec":
      verifyPrograms(allow)
      break
    case "listed":
      listedArgv(allow, activation.name)
      break
    case "webhook":
      allowedUrl(allow, fillText(activation.url, STAND_IN, encodeURIComponent))
      break
    default:
      containerRule(allow, activation.container, activation.kind)
  }
}

/**
 * Refuses a probe that this node does not allow. Of web addresses it may ask those that web hooks may go
 * to and no others, this machine's own among them: what listens on loopback often has no other guard.
 * @throws {@link RolloutError} `ACTIVATION_REFUSED`, with the key to set
 */
export function verifyProbeAllowed(allow: RolloutAllow, { check }: Probe): void {
  switch (check.kind) {
    case "exec":
      verifyPrograms(allow)
      break
    case "listed":
      listedArgv(allow, check.name)
      break
    case "http":
      allowedUrl(allow, fillText(check.url, STAND_IN, encodeURIComponent))
      break
    case "container":
      containerRule(allow, check.container)
      break
    case "running":
  }
}

/** Gives the program that the node's owner has under a name. @throws {@link RolloutError} */
export function listedArgv(allow: RolloutAllow, name: string): readonly string[] {
  const argv = Object.hasOwn(allow.listed, name) ? allow.listed[name] : undefined
  if (allow.exec === "none") throw refused("runs no programs", "set rollout.allow.exec to listed")
  if (argv !== undefined) return argv
  throw refused(`knows no program ${shown(name)}`, "add it to rollout.allow.listed")
}

/**
 * Gives how a container is started.
 * @param runtime - the one that the plan asks for; undefined for a probe
 * @throws {@link RolloutError}
 */
export function containerRule(
  allow: RolloutAllow,
  name: string,
  runtime?: ContainerRuntime,
): ContainerRule {
  const key = Object.hasOwn(allow.containers, name) ? name : ANY
  const rule = Object.hasOwn(allow.containers, key) ? allow.containers[key] : undefined
  if (rule === undefined || !isContainerName(name)) {
    throw refused(`knows no container ${shown(name)}`, "add it to rollout.allow.containers")
  }
  if (runtime === undefined || rule.runtime === undefined || rule.runtime === runtime) return rule
  throw refused(
    `has ${name} by ${rule.runtime}, not by ${runtime}`,
    `change rollout.allow.containers.${name}.runtime`,
  )
}

/** Reads a URL that plans may ask this node to call. @throws {@link RolloutError} */
export function allowedUrl(allow: RolloutAllow, text: string): URL {
  const url = URL.parse(text)
  const isWeb = url !== null && ["http:", "https:"].includes(url.protocol)
  // A name and a password in it would end up in logs and reports.
  if (!isWeb || url.username !== "" || url.password !== "") {
    throw refused(`calls no ${shown(text)}`, "name an http or https URL without a password")
  }
  if (allow.webhook.includes(ANY) || allow.webhook.includes(url.origin)) return url
  throw refused(`does not call ${url.origin}`, "add it to rollout.allow.webhook")
}

/**
 * Checks where a link is to be, by its text alone; where it really is, `activate-files.ts` checks.
 * @param path - filled
 * @param text - as the plan has it, for whoever reads why
 * @throws {@link RolloutError}
 */
export function verifyLinkPath(allow: RolloutAllow, path: string, text: string = path): void {
  // `..`, doubled and trailing slashes have no place in it: it says where it is by itself.
  if (!isAbsolute(path) || path.includes("\0") || resolve(path) !== path || path === sep) {
    throw refused(`sets no link at ${shown(text)}`, "name an absolute path without . and ..")
  }
  if (allow.files.some((folder) => isWithin(path, folder))) return
  throw refused(`sets no link at ${shown(text)}`, "add a folder above it to rollout.allow.files")
}

/** Gives the error of what this node does not allow. */
export function refused(what: string, cure: string): RolloutError {
  return new RolloutError("ACTIVATION_REFUSED", `this node ${what}: ${cure}`)
}

function verifyLinkText(allow: RolloutAllow, text: string): void {
  if (text.includes(PLACE.release) || text.includes(PLACE.path)) {
    throw refused(`sets no link at ${shown(text)}`, "name one place for all releases")
  }
  verifyLinkPath(allow, fillText(text, STAND_IN), text)
}

function verifyPrograms(allow: RolloutAllow): void {
  if (allow.exec === "plan") return
  throw refused("runs no program that a plan names", "set rollout.allow.exec to plan")
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 120))
