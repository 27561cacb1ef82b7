/**
 * Bytes that came and cannot be read yet, in one buffer that is used again: a fast connection waits for
 * nearly every piece, and a fresh copy each time made most of the garbage of a transfer.
 * @module
 */

/** What a socket brings in one read, twice. */
const CAPACITY_BYTES_MIN: number = 128 * 1024

export class HeldBytes {
  #buffer: Buffer | undefined
  #lengthBytes = 0

  /** Keeps a copy behind what is held; it may be of what {@link take} gave last. */
  add(bytes: Uint8Array): void {
    const wantedBytes = this.#lengthBytes + bytes.length
    if (this.#buffer === undefined || this.#buffer.length < wantedBytes) this.#grow(wantedBytes)
    this.#buffer!.set(bytes, this.#lengthBytes)
    this.#lengthBytes = wantedBytes
  }

  /** Gives all that is held, in order, and holds nothing more. It is good until the next {@link add}. */
  take(): Buffer {
    const held = this.#buffer!.subarray(0, this.#lengthBytes)
    this.#lengthBytes = 0
    return held
  }

  #grow(wantedBytes: number): void {
    const lengthBytes = Math.max(CAPACITY_BYTES_MIN, 2 ** Math.ceil(Math.log2(wantedBytes)))
    const buffer = Buffer.allocUnsafeSlow(lengthBytes)
    this.#buffer?.copy(buffer, 0, 0, this.#lengthBytes)
    this.#buffer = buffer
  }
}
