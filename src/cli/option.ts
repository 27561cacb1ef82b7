/**
 * Values of options: lists, `KEY=VALUE`, durations, counts.
 * @module
 */
import { parseCountText } from "../core/count-text.ts"
import { DURATION_ALLOWED, parseDuration } from "../daemon/unit.ts"
import { CliError } from "./errors.ts"

/** Makes a list of an option that is given several times. */
export const collect = (
  value: string,
  before: readonly string[] | undefined,
): readonly string[] => [...(before ?? []), value]

/** Gives the values of an option that may be given several times. */
export function listOf(option: unknown): readonly string[] {
  return Array.isArray(option) ? option.map(String) : []
}

/** Gives the value of an option; undefined when it was not given. */
export function textOf(option: unknown): string | undefined {
  return typeof option === "string" ? option : undefined
}

/** Gives the value of an option that must be there. @throws CliError `USAGE_INVALID` */
export function requiredText(option: unknown, flag: string): string {
  if (typeof option === "string" && option !== "") return option
  throw new CliError("USAGE_INVALID", `${flag} is missing`)
}

/** Splits each `KEY=VALUE` at its first `=`. @throws CliError `USAGE_INVALID` */
export function pairsOf(option: unknown, flag: string): readonly (readonly [string, string])[] {
  return listOf(option).map((text) => {
    const at = text.indexOf("=")
    if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
    throw usage(flag, text, "KEY=VALUE")
  })
}

/** Gives labels of `KEY=VALUE`, each key once. @throws CliError `USAGE_INVALID` */
export function labelsOf(option: unknown, flag: string): Readonly<Record<string, string>> {
  const pairs = pairsOf(option, flag)
  const twice = pairs.find(([key], index) => pairs.findIndex(([other]) => other === key) < index)
  if (twice !== undefined) throw new CliError("USAGE_INVALID", `${flag} has ${twice[0]} twice`)
  return Object.fromEntries(pairs)
}

/** Gives a time span in milliseconds. @throws CliError `USAGE_INVALID` */
export function durationOf(option: unknown, flag: string): number | undefined {
  if (option === undefined) return undefined
  const ms = parseDuration(String(option))
  if (ms !== undefined && ms > 0) return ms
  throw usage(flag, String(option), DURATION_ALLOWED)
}

/** Gives a whole number from 1. @throws CliError `USAGE_INVALID` */
export function countOf(option: unknown, flag: string): number | undefined {
  if (option === undefined) return undefined
  const count = parseCountText(String(option))
  if (count !== undefined) return count
  throw usage(flag, String(option), "a whole number from 1")
}

/** Refuses options that have no meaning together. @throws CliError `USAGE_INVALID` */
export function refuseTogether(given: Readonly<Record<string, boolean>>): void {
  const flags = Object.keys(given).filter((flag) => given[flag] === true)
  if (flags.length < 2) return
  throw new CliError("USAGE_INVALID", `${flags.join(" and ")} exclude each other`)
}

function usage(flag: string, text: string, allowed: string): CliError {
  return new CliError("USAGE_INVALID", `${flag} is "${text.slice(0, 80)}"; allowed: ${allowed}`)
}
