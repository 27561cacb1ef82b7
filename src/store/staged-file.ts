/**
 * Bytes that arrive in order and have no name yet: written to `staging/`, hashed as they come.
 * @module
 */
import { createHash } from "node:crypto"
import { type FileHandle, open } from "node:fs/promises"
import { type Digest, digestOfRaw, SHA256_BYTES } from "../core/digest.ts"
import { PIECE_BYTES_MIN } from "../core/limits.ts"
import { pieceLayout } from "../core/piece.ts"
import { FILE_MODE, unlinkIfThere } from "./directory.ts"
import { writeFully } from "./file-reading.ts"
import type { PieceThread } from "./piece-thread.ts"

/** Small parts are gathered up to this before they are written. */
const WRITE_BYTES = 256 * 1024

/** Whole bytes, hashed. */
export interface Sealed {
  readonly digest: Digest
  readonly sizeBytes: number
  /** SHA-256 of each piece. */
  readonly list: Uint8Array
}

/** One file in `staging/`. Its calls must not overlap. */
export class StagedFile {
  readonly path: string
  readonly #whole = createHash("sha256")
  readonly #pieces = new PieceHashes()
  readonly #thread: PieceThread
  #file: FileHandle | undefined
  #writing: Promise<void> = Promise.resolve()
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #writtenBytes = 0

  constructor(deps: { thread: PieceThread }, path: string) {
    this.#thread = deps.thread
    this.path = path
  }

  get sizeBytes(): number {
    return this.#writtenBytes + this.#gatheredBytes
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#whole.update(bytes)
    this.#pieces.update(bytes)
    if (bytes.length >= WRITE_BYTES) {
      await this.#flush()
      await this.#writing
      return this.#write(bytes)
    }
    // A copy: the caller may reuse its bytes once this call is over.
    this.#gathered.push(bytes.slice())
    this.#gatheredBytes += bytes.length
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush()
  }

  /** Writes what is left, makes all of it durable and gives its hashes. The file is closed. */
  async seal(): Promise<Sealed> {
    await this.#flush()
    await this.#writing
    const file = await this.#open()
    const list = this.#pieces.list() ?? (await this.#hashPieces(file.fd))
    await file.sync()
    this.#file = undefined
    await file.close()
    return { digest: digestOfRaw(this.#whole.digest()), sizeBytes: this.sizeBytes, list }
  }

  /** Removes the file, also after a fault. */
  async discard(): Promise<void> {
    this.#gathered = []
    await this.#writing.catch(() => {})
    const file = this.#file
    this.#file = undefined
    await file?.close()
    await unlinkIfThere(this.path)
  }

  /** Writes what was gathered, while the next bytes come and are hashed. */
  async #flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return
    const bytes = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    await this.#writing
    this.#writing = this.#write(bytes)
    // Its fault is told to the next call.
    this.#writing.catch(() => {})
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const position = this.#writtenBytes
    this.#writtenBytes += bytes.length
    const { fd } = await this.#open()
    await writeFully(fd, bytes, position)
  }

  async #hashPieces(fd: number): Promise<Uint8Array> {
    const { count, sizeBytes, lengthBytes } = pieceLayout(this.sizeBytes)
    const list = new Uint8Array(count * SHA256_BYTES)
    for (let index = 0; index < count; index++) {
      const offset = index * lengthBytes
      const part = { fd, offset, lengthBytes: Math.min(lengthBytes, sizeBytes - offset) }
      const { sha256 } = await this.#thread.ask({ kind: "hash", ...part })
      list.set(sha256, index * SHA256_BYTES)
    }
    return list
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.path, "wx+", FILE_MODE)
    return this.#file
  }
}

/**
 * Hashes pieces of the smallest length as bytes come. A blob that outgrows that length is cut
 * otherwise, which nobody knows before its end: then its pieces are hashed from the file.
 */
class PieceHashes {
  #sizeBytes = 0
  #hash = createHash("sha256")
  #done: Uint8Array[] = []

  update(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0 && this.#isFitting(this.#sizeBytes)) {
      const part = rest.subarray(0, PIECE_BYTES_MIN - (this.#sizeBytes % PIECE_BYTES_MIN))
      this.#hash.update(part)
      this.#sizeBytes += part.length
      rest = rest.subarray(part.length)
      if (this.#sizeBytes % PIECE_BYTES_MIN === 0) this.#end()
    }
    this.#sizeBytes += rest.length
  }

  /** Gives the SHA-256 list, or undefined when the pieces are longer. */
  list(): Uint8Array | undefined {
    if (!this.#isFitting(this.#sizeBytes)) return undefined
    if (this.#sizeBytes % PIECE_BYTES_MIN !== 0) this.#end()
    return Buffer.concat(this.#done)
  }

  #end(): void {
    this.#done.push(this.#hash.digest())
    this.#hash = createHash("sha256")
  }

  #isFitting(sizeBytes: number): boolean {
    return pieceLayout(sizeBytes).lengthBytes === PIECE_BYTES_MIN
  }
}
