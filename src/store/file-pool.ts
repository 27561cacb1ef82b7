/**
 * Open files by blob: bounded, least recently used closed first, never one that is in use. Closing one
 * waits for no disk: handing that to another thread would cost more than it takes.
 * @module
 */
import { closeSync, open } from "node:fs"
import { promisify } from "node:util"
import type { Digest } from "../core/digest.ts"

const openFile = promisify(open)

/** Files that stay open without a user. */
const IDLE_FILES_MAX = 256

/** A file that somebody uses; hand it back with {@link FilePool.release}. */
export interface PooledFile {
  readonly fd: number
}

interface Slot extends PooledFile {
  users: number
  /** Set when the blob's bytes moved to another file: closed after its last user. */
  isStale: boolean
}

interface Opening {
  readonly slot: Promise<Slot>
  isStale: boolean
}

/** The open files of one store. */
export class FilePool {
  /** In order of last use. */
  readonly #slots = new Map<Digest, Slot>()
  readonly #opening = new Map<Digest, Opening>()

  /** Gives the open file of a blob, if there is one, at once. */
  tryAcquire(digest: Digest): PooledFile | undefined {
    const slot = this.#slots.get(digest)
    if (slot === undefined) return undefined
    slot.users++
    this.#slots.delete(digest)
    this.#slots.set(digest, slot)
    return slot
  }

  /** Whether the file of a blob is open, or about to be. */
  has(digest: Digest): boolean {
    return this.#slots.has(digest) || this.#opening.has(digest)
  }

  /** Opens the file of a blob, to write too if it is `isGrowing`, or gives the open one. */
  async acquire(
    digest: Digest,
    { path, isGrowing }: { path: string; isGrowing: boolean },
  ): Promise<PooledFile> {
    const known = this.tryAcquire(digest)
    if (known !== undefined) return known
    const opening =
      this.#opening.get(digest) ?? this.#open(digest, openFile(path, isGrowing ? "r+" : "r"))
    const slot = await opening.slot
    slot.users++
    return slot
  }

  release(file: PooledFile): void {
    const slot = file as Slot
    slot.users--
    if (slot.users > 0) return
    if (slot.isStale) closeSync(slot.fd)
    else this.#closeIdle()
  }

  /** Forgets the open file of a blob: its bytes are in another file from now on, or gone. */
  forget(digest: Digest): void {
    const opening = this.#opening.get(digest)
    if (opening !== undefined) opening.isStale = true
    this.#opening.delete(digest)
    const slot = this.#slots.get(digest)
    if (slot === undefined) return
    this.#slots.delete(digest)
    slot.isStale = true
    if (slot.users === 0) closeSync(slot.fd)
  }

  /** Closes all. Nobody may be using a file any more. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#opening.values()].map(({ slot }) => slot))
    for (const { fd } of this.#slots.values()) closeSync(fd)
    this.#slots.clear()
  }

  #open(digest: Digest, file: Promise<number>): Opening {
    const slot = file.then(
      (fd) => this.#opened(digest, opening, fd),
      (error) => {
        if (this.#opening.get(digest) === opening) this.#opening.delete(digest)
        throw error
      },
    )
    const opening: Opening = { slot, isStale: false }
    this.#opening.set(digest, opening)
    return opening
  }

  #opened(digest: Digest, opening: Opening, fd: number): Slot {
    const slot: Slot = { fd, users: 0, isStale: opening.isStale }
    if (opening.isStale) return slot
    this.#opening.delete(digest)
    this.#slots.set(digest, slot)
    return slot
  }

  #closeIdle(): void {
    let excess = this.#slots.size - IDLE_FILES_MAX
    for (const [digest, slot] of this.#slots) {
      if (excess <= 0) return
      if (slot.users > 0) continue
      this.#slots.delete(digest)
      closeSync(slot.fd)
      excess--
    }
  }
}
