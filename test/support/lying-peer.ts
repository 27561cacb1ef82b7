/**
 * Loaded into a real node (`NODE_OPTIONS=--import=…`), makes it a liar on the wire: one bit of every
 * large write to an encrypted socket is flipped before it is encrypted, so that the bytes arrive
 * intact but wrong.
 * @module
 */
import { Socket } from "node:net"

const LARGE_BYTES = 12_000
// Batches begin with a message of 13 bytes and a block: this byte is one of the block's.
const LIE_AT = 5000

type Chunk = Uint8Array | { readonly chunk: Uint8Array }
type Write = (this: Socket & { encrypted?: boolean }, ...args: unknown[]) => unknown

const prototype = Socket.prototype as unknown as { _writeGeneric: Write }
const honest = prototype._writeGeneric

/** Gives the chunk, or a copy with one bit flipped. */
function lie(bytes: Uint8Array): Uint8Array {
  if (bytes.length < LARGE_BYTES) return bytes
  const wrong = Buffer.from(bytes)
  wrong[LIE_AT]! ^= 1
  return wrong
}

prototype._writeGeneric = function (isVectored, written, ...rest) {
  if (this.encrypted !== true) return honest.call(this, isVectored, written, ...rest)
  const chunks = written as Chunk[]
  if (isVectored === true)
    for (const [index, entry] of chunks.entries())
      if ("chunk" in entry) chunks[index] = { ...entry, chunk: lie(entry.chunk) }
  const sent = isVectored === true ? written : lie(written as Uint8Array)
  return honest.call(this, isVectored, sent, ...rest)
}
