/**
 * Frames of the request protocol: their bytes, and reading them from a stream
 * (protocol/request.md).
 * @module
 */
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import { NetError } from "./errors.ts"

const LENGTH_BYTES = 4
/** Kind (1 byte) and id (uint32), which stand before the body. */
const HEAD_BYTES = 5
const REFUSAL_CODE = /^[A-Z][A-Z0-9_]{0,63}$/

const KINDS = ["request", "answer", "refusal", "cancel"] as const
export type FrameKind = (typeof KINDS)[number]

/** One frame. A refusal's body is its code in ASCII; a cancel has none. */
export interface Frame {
  readonly kind: FrameKind
  readonly id: number
  readonly body: Uint8Array
}

/** Writes a frame: length of what follows (uint32), kind (1 byte), id (uint32), body. */
export function encodeFrame(frame: Frame): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES + HEAD_BYTES + frame.body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, HEAD_BYTES + frame.body.length)
  view.setUint8(LENGTH_BYTES, KINDS.indexOf(frame.kind))
  view.setUint32(LENGTH_BYTES + 1, frame.id)
  bytes.set(frame.body, LENGTH_BYTES + HEAD_BYTES)
  return bytes
}

/** Gives the code in a refusal; `INTERNAL` when it is none. */
export function parseRefusal(body: Uint8Array): string {
  const code = body.length <= 64 ? new TextDecoder().decode(body) : ""
  return REFUSAL_CODE.test(code) ? code : "INTERNAL"
}

/** Cuts a stream of bytes into frames. Holds at most one unfinished frame, and only what came. */
export class FrameReader {
  #chunks: Uint8Array[] = []
  #sizeBytes = 0
  #neededBytes: number = LENGTH_BYTES + HEAD_BYTES

  /**
   * Takes the next bytes. @returns the frames that are now whole, in order
   * @throws NetError `PROTOCOL_VIOLATION`
   */
  push(chunk: Uint8Array): Frame[] {
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
    const frames: Frame[] = []
    while (this.#sizeBytes >= this.#neededBytes) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
      const endBytes = LENGTH_BYTES + frameLength(bytes)
      const isWhole = bytes.length >= endBytes
      if (isWhole) frames.push(parseFrame(bytes.subarray(LENGTH_BYTES, endBytes)))
      const rest = isWhole ? bytes.subarray(endBytes) : bytes
      this.#chunks = [rest]
      this.#sizeBytes = rest.length
      this.#neededBytes = isWhole ? LENGTH_BYTES + HEAD_BYTES : endBytes
    }
    return frames
  }
}

function frameLength(bytes: Uint8Array): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  if (length >= HEAD_BYTES && length <= HEAD_BYTES + CONTROL_MESSAGE_BYTES_MAX) return length
  throw new NetError("PROTOCOL_VIOLATION", `a frame of ${length} bytes is out of bounds`)
}

function parseFrame(bytes: Uint8Array): Frame {
  const kind = KINDS[bytes[0]!]
  if (kind === undefined) {
    throw new NetError("PROTOCOL_VIOLATION", `no frame is of kind ${bytes[0]}`)
  }
  const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
  return { kind, id, body: bytes.subarray(HEAD_BYTES) }
}
