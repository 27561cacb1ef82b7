/** Reads the vectors of a protocol page. */
import { readdirSync, readFileSync } from "node:fs"

export interface Vector {
  readonly case: string
  readonly comment: string
  readonly input: Readonly<Record<string, string>>
  readonly expect: string
  readonly output?: Readonly<Record<string, unknown>>
}

export function vectorsOf(page: string): Vector[] {
  const folder = `protocol/${page}/vectors`
  return readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Vector,
  )
}

export const base64 = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64")
