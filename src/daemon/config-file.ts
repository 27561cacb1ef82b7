/**
 * The configuration file: YAML, bounded, each key with the line it stands on.
 * @module
 */
import { open } from "node:fs/promises"
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml"
import { codeOf, messageOf } from "../core/errors.ts"
import { DaemonError } from "./errors.ts"

const FILE_BYTES_MAX = 1024 * 1024
/** A file needs no alias; this many stop a document that grows by them ("billion laughs"). */
const ALIASES_MAX = 16

/** What a file holds. */
export interface ConfigFile {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  /** Gives the line of the deepest part of a key that stands in the file. */
  lineOf(key: readonly PropertyKey[]): number | undefined
}

/**
 * Reads a file. @returns undefined when there is none
 * @throws DaemonError `CONFIG_INVALID` when it cannot be read, is too long or is no YAML table
 */
export async function readConfigFile(path: string): Promise<ConfigFile | undefined> {
  const text = await readText(path)
  return text === undefined ? undefined : parseConfigFile(path, text)
}

async function readText(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, "r")
    const stat = await file.stat()
    if (!stat.isFile()) throw invalid(`${path} is not a file`)
    if (stat.size > FILE_BYTES_MAX) throw invalid(`${path} is longer than ${FILE_BYTES_MAX} bytes`)
    return await file.readFile("utf8")
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined
    if (error instanceof DaemonError) throw error
    throw invalid(`cannot read ${path}: ${messageOf(error)}`, error)
  }
}

/** Reads the text of a file. @throws DaemonError `CONFIG_INVALID`, with the line */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault !== undefined) {
    const { line, col } = lines.linePos(fault.pos[0])
    throw invalid(`${path}:${line}:${col} is not valid YAML: ${oneLine(fault.message)}`, fault)
  }
  return {
    path,
    values: tableOf(path, () => document.toJS({ maxAliasCount: ALIASES_MAX })),
    lineOf(key) {
      const offset = offsetOf(document.contents, key)
      return offset === undefined ? undefined : lines.linePos(offset).line
    },
  }
}

function tableOf(path: string, read: () => unknown): Record<string, unknown> {
  let values: unknown
  try {
    values = read()
  } catch (error) {
    throw invalid(`${path} is not valid YAML: ${oneLine(messageOf(error))}`, error)
  }
  if (values === null) return {}
  if (typeof values === "object" && !Array.isArray(values)) return { ...values }
  throw invalid(`${path} must hold a table of keys such as "http: 127.0.0.1:7070"`)
}

/** Gives where the deepest part of `key` that exists begins: of a table's entry, its key. */
function offsetOf(contents: unknown, key: readonly PropertyKey[]): number | undefined {
  let node = contents
  let offset: number | undefined
  for (const part of key) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part)
      if (pair === undefined) return offset
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(part)]
      offset = startOf(node) ?? offset
    } else {
      return offset
    }
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return (node as Node | undefined)?.range?.[0]
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim()
}

function invalid(message: string, cause?: unknown): DaemonError {
  return new DaemonError("CONFIG_INVALID", `cannot use the configuration: ${message}`, { cause })
}

/**
 * Gives the text of a file with `defaultUpstream` set, unless it is set already; comments stay.
 * @throws DaemonError `CONFIG_INVALID` when the file is none
 */
export function withDefaultUpstream(
  path: string,
  text: string | undefined,
  registry: string,
): string {
  const file = parseConfigFile(path, text ?? "")
  if (file.values.defaultUpstream !== undefined) return text ?? ""
  const line = `defaultUpstream: ${registry}\n`
  const isEnded = text === undefined || text === "" || text.endsWith("\n")
  const wanted = `${text ?? ""}${isEnded ? "" : "\n"}${line}`
  // A file in braces cannot be added to in this way.
  if (!isReadable(path, wanted)) throw invalid(`add "${line.trim()}" to ${path} by hand`)
  return wanted
}

function isReadable(path: string, text: string): boolean {
  try {
    parseConfigFile(path, text)
    return true
  } catch {
    return false
  }
}
