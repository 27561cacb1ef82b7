/** Reads the vectors of a protocol page. */
import { readdirSync, readFileSync } from "node:fs"

/** One vector; bytes in it are base64. */
export interface Vector {
  readonly case: string
  readonly comment: string
  readonly input: Record<string, string>
  readonly expect: string
  readonly output?: Record<string, unknown>
}

/** Gives the vectors of a page whose case begins with a prefix. */
export function vectorsOf(page: string, prefix = ""): readonly Vector[] {
  const folder = `protocol/${page}/vectors`
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name): Vector => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")))
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"))
export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
