/**
 * The log of a node: events are appended in batches, each batch is durable before anybody is told, and a
 * signed checkpoint says what the log is (protocol/audit-log.md §5).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import {
  logOfOrigin,
  originOf,
  parseCheckpoint,
  signaturesOf,
  signCheckpoint,
} from "./checkpoint.ts"
import { AuditError } from "./errors.ts"
import { type Event, encodeEvent, type LoggedEvent, parseEvent } from "./event.ts"
import { LogFiles } from "./log-files.ts"
import { TILE_WIDTH, widthOfTile } from "./log-tile.ts"
import { isSameHash, leafHash, treeRoot } from "./merkle-tree.ts"
import { proveConsistency, proveInclusion, readRoot } from "./tree-reader.ts"

/** Entries that are written at once. */
const BATCH_MAX = 4_096
/** Events that wait to be written; more are refused, and counted. */
const WAITING_MAX = 65_536
/** Share of the quota from which on the operator is told. */
const ALARM_SHARE = 0.9
/** Levels of tiles that any log has. */
const LEVELS_MAX = 7

/** Who signs a log. */
export interface LogSigner {
  /** The peer id of the node. */
  readonly peer: string
  /** Its Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Promise<Uint8Array>
  /** Whether a signature is this key's. */
  verify(bytes: Uint8Array, signature: Uint8Array): Promise<boolean>
}

export interface NodeLogDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly signer: LogSigner
}

export interface NodeLogOptions {
  readonly folder: string
  /** Bytes of entries that the log may take. */
  readonly quotaBytes: number
  /** Which of the node's logs it is, where one is begun; 1 unless told. */
  readonly incarnation?: number
}

/** That an entry is in a log. */
export interface EntryProof {
  readonly index: number
  readonly size: number
  readonly entry: Uint8Array
  /** Sibling hashes from the leaf up (RFC 6962 §2.1.1). */
  readonly hashes: readonly Uint8Array[]
  readonly checkpoint: Uint8Array
}

/** What a look at a whole log found. */
export interface LogVerdict {
  readonly size: number
  readonly root: Uint8Array
  /** The signed checkpoint that it was compared with. */
  readonly checkpoint: Uint8Array
  /** Where the time of an entry is before that of the one before. */
  readonly clockWentBackAt: readonly number[]
}

interface Waiting {
  readonly entry: Uint8Array
  readonly resolve: (index: number) => void
  readonly reject: (error: unknown) => void
}

/** A log that is to follow the one that is open. */
interface Successor {
  /** Where the folder of the one before is put. */
  readonly aside: string
  readonly origin: string
  /** The first entry. */
  readonly begun: Waiting
}

/** One per node. */
export class NodeLog {
  readonly #deps: NodeLogDeps
  readonly #files: LogFiles
  #origin: string
  readonly #quotaBytes: number
  readonly #listeners = new Set<(event: LoggedEvent) => void>()
  readonly #growthListeners = new Set<() => void>()
  readonly #waiting: Waiting[] = []
  /** The hashes of the last tile of each level, as far as it goes. */
  readonly #edges: Uint8Array[][] = Array.from({ length: LEVELS_MAX }, () => [])
  #size = 0
  /** Bytes of the last bundle, and of all entries. */
  #bundleBytes = 0
  #usedBytes = 0
  #checkpoint: Uint8Array = new Uint8Array()
  #writing: Promise<void> | undefined
  #successor: Successor | undefined
  #droppedCount = 0

  /**
   * Opens a log, or begins one.
   * @throws {@link AuditError} `LOG_CORRUPT` when it is not what its checkpoint says
   */
  static async open(deps: NodeLogDeps, options: NodeLogOptions): Promise<NodeLog> {
    const log = new NodeLog(deps, options)
    await log.#load()
    return log
  }

  private constructor(deps: NodeLogDeps, { folder, quotaBytes, incarnation }: NodeLogOptions) {
    this.#deps = deps
    this.#files = new LogFiles(folder)
    this.#quotaBytes = quotaBytes
    this.#origin = originOf(deps.signer.peer, incarnation)
  }

  /** Its name, which is also that of its key. */
  get origin(): string {
    return this.#origin
  }

  /** How many entries count. */
  get size(): number {
    return this.#size
  }

  /** The signed checkpoint. */
  get checkpoint(): Uint8Array {
    return this.#checkpoint
  }

  /** Events that could not be logged since the start. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  /**
   * Logs an event.
   * @returns its place, once it is durable and the checkpoint covers it
   * @throws {@link AuditError} `EVENT_INVALID`, `LOG_FULL`
   */
  append(event: Event): Promise<number> {
    return new Promise((resolve, reject) => {
      try {
        const entry = encodeEvent(event, this.#deps.clock.now())
        if (this.#waiting.length >= WAITING_MAX || this.#usedBytes >= this.#quotaBytes) {
          throw new AuditError("LOG_FULL", "the log takes nothing more")
        }
        this.#waiting.push({ entry, resolve, reject })
        this.#writing ??= this.#writeAll()
      } catch (error) {
        this.#droppedCount++
        reject(error)
      }
    })
  }

  /**
   * Puts this log aside and begins another one in its place. What waits to be written goes into that.
   * @param options.aside - a path that nothing is at, in the same folder
   * @param options.begun - the first event of the new one
   * @param options.incarnation - which of the node's logs it is, above that of this one
   * @returns once that is durable
   * @throws {@link AuditError} `EVENT_INVALID`; Error a fault of the file system, with its code
   */
  async beginAnew({
    aside,
    begun,
    incarnation,
  }: {
    readonly aside: string
    readonly begun: Event
    readonly incarnation: number
  }): Promise<void> {
    const origin = originOf(this.#deps.signer.peer, incarnation)
    const entry = encodeEvent(begun, this.#deps.clock.now())
    await new Promise<number>((resolve, reject) => {
      this.#successor = { aside, origin, begun: { entry, resolve, reject } }
      this.#writing ??= this.#writeAll()
    })
  }

  /** Logs an event, and nobody waits for it; what goes wrong is told to the operator. */
  note(event: Event): void {
    this.append(event).catch((error: unknown) => {
      const fields = { event: event.event, code: codeOf(error), error: messageOf(error) }
      this.#deps.log.error(fields, "an event was not logged")
    })
  }

  /** Gives events, the oldest first. */
  async entries(start: number, count: number): Promise<readonly LoggedEvent[]> {
    const end = Math.min(this.#size, start + count)
    const found: LoggedEvent[] = []
    for (let at = Math.max(0, start); at < end; ) {
      const bundle = Math.floor(at / TILE_WIDTH)
      const first = bundle * TILE_WIDTH
      const last = Math.min(end, first + TILE_WIDTH)
      const { entries } = await this.#files.readEntries(bundle, last - first)
      for (; at < last; at++) found.push(parseEvent(entries[at - first]!, at))
    }
    return found
  }

  /**
   * Proves that an entry is in the log.
   * @param under - an earlier checkpoint of this log, such as one that is cosigned; the newest unless
   * told, or where the entry came after it
   * @throws {@link AuditError} `LOG_ENTRY_UNKNOWN`
   */
  async prove(
    index: number,
    under?: { readonly size: number; readonly checkpoint: Uint8Array },
  ): Promise<EntryProof> {
    const newest = { size: this.#size, checkpoint: this.#checkpoint }
    const isUnder = under !== undefined && index < under.size && under.size <= newest.size
    const { size, checkpoint } = isUnder ? under : newest
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
      throw new AuditError("LOG_ENTRY_UNKNOWN", `the log has entries 0 to ${size - 1}`)
    }
    const bundle = Math.floor(index / TILE_WIDTH)
    const { entries } = await this.#files.readEntries(bundle, (index % TILE_WIDTH) + 1)
    const hashes = await proveInclusion(this.#files.hashReader(), { index, size })
    return { index, size, entry: entries.at(-1)!, hashes, checkpoint }
  }

  /**
   * Gives the root that the first entries have.
   * @throws {@link AuditError} `LOG_ENTRY_UNKNOWN` when there are fewer
   */
  async rootAt(size: number): Promise<Uint8Array> {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.#size) {
      throw new AuditError("LOG_ENTRY_UNKNOWN", `the log has ${this.#size} entries`)
    }
    return await readRoot(this.#files.hashReader(), size)
  }

  /**
   * Proves that the log begins with what it was before.
   * @param size - of the checkpoint that it is proved for; the newest unless told
   * @throws {@link AuditError} `LOG_ENTRY_UNKNOWN`
   */
  async proveGrowth(older: number, size: number = this.#size): Promise<readonly Uint8Array[]> {
    if (!Number.isSafeInteger(older) || older < 1 || older > size || size > this.#size) {
      throw new AuditError("LOG_ENTRY_UNKNOWN", `the log has ${this.#size} entries`)
    }
    return await proveConsistency(this.#files.hashReader(), { older, size })
  }

  /**
   * Reads everything, and compares it with the checkpoint.
   * @throws {@link AuditError} `LOG_CORRUPT`, `EVENT_INVALID`
   */
  async verify({ signal }: { readonly signal: AbortSignal }): Promise<LogVerdict> {
    const [size, checkpoint] = [this.#size, this.#checkpoint]
    const clockWentBackAt: number[] = []
    const parents: Uint8Array[] = []
    let lastMs = 0
    for (let first = 0; first < size; first += TILE_WIDTH) {
      signal.throwIfAborted()
      const width = Math.min(TILE_WIDTH, size - first)
      const { entries } = await this.#files.readEntries(first / TILE_WIDTH, width)
      const leaves = entries.map(leafHash)
      const kept = await this.#files.hashReader()({ level: 0, start: first, count: width })
      const wrong = leaves.findIndex((leaf, place) => !isSameHash(leaf, kept[place]!))
      if (wrong >= 0) throw corrupt(`entry ${first + wrong} was changed`)
      for (const [place, entry] of entries.entries()) {
        const { atMs } = parseEvent(entry, first + place)
        if (atMs < lastMs) clockWentBackAt.push(first + place)
        lastMs = atMs
      }
      parents.push(treeRoot(leaves))
    }
    const root = treeRoot(parents)
    await this.#verifyCheckpoint(checkpoint, { size, root })
    return { size, root, checkpoint, clockWentBackAt }
  }

  onAppend(listener: (event: LoggedEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls back after each batch; what is in it is not read for that. @returns the way to stop that */
  onGrowth(listener: () => void): () => void {
    this.#growthListeners.add(listener)
    return () => this.#growthListeners.delete(listener)
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#writing
  }

  async #load(): Promise<void> {
    const bytes = await this.#files.readCheckpoint()
    if (bytes === undefined) {
      if (await this.#files.hasEntries()) throw corrupt("it has entries, and no checkpoint")
      // Before the first entry, so that a crash then does not look like that.
      this.#checkpoint = await this.#sign(0)
      return
    }
    const { size, origin } = parseCheckpoint(bytes)
    // Which of the node's logs it is says its own name.
    if (logOfOrigin(origin)?.peer === this.#deps.signer.peer) this.#origin = origin
    for (const [level, edge] of this.#edges.entries()) {
      const index = Math.floor(size / TILE_WIDTH ** (level + 1))
      const count = widthOfTile(level, index, size)
      if (count === 0) continue
      const start = index * TILE_WIDTH
      edge.push(...(await this.#files.hashReader()({ level, start, count })))
    }
    await this.#verifyCheckpoint(bytes, { size, root: this.#root() })
    const width = size % TILE_WIDTH
    if (width > 0) {
      const { entries, sizeBytes } = await this.#files.readEntries(
        Math.floor(size / TILE_WIDTH),
        width,
      )
      const wrong = entries.map(leafHash).findIndex((leaf, place) => {
        return !isSameHash(leaf, this.#edges[0]![place]!)
      })
      if (wrong >= 0) throw corrupt(`entry ${size - width + wrong} was changed`)
      this.#bundleBytes = sizeBytes
    }
    const whole = Math.floor(size / TILE_WIDTH)
    this.#usedBytes = this.#bundleBytes + (await this.#files.bundleBytes(whole))
    this.#size = size
    this.#checkpoint = bytes
    this.#warn(0)
  }

  async #verifyCheckpoint(
    bytes: Uint8Array,
    { size, root }: { readonly size: number; readonly root: Uint8Array },
  ): Promise<void> {
    const { signer } = this.#deps
    const checkpoint = parseCheckpoint(bytes)
    if (checkpoint.origin !== this.#origin) throw corrupt(`it is the log ${checkpoint.origin}`)
    if (checkpoint.size !== size || !isSameHash(checkpoint.root, root)) {
      throw corrupt("its entries are not those that its checkpoint was signed for")
    }
    for (const signature of signaturesOf(checkpoint, this.#origin, signer.publicKey)) {
      if (await signer.verify(checkpoint.text, signature)) return
    }
    throw corrupt("this node has not signed its checkpoint")
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0 || this.#successor !== undefined) {
        if (this.#successor !== undefined) await this.#giveWay(this.#successor)
        const batch = this.#waiting.splice(0, BATCH_MAX)
        if (batch.length > 0) await this.#writeBatch(batch)
      }
    } finally {
      this.#writing = undefined
    }
  }

  async #giveWay({ aside, origin, begun }: Successor): Promise<void> {
    this.#successor = undefined
    const size = this.#size
    // Whoever reads meanwhile finds no entry, rather than a folder that is not there.
    this.#size = 0
    try {
      await this.#files.putAside(aside)
    } catch (error) {
      this.#size = size
      begun.reject(error)
      return
    }
    try {
      this.#bundleBytes = 0
      this.#usedBytes = 0
      for (const edge of this.#edges) edge.length = 0
      this.#origin = origin
      this.#checkpoint = await this.#sign(0)
      this.#waiting.unshift(begun)
    } catch (error) {
      begun.reject(error)
    }
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const start = this.#size
    const edges = this.#edges.map((edge) => [...edge])
    const before = { bundleBytes: this.#bundleBytes, usedBytes: this.#usedBytes }
    let signed: Uint8Array
    try {
      await this.#writeEntries(batch.map(({ entry }) => entry))
      signed = await this.#sign(start + batch.length)
    } catch (error) {
      // What was written and is not covered is overwritten by the next batch.
      for (const [level, edge] of edges.entries()) this.#edges[level] = edge
      this.#bundleBytes = before.bundleBytes
      this.#usedBytes = before.usedBytes
      this.#droppedCount += batch.length
      for (const { reject } of batch) reject(error)
      return
    }
    this.#size = start + batch.length
    this.#checkpoint = signed
    this.#warn(before.usedBytes)
    for (const [place, { entry, resolve }] of batch.entries()) {
      resolve(start + place)
      if (this.#listeners.size === 0) continue
      const event = parseEvent(entry, start + place)
      for (const listener of [...this.#listeners]) listener(event)
    }
    for (const listener of [...this.#growthListeners]) listener()
  }

  async #writeEntries(entries: readonly Uint8Array[]): Promise<void> {
    let at = this.#size
    for (let done = 0; done < entries.length; ) {
      const room = TILE_WIDTH - (at % TILE_WIDTH)
      const part = entries.slice(done, done + room)
      const index = Math.floor(at / TILE_WIDTH)
      const place = { index, at: at % TILE_WIDTH === 0 ? 0 : this.#bundleBytes }
      const bytes = await this.#files.writeEntries(place, part)
      this.#usedBytes += bytes - place.at
      this.#bundleBytes = bytes
      await this.#writeHashes(0, at, part.map(leafHash))
      at += part.length
      done += part.length
    }
  }

  /** @param start - the place of the first hash in its level; all go into one tile */
  async #writeHashes(level: number, start: number, hashes: readonly Uint8Array[]): Promise<void> {
    const edge = this.#edges[level]
    if (edge === undefined) throw corrupt("no log is so long")
    const index = Math.floor(start / TILE_WIDTH)
    await this.#files.writeHashes({ level, index, at: start % TILE_WIDTH }, hashes)
    edge.push(...hashes)
    if (edge.length < TILE_WIDTH) return
    const root = treeRoot(edge)
    this.#edges[level] = []
    await this.#writeHashes(level + 1, index, [root])
  }

  async #sign(size: number): Promise<Uint8Array> {
    const checkpoint = { origin: this.#origin, size, root: this.#root() }
    const bytes = await signCheckpoint(checkpoint, this.#deps.signer)
    try {
      await this.#files.writeCheckpoint(bytes)
    } catch (error) {
      // It may be in its place although making that durable failed: then it counts.
      const kept = await this.#files.readCheckpoint()
      if (kept === undefined || Buffer.compare(kept, bytes) !== 0) throw error
    }
    return bytes
  }

  /** The root from the right edge alone: what is not whole on a level is last on the next one. */
  #root(): Uint8Array {
    let last: Uint8Array | undefined
    for (const edge of this.#edges) {
      const hashes = last === undefined ? edge : [...edge, last]
      if (hashes.length > 0) last = treeRoot(hashes)
    }
    return last ?? treeRoot([])
  }

  #warn(usedBefore: number): void {
    const alarmBytes = this.#quotaBytes * ALARM_SHARE
    if (usedBefore >= alarmBytes || this.#usedBytes < alarmBytes) return
    const fields = { usedBytes: this.#usedBytes, quotaBytes: this.#quotaBytes }
    this.#deps.log.error(fields, "the log has used nine tenths of its quota")
  }
}

function corrupt(reason: string): AuditError {
  return new AuditError("LOG_CORRUPT", `the log is broken: ${reason}`)
}
