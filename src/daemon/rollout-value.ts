/**
 * The leaves of `rollout.allow`: folders, programs, origins, containers.
 * @module
 */
import { isAbsolute, resolve } from "node:path"
import { isName } from "../core/name.ts"
import {
  ALLOW_ALL,
  ALLOW_NOTHING,
  ANY,
  AUTO,
  type ContainerRule,
  type RolloutAllow,
} from "../rollout/allowing.ts"
import { ARGUMENT_BYTES_MAX } from "../rollout/plan.ts"
import { isArgument, isContainerName } from "../rollout/plan-value.ts"
import type { ValueKind } from "./config-value.ts"

const UNIT_SUFFIX = ".service"
const WORDS: Readonly<Record<string, RolloutAllow | typeof AUTO>> = {
  [AUTO]: AUTO,
  all: ALLOW_ALL,
  nothing: ALLOW_NOTHING,
}

const fromText =
  <T>(parse: (text: string) => T | undefined) =>
  (value: unknown): T | undefined =>
    typeof value === "string" ? parse(value) : undefined

/** A word for all that may be said. */
export const ALLOW_WORD: ValueKind<RolloutAllow | typeof AUTO> = {
  allowed: `${Object.keys(WORDS).join(", ")}, or a table of files, exec, listed, webhook and containers`,
  parse: fromText((text) => (Object.hasOwn(WORDS, text) ? WORDS[text] : undefined)),
}

export const FOLDER: ValueKind<string> = {
  allowed: "the absolute path of a folder, without . and ..",
  parse: fromText((text) => {
    const isPlain = isAbsolute(text) && !text.includes("\0")
    return isPlain && resolve(text) === (text.replace(/\/+$/, "") || "/")
      ? resolve(text)
      : undefined
  }),
}

export const WORD: ValueKind<string> = {
  allowed: `texts of at most ${ARGUMENT_BYTES_MAX} bytes`,
  parse: fromText((text) => (isArgument(text) ? text : undefined)),
}

export const LISTED_NAME: ValueKind<string> = {
  allowed: "a name of small letters and digits, with dots, hyphens and underscores between",
  parse: fromText((text) => (isName(text) ? text : undefined)),
}

export const ORIGIN: ValueKind<string> = {
  allowed: `an origin such as https://hooks.example or http://127.0.0.1:8080, without a path, or "${ANY}"`,
  parse: fromText((text) => {
    if (text === ANY) return ANY
    const url = URL.parse(text)
    const isOrigin = url !== null && url.href === `${url.origin}/` && !text.includes("@")
    return isOrigin && /^https?:$/.test(url.protocol) ? url.origin : undefined
  }),
}

export const CONTAINER: ValueKind<string> = {
  allowed: `the name of a container or of a systemd unit such as web${UNIT_SUFFIX}, or "${ANY}"`,
  parse: fromText((text) => (text === ANY || isContainerName(text) ? text : undefined)),
}

export const UNIT: ValueKind<string> = {
  allowed: `the name of a systemd unit such as web${UNIT_SUFFIX}`,
  parse: fromText((text) => (isContainerName(text) ? text : undefined)),
}

/** Gives the rules of a plain list of names: a unit is restarted, a container is run as its image says. */
export function rulesOf(names: readonly string[]): Readonly<Record<string, ContainerRule>> {
  const ruleOf = (name: string) => (name.endsWith(UNIT_SUFFIX) ? { unit: name } : {})
  return Object.fromEntries(names.map((name) => [name, ruleOf(name)]))
}
