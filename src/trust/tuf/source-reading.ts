/**
 * Reading from a source that nobody trusts: bounded, and with its own faults told apart from those
 * of the repository.
 * @module
 */
import { messageOf } from "../../core/errors.ts"
import { TrustError, type TrustErrorCode } from "../errors.ts"
import { type ReadOptions, type TufSource, tooLarge } from "./tuf-source.ts"

const SOURCE_FAULTS: readonly TrustErrorCode[] = [
  "SOURCE_UNAVAILABLE",
  "TUF_MISMATCH",
  "TUF_TOO_LARGE",
]

/**
 * Tells whether another source may do better: this one has not given the bytes that were signed.
 * Otherwise the file was signed as it is.
 */
export function isFaultOfSource(error: TrustError): boolean {
  return SOURCE_FAULTS.includes(error.code)
}

/**
 * Reads a file.
 * @returns undefined when the source says that there is none
 * @throws {@link TrustError} `SOURCE_UNAVAILABLE`, `TUF_TOO_LARGE`; the signal's reason when
 * aborted
 */
export async function readFrom(
  source: TufSource,
  name: string,
  options: ReadOptions,
): Promise<Uint8Array | undefined> {
  options.signal?.throwIfAborted()
  const bytes = await source.read(name, options).catch((error: unknown) => {
    options.signal?.throwIfAborted()
    if (error instanceof TrustError) throw error
    throw new TrustError("SOURCE_UNAVAILABLE", `${name}: ${messageOf(error)}`, { cause: error })
  })
  if (bytes !== undefined && bytes.length > options.bytesMax) throw tooLarge(name, options.bytesMax)
  return bytes
}

/** Reads a file that must be there. @throws as {@link readFrom} */
export async function readNeeded(
  source: TufSource,
  name: string,
  options: ReadOptions,
): Promise<Uint8Array> {
  const bytes = await readFrom(source, name, options)
  if (bytes !== undefined) return bytes
  throw new TrustError("SOURCE_UNAVAILABLE", `the source has no ${name}`)
}
