/**
 * Opens a sealed file of any size on all cores (protocol/sealed-payload.md §5, "Opening the whole").
 * @module
 */
import { SealError } from "./errors.ts"
import { payloadKey } from "./payload.ts"
import { NONCE_BYTES, plainBytesOf } from "./payload-layout.ts"
import type { PayloadPool, Watch } from "./payload-pool.ts"
import { readFully } from "./positioned-file.ts"
import { writeUnfinished } from "./quarantine.ts"
import { type SourceFile, stateOf, withSource } from "./source-file.ts"

/** What is opened, and where the plaintext goes. */
export interface OpenFileOptions extends Watch {
  /** The ciphertext. */
  readonly source: SourceFile
  /** 16 bytes. */
  readonly fileKey: Uint8Array
  /** Where the plaintext lies, under a name of its own, until the caller places it. */
  readonly folder: string
}

/** A plaintext in quarantine: whole, verified, durable, and without its final name. */
export interface OpenedFile {
  readonly path: string
  readonly plainBytes: number
}

/**
 * Opens a file. Unless it opens whole, nothing is left in the folder.
 *
 * @returns where the plaintext lies; `placeFile` gives it its name
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID`, `PAYLOAD_CORRUPT`
 * @throws Error a fault of the file system, with its code
 */
export async function openFile(
  deps: { readonly pool: PayloadPool },
  options: OpenFileOptions,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenedFile> {
  return withSource(options.source, async (sourceFd) => {
    const plainBytes = plainBytesOf(stateOf(sourceFd).sizeBytes)
    const nonce = readNonce(sourceFd)
    const key = payloadKey(options.fileKey, nonce)
    const path = await writeUnfinished(options.folder, async ({ fd: targetFd }) => {
      const job = { kind: "open", sourceFd, targetFd, key, nonce, plainBytes } as const
      await deps.pool.run(job, { onProgress: options.onProgress, signal })
      return plainBytes
    })
    return { path, plainBytes }
  })
}

function readNonce(fd: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  if (readFully(fd, nonce, 0) === NONCE_BYTES) return nonce
  throw new SealError("PAYLOAD_CORRUPT", "the ciphertext became shorter while it was opened")
}
