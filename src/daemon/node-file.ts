/**
 * `DATA/node.json`: where the running node of a data directory can be reached. It is there only while
 * the node is ready; one that a killed node left behind is replaced.
 * @module
 */
import { randomUUID } from "node:crypto"
import { open, readFile, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { NodeDescription } from "../api/api.ts"
import { codeOf } from "../core/errors.ts"
import { asArray, asObject, asText, field, type JsonObject, parseJson } from "../core/json.ts"

const FILE_NAME = "node.json"
const FILE_MODE = 0o600
const FILE_BYTES_MAX = 64 * 1024

/** Writes the file whole: a reader sees the old one or the new one. */
export async function writeNodeFile(directory: string, node: NodeDescription): Promise<void> {
  const draft = join(directory, `.${FILE_NAME}.${randomUUID()}`)
  try {
    await using file = await open(draft, "wx", FILE_MODE)
    await file.writeFile(`${JSON.stringify(node)}\n`)
    await rename(draft, join(directory, FILE_NAME))
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** Removes the file. */
export async function removeNodeFile(directory: string): Promise<void> {
  await rm(join(directory, FILE_NAME), { force: true })
}

/** Reads the file. @returns undefined when there is none, or none that makes sense */
export async function readNodeFile(directory: string): Promise<NodeDescription | undefined> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(join(directory, FILE_NAME))
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return undefined
    throw error
  }
  try {
    const root = asObject(parseJson(bytes, { bytesMax: FILE_BYTES_MAX }))
    return root === undefined ? undefined : parseNode(root)
  } catch (error) {
    // Half a file cannot be, as it is renamed into place; whoever wrote another one is no node.
    if (codeOf(error) === "JSON_INVALID") return undefined
    throw error
  }
}

function parseNode(root: JsonObject): NodeDescription | undefined {
  const text = (key: string) => asText(field(root, key))
  const [peerId, http, control, version] = ["peerId", "http", "control", "version"].map(text)
  const pid = Number(field(root, "pid"))
  if (peerId === undefined || http === undefined || control === undefined) return undefined
  const p2p = (asArray(field(root, "p2p")) ?? []).flatMap((entry) => asText(entry) ?? [])
  return { peerId, http, p2p, control, pid, version: version ?? "" }
}
