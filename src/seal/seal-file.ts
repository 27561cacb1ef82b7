/**
 * Seals a file of any size on all cores (protocol/sealed-payload.md §5, "Sealing").
 * @module
 */
import { SealError } from "./errors.ts"
import { newNonce, payloadKey } from "./payload.ts"
import { cipherBytesOf } from "./payload-layout.ts"
import type { PayloadPool, Watch } from "./payload-pool.ts"
import { readFully, writeFully } from "./positioned-file.ts"
import { writeUnfinished } from "./quarantine.ts"
import { type FileState, type SourceFile, stateOf, withSource } from "./source-file.ts"

/** What is sealed, and where the ciphertext goes. */
export interface SealFileOptions extends Watch {
  /** The plaintext. */
  readonly source: SourceFile
  /** 16 bytes, fresh for this plaintext: `newFileKey`. The nonce is drawn here. */
  readonly fileKey: Uint8Array
  /** Where the ciphertext lies, under a name of its own, until the caller places it. */
  readonly folder: string
}

/** A ciphertext: whole, durable, and without its final name. */
export interface SealedFile {
  readonly path: string
  readonly plainBytes: number
  readonly cipherBytes: number
  /** 32 bytes, of exactly the bytes that were sealed. */
  readonly plainSha256: Uint8Array
  /** 32 bytes, of the whole ciphertext. */
  readonly cipherSha256: Uint8Array
}

/**
 * Seals a file, which is read once. On a fault nothing is left in the folder.
 *
 * @returns where the ciphertext lies; `placeFile` gives it its name
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID` when it is too long, `PAYLOAD_CHANGED` when it
 * changed meanwhile
 * @throws Error a fault of the file system, with its code
 */
export async function sealFile(
  deps: { readonly pool: PayloadPool },
  options: SealFileOptions,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<SealedFile> {
  return withSource(options.source, async (sourceFd) => {
    const before = stateOf(sourceFd)
    const plainBytes = before.sizeBytes
    const cipherBytes = cipherBytesOf(plainBytes)
    const nonce = newNonce()
    const key = payloadKey(options.fileKey, nonce)
    let digests = {}
    const path = await writeUnfinished(options.folder, async ({ fd: targetFd }) => {
      writeFully(targetFd, [nonce], 0)
      const job = { kind: "seal", sourceFd, targetFd, key, nonce, plainBytes } as const
      digests = await deps.pool.run(job, { onProgress: options.onProgress, signal })
      refuseChanged(sourceFd, before)
      return cipherBytes
    })
    return { path, plainBytes, cipherBytes, ...(digests as Digests) }
  })
}

type Digests = Pick<SealedFile, "plainSha256" | "cipherSha256">

/** §5: refuses a file that is not as it was when sealing began. */
function refuseChanged(fd: number, before: FileState): void {
  const now = stateOf(fd)
  // A device has no length of its own, and a byte after its end.
  const isLonger = readFully(fd, new Uint8Array(1), before.sizeBytes) > 0
  if (isLonger || now.sizeBytes !== before.sizeBytes || now.changedNs !== before.changedNs) {
    throw new SealError("PAYLOAD_CHANGED", "the file changed while it was sealed")
  }
}
