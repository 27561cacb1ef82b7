/**
 * Reading a socket through one buffer that is used again and again: into the stream by copies, or
 * straight to a borrower.
 * @module
 */
import type { Socket } from "node:net"

/** A TLS record is at most 16 KiB; a buffer that stays in the processor's cache is fastest. */
const READ_BUFFER_BYTES: number = 64 * 1024

type Sink = (bytes: Uint8Array) => void

/** What a socket is made with, and how its bytes are borrowed. */
export interface BorrowedRead {
  /** The `onread` option of `net.connect` and `tls.connect`. */
  readonly onread: {
    readonly buffer: Uint8Array
    readonly callback: (sizeBytes: number, buffer: Uint8Array) => boolean
  }
  /** See `Channel.borrow`. */
  readonly borrow: (sink: Sink) => void
}

/** Makes the reading side of a socket that is about to be made. */
export function createBorrowedRead(socket: () => Socket): BorrowedRead {
  let sink: Sink | undefined
  return {
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback(sizeBytes, buffer) {
        const bytes = buffer.subarray(0, sizeBytes)
        if (sink === undefined) return socket().push(Buffer.from(bytes))
        sink(bytes)
        return true
      },
    },
    borrow(taker) {
      sink = taker
      // What came before the borrower did.
      for (;;) {
        const bytes: Uint8Array | null = socket().read()
        if (bytes === null) break
        taker(bytes)
      }
      socket().resume()
    },
  }
}
