/** Where the vectors of a protocol page lie, and how each is written. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"

/** Everything of a vector but its page, name and comment. */
export type VectorFields = Record<string, unknown>

/** Writes one vector. */
export type WriteVector = (name: string, comment: string, fields: VectorFields) => void

/** Empties the folder of a page, so that no vector outlives its maker; gives what fills it. */
export function vectorFolder(page: string): WriteVector {
  const folder = `protocol/${page}/vectors`
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return (name, comment, fields) => {
    const vector = { page, case: name, comment, ...fields }
    // `wx`: two cases of one name are a fault.
    const text = `${JSON.stringify(vector, undefined, 2)}\n`
    writeFileSync(`${folder}/${name}.json`, text, { flag: "wx" })
  }
}
