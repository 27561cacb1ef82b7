/**
 * Upload sessions: blobs that clients push in one or several requests (OCI distribution spec 1.1,
 * end-4 to end-6, end-13). Sessions are bounded in number and idle time.
 * @module
 */
import { randomUUID } from "node:crypto"
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import { StoreError } from "../store/errors.ts"
import type { BlobStat, BlobStore, Upload } from "../store/store.ts"
import { RegistryError } from "./errors.ts"
import { type Place, placeKey } from "./place.ts"
import type { InclusiveRange } from "./range-header.ts"

/** A part of a blob on its way in. */
export interface Chunk {
  readonly body: AsyncIterable<Uint8Array>
  /** From `Content-Range`: where the part begins and ends, both inclusive. */
  readonly range: InclusiveRange | undefined
  /** From `Content-Length`. */
  readonly sizeBytes: number | undefined
}

interface Session {
  readonly id: string
  readonly owner: string
  readonly upload: Upload
  isBusy: boolean
  stopTimer: () => void
}

/** Bounds of the sessions of one node. */
export interface UploadLimits {
  readonly sessionsMax: number
  readonly idleMs: number
}

export const UPLOAD_LIMITS: UploadLimits = { sessionsMax: 256, idleMs: 600_000 }

export class Uploads {
  readonly #store: BlobStore
  readonly #clock: Clock
  readonly #log: Logger
  readonly #limits: UploadLimits
  readonly #sessions = new Map<string, Session>()
  #opening = 0

  constructor(
    deps: { store: BlobStore; clock: Clock; log: Logger },
    limits: UploadLimits = UPLOAD_LIMITS,
  ) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#log = deps.log
    this.#limits = limits
  }

  get count(): number {
    return this.#sessions.size
  }

  /** Opens a session and gives its id. @throws RegistryError `UPLOADS_EXHAUSTED` */
  async start(place: Place): Promise<string> {
    if (this.#sessions.size + this.#opening >= this.#limits.sessionsMax) {
      const message = `${this.#limits.sessionsMax} uploads are open already`
      throw new RegistryError("UPLOADS_EXHAUSTED", message)
    }
    this.#opening++
    try {
      const upload = await this.#store.createUpload()
      const id = randomUUID()
      const owner = placeKey(place)
      const session = { id, owner, upload, isBusy: false, stopTimer: () => {} }
      this.#sessions.set(id, session)
      this.#rest(session)
      return id
    } finally {
      this.#opening--
    }
  }

  /** Tells how many bytes a session has. @throws RegistryError `UPLOAD_UNKNOWN` */
  sizeBytes(place: Place, id: string): number {
    return this.#find(place, id).upload.sizeBytes
  }

  /**
   * Appends a part and gives the bytes there are then. What came before a broken body ends is kept, so
   * that the client can ask and go on.
   * @throws RegistryError `UPLOAD_UNKNOWN`, `UPLOAD_BUSY`, `UPLOAD_OUT_OF_ORDER`, `SIZE_INVALID`
   */
  async append(place: Place, id: string, chunk: Chunk): Promise<number> {
    const session = this.#take(place, id)
    try {
      await this.#write(session, chunk)
      return session.upload.sizeBytes
    } finally {
      this.#rest(session)
    }
  }

  /**
   * Appends the last part, if any, and makes the blob.
   * @throws as {@link append}; StoreError `DIGEST_MISMATCH`: the session is gone
   */
  async finish(place: Place, id: string, digest: Digest, chunk: Chunk): Promise<BlobStat> {
    const session = this.#take(place, id)
    try {
      await this.#write(session, chunk)
    } catch (error) {
      this.#rest(session)
      throw error
    }
    this.#sessions.delete(id)
    return session.upload.commit(digest)
  }

  /** Ends a session and drops its bytes. @throws RegistryError `UPLOAD_UNKNOWN`, `UPLOAD_BUSY` */
  async cancel(place: Place, id: string): Promise<void> {
    const session = this.#take(place, id)
    this.#sessions.delete(id)
    await session.upload.cancel()
  }

  /** Drops all sessions. */
  async stop(): Promise<void> {
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const session of sessions) session.stopTimer()
    await Promise.allSettled(sessions.map(({ upload }) => upload.cancel()))
  }

  async #write(session: Session, { body, range, sizeBytes }: Chunk): Promise<void> {
    const { upload } = session
    if (range !== undefined && range.first !== upload.sizeBytes) {
      const details = { sizeBytes: upload.sizeBytes }
      const message = `the part begins at ${range.first}, ${upload.sizeBytes} bytes are here`
      throw new RegistryError("UPLOAD_OUT_OF_ORDER", message, { details })
    }
    const told = range === undefined ? sizeBytes : range.last - range.first + 1
    if (told !== undefined && sizeBytes !== undefined && told !== sizeBytes) {
      throw new RegistryError("SIZE_INVALID", `Content-Range tells ${told}, the body ${sizeBytes}`)
    }
    const endMax = Math.min(upload.sizeBytes + (told ?? BLOB_BYTES_MAX), BLOB_BYTES_MAX)
    const start = upload.sizeBytes
    for await (const part of body) {
      if (upload.sizeBytes + part.length > endMax) {
        throw endMax === BLOB_BYTES_MAX
          ? new StoreError("SIZE_EXCEEDED", `more than ${BLOB_BYTES_MAX} bytes`)
          : new RegistryError("SIZE_INVALID", `more than the ${told} bytes that were told`)
      }
      await upload.write(part)
    }
    const received = upload.sizeBytes - start
    if (told !== undefined && received !== told) {
      throw new RegistryError("SIZE_INVALID", `${received} of ${told} bytes came`)
    }
  }

  #find(place: Place, id: string): Session {
    const session = this.#sessions.get(id)
    // A session belongs to the name under which it was opened.
    if (session === undefined || session.owner !== placeKey(place)) {
      throw new RegistryError("UPLOAD_UNKNOWN", `no upload ${JSON.stringify(id.slice(0, 64))}`)
    }
    return session
  }

  #take(place: Place, id: string): Session {
    const session = this.#find(place, id)
    if (session.isBusy) throw new RegistryError("UPLOAD_BUSY", `upload ${id} is in use`)
    session.isBusy = true
    session.stopTimer()
    return session
  }

  #rest(session: Session): void {
    session.isBusy = false
    session.stopTimer = this.#clock.after(this.#limits.idleMs, () => {
      this.#sessions.delete(session.id)
      session.upload.cancel().catch((error: unknown) => {
        this.#log.warn({ error, upload: session.id }, "an idle upload could not be dropped")
      })
    })
  }
}
