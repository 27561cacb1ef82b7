/**
 * What is on the wire when a node joins by invite: the identity of its key, and one frame each way
 * (protocol/data-channel.md).
 * @module
 */
import { NetError } from "./errors.ts"

const IDENTITY = /^invite:([0-9a-f]{32})$/
const LENGTH_BYTES = 4

/** Writes the identity under which an invite's key is looked up. */
export function inviteIdentity(id: string): string {
  return `invite:${id}`
}

/** Gives the invite in an identity. @returns undefined for an identity of something else */
export function parseInviteIdentity(identity: string): string | undefined {
  return IDENTITY.exec(identity)?.[1]
}

/** Collects the one frame that a side may send: its length (uint32), then as many bytes. */
export class JoinFrameReader {
  readonly #bytesMax: number
  readonly #chunks: Uint8Array[] = []
  #collectedBytes = 0
  #isDone = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /**
   * @returns the body when it is complete
   * @throws NetError `PROTOCOL_VIOLATION` for an empty or too large frame, and for anything after it
   */
  push(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#isDone) throw new NetError("PROTOCOL_VIOLATION", "a side sends one frame")
    this.#chunks.push(bytes)
    this.#collectedBytes += bytes.length
    const sizeBytes = this.#sizeBytes()
    if (sizeBytes === undefined || this.#collectedBytes < LENGTH_BYTES + sizeBytes) return undefined
    this.#isDone = true
    const all = Buffer.concat(this.#chunks.splice(0))
    if (all.length > LENGTH_BYTES + sizeBytes) this.push(all)
    return Uint8Array.from(all.subarray(LENGTH_BYTES))
  }

  #sizeBytes(): number | undefined {
    if (this.#collectedBytes < LENGTH_BYTES) return undefined
    // Bytes may come one by one: what the length is spread over is joined, and stays joined.
    if (this.#chunks[0]!.length < LENGTH_BYTES) {
      this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks))
    }
    const [first] = this.#chunks
    const sizeBytes = new DataView(first!.buffer, first!.byteOffset).getUint32(0)
    if (sizeBytes > 0 && sizeBytes <= this.#bytesMax) return sizeBytes
    const message = `a frame of ${sizeBytes} bytes, not 1 to ${this.#bytesMax}`
    throw new NetError("PROTOCOL_VIOLATION", message)
  }
}
