/** Reads the vectors of a protocol page, and vectors of others that lie beside the repository. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"

/** One vector; bytes in it are base64. */
export interface Vector<Input, Output> {
  readonly case: string
  readonly comment: string
  readonly input: Input
  readonly expect: string
  readonly output?: Output
}

/** Gives the vectors of a page whose case begins with a prefix. */
export function vectorsOf<Input, Output>(
  page: string,
  prefix: string,
): readonly Vector<Input, Output>[] {
  const folder = join(import.meta.dirname, "../../../protocol", page, "vectors")
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name): Vector<Input, Output> => JSON.parse(readFileSync(join(folder, name), "utf8")))
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"))
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))
export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Gives the code of what is thrown, or "ok" with what is returned. */
export function outcomeOf<T>(work: () => T): { readonly code: string; readonly value?: T } {
  try {
    return { code: "ok", value: work() }
  } catch (error) {
    return { code: codeOf(error) ?? String(error) }
  }
}

/** One test for each vector of a page whose case begins with a prefix. @param work - gives its output */
export function testVectors<Input>(
  page: string,
  prefix: string,
  work: (input: Input) => unknown,
): void {
  const vectors = vectorsOf<Input, unknown>(page, prefix)
  test("there are vectors", () => expect(vectors.length).toBeGreaterThan(4))
  test.each(vectors)("$case: $comment", ({ input, expect: code, output }) => {
    const outcome = outcomeOf(() => work(input))
    expect(outcome.code).toBe(code)
    if (code === "ok") expect(outcome.value).toEqual(output)
  })
}

const OUTSIDE = join(import.meta.dirname, "../../../../shared/vectors")

/** Whether the vectors of other projects are here. */
export const hasOutsideVectors: boolean = existsSync(OUTSIDE)

/** Reads a file of another project's vectors. */
export function outsideVectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(OUTSIDE, name), "utf8"))
}
