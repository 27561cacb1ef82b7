/**
 * What a witness must not forget: of each log the last checkpoint that it was about to cosign, one small
 * file each, durable before the signature is made (protocol/witness.md §5, cosigning).
 * @module
 */
import { createHash } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { DRAFT_SUFFIX, replaceFile } from "../disk/durable-file.ts"
import { namesIn } from "../disk/folder.ts"
import { readSmallFile } from "../disk/small-file.ts"
import { CHECKPOINT_BYTES_MAX, parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts"
import { AuditError } from "./errors.ts"

/** Logs that one witness remembers. Forgetting one would let it be told anew, so more are refused. */
export const LOGS_MAX = 16_384
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** A checkpoint with the bytes that it was read from. */
export interface Remembered {
  readonly checkpoint: SignedCheckpoint
  readonly note: Uint8Array
}

/** The folder of a witness. One at a time writes there of one log. */
export class WitnessMemory {
  readonly #folder: string
  readonly #names: Set<string>

  /** @throws Error a fault of the file system, with its code */
  static async open(folder: string): Promise<WitnessMemory> {
    const names = await namesIn(folder)
    return new WitnessMemory(folder, new Set(names.filter((name) => !name.endsWith(DRAFT_SUFFIX))))
  }

  private constructor(folder: string, names: Set<string>) {
    this.#folder = folder
    this.#names = names
  }

  /**
   * Gives what was remembered last of a log.
   * @returns undefined when nothing ever was
   * @throws {@link AuditError} `WITNESS_RECORD_INVALID` when it cannot be read: it was not nothing
   */
  async find(origin: string): Promise<Remembered | undefined> {
    const name = nameOf(origin)
    const note = await readSmallFile(join(this.#folder, name), {
      bytesMax: CHECKPOINT_BYTES_MAX,
      tooLarge: () => invalid(name),
    })
    if (note === undefined) {
      // It was there, and is not: that is not nothing.
      if (this.#names.has(name)) throw invalid(name)
      return undefined
    }
    try {
      const checkpoint = parseCheckpoint(note)
      if (checkpoint.origin === origin) return { checkpoint, note: Uint8Array.from(note) }
    } catch (cause) {
      throw invalid(name, cause)
    }
    throw invalid(name)
  }

  /** Remembers a checkpoint, durably. @throws {@link AuditError} `WITNESS_FULL` */
  async write(origin: string, note: Uint8Array): Promise<void> {
    const name = nameOf(origin)
    if (!this.#names.has(name) && this.#names.size >= LOGS_MAX) {
      throw new AuditError("WITNESS_FULL", `this witness remembers ${LOGS_MAX} logs already`)
    }
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
    await replaceFile(join(this.#folder, name), note, FILE_MODE)
    this.#names.add(name)
  }
}

/** An origin may be anything: its digest is a name everywhere. */
function nameOf(origin: string): string {
  return createHash("sha256").update(origin).digest("hex")
}

function invalid(name: string, cause?: unknown): AuditError {
  const message = `what is remembered of a log cannot be read (${name})`
  return new AuditError("WITNESS_RECORD_INVALID", message, { cause })
}
