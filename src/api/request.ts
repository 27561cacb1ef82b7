/**
 * Reads what a client of the control API sends: a few named fields, nothing else.
 * @module
 */
import { ApiError } from "./errors.ts"

const TEXT_CHARS_MAX = 512
const LINK_CHARS_MAX = 8192
const LIST_ENTRIES_MAX = 4096

type FieldType = "text" | "link" | "base64" | "boolean" | "count" | "texts"
interface FieldValues {
  readonly text: string
  readonly link: string
  /** As long as the body may be. */
  readonly base64: string
  readonly boolean: boolean
  readonly count: number
  readonly texts: readonly string[]
}

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
  if (typeof fields !== "object" || Array.isArray(fields)) throw invalid("it is no JSON object")
  for (const [name, field] of Object.entries(fields)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    if (type === undefined) {
      const allowed = Object.keys(types).join(", ") || "none"
      throw invalid(`unknown field ${JSON.stringify(name.slice(0, 80))}; allowed: ${allowed}`)
    }
    if (!isType(field, type)) throw invalid(`field ${name} is not a ${type}`)
  }
  return fields as Fields<Types>
}

/** Gives a field that must be there. @throws ApiError `REQUEST_INVALID` */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw invalid(`field ${name} is missing`)
  return value
}

function isType(value: unknown, type: FieldType): boolean {
  switch (type) {
    case "text":
      return typeof value === "string" && value.length <= TEXT_CHARS_MAX
    case "link":
      return typeof value === "string" && value.length <= LINK_CHARS_MAX
    case "base64":
      return typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value)
    case "boolean":
      return typeof value === "boolean"
    case "count":
      return Number.isSafeInteger(value) && (value as number) >= 0
    case "texts":
      return (
        Array.isArray(value) &&
        value.length <= LIST_ENTRIES_MAX &&
        value.every((entry) => isType(entry, "text"))
      )
  }
}

function invalid(reason: string): ApiError {
  return new ApiError("REQUEST_INVALID", `the request is refused: ${reason}`)
}
