/**
 * Reads what a client of the control API sends: a few named fields, nothing else.
 * @module
 */
import { isAbsolute } from "node:path"
import { unreachable } from "../core/errors.ts"
import { LABELS_MAX } from "../fleet/access-field.ts"
import { ApiError } from "./errors.ts"

const TEXT_CHARS_MAX = 512
const LINK_CHARS_MAX = 8192
const LIST_ENTRIES_MAX = 10_000
/** Longest path that Linux takes (limits.h, PATH_MAX). */
const PATH_CHARS_MAX = 4096

interface FieldValues {
  readonly text: string
  readonly link: string
  /** Absolute, without a null character. */
  readonly path: string
  /** As long as the body may be. */
  readonly base64: string
  readonly boolean: boolean
  readonly count: number
  readonly texts: readonly string[]
  readonly links: readonly string[]
  readonly paths: readonly string[]
  readonly base64s: readonly string[]
  /** Texts by key. */
  readonly labels: Readonly<Record<string, string>>
  /** To be read as the whole is: by {@link fieldsOf}. */
  readonly object: object
  readonly objects: readonly object[]
}
type FieldType = keyof FieldValues

/** The fields that a request may have. */
export type FieldTypes = Readonly<Record<string, FieldType>>
export type Fields<Types extends FieldTypes> = {
  readonly [Name in keyof Types]?: FieldValues[Types[Name]]
}

/**
 * Reads a body or a query; every field may be left out.
 * @throws ApiError `REQUEST_INVALID` for an unknown field or a wrong type
 */
export function fieldsOf<const Types extends FieldTypes>(
  value: unknown,
  types: Types,
): Fields<Types> {
  const fields = value ?? {}
  if (typeof fields !== "object" || Array.isArray(fields))
    throw invalidRequest("it is no JSON object")
  for (const [name, field] of Object.entries(fields)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    if (type === undefined) {
      const allowed = Object.keys(types).join(", ") || "none"
      throw invalidRequest(
        `unknown field ${JSON.stringify(name.slice(0, 80))}; allowed: ${allowed}`,
      )
    }
    if (!isType(field, type)) throw invalidRequest(`field ${name} is not a ${type}`)
  }
  return fields as Fields<Types>
}

/** Gives a field that must be there. @throws ApiError `REQUEST_INVALID` */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw invalidRequest(`field ${name} is missing`)
  return value
}

/** Gives a field that is one of a few texts. @throws ApiError `REQUEST_INVALID` */
export function choiceOf<const Choice extends string>(
  value: string | undefined,
  name: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((one) => one === value)
  if (choice !== undefined) return choice
  throw invalidRequest(`field ${name} is not one of ${choices.join(", ")}`)
}

function isType(value: unknown, type: FieldType): boolean {
  switch (type) {
    case "text":
      return isText(value, TEXT_CHARS_MAX)
    case "link":
      return isText(value, LINK_CHARS_MAX)
    case "path":
      return isText(value, PATH_CHARS_MAX) && isAbsolute(value) && !value.includes("\0")
    case "base64":
      return typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value)
    case "boolean":
      return typeof value === "boolean"
    case "count":
      return Number.isSafeInteger(value) && (value as number) >= 0
    case "texts":
    case "links":
    case "paths":
    case "base64s":
    case "objects":
      return isListOf(value, type.slice(0, -1) as FieldType)
    case "labels":
      return isLabels(value)
    case "object":
      return isObject(value)
    default:
      return unreachable(type)
  }
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === "string" && value.length <= charsMax
}

function isListOf(value: unknown, type: FieldType): boolean {
  if (!Array.isArray(value) || value.length > LIST_ENTRIES_MAX) return false
  return value.every((entry) => isType(entry, type))
}

function isLabels(value: unknown): boolean {
  if (!isObject(value)) return false
  const labels = Object.values(value)
  return labels.length <= LABELS_MAX && labels.every((label) => isType(label, "text"))
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** Makes the refusal of a request. */
export function invalidRequest(reason: string): ApiError {
  return new ApiError("REQUEST_INVALID", `the request is refused: ${reason}`)
}
