/**
 * Reading small files whole, and none that is larger than it may be.
 * @module
 */
import { open } from "node:fs/promises"
import { codeOf } from "../core/errors.ts"

/**
 * Reads a file.
 * @param options.tooLarge - gives the error of one with more bytes
 * @returns undefined when there is none
 * @throws what `tooLarge` gives; Error a fault of the file system, with its code
 */
export async function readSmallFile(
  path: string,
  {
    bytesMax,
    tooLarge,
  }: { readonly bytesMax: number; readonly tooLarge: (sizeBytes: number) => Error },
): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, "r")
    const { size } = await file.stat()
    if (size > bytesMax) throw tooLarge(size)
    return await file.readFile()
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}
