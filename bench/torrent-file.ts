/**
 * Torrent files of version 1 (BEP 3), as the other clients need them. Keys are in order, so that every
 * reader finds the same info-hash.
 * @module
 */
import { createHash } from "node:crypto"

/** The SHA-1 of each piece, 20 bytes each, and how long a piece is. */
export interface PieceHashes {
  readonly lengthBytes: number
  readonly hashes: Uint8Array
}

/** Hashes a stream of bytes piece by piece. */
export class PieceHasher {
  readonly #lengthBytes: number
  readonly #hashes: Uint8Array[] = []
  #piece = createHash("sha1")
  #left: number

  constructor(lengthBytes: number) {
    this.#lengthBytes = lengthBytes
    this.#left = lengthBytes
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(at + this.#left, bytes.length)
      this.#piece.update(bytes.subarray(at, end))
      this.#left -= end - at
      at = end
      if (this.#left === 0) this.#endPiece()
    }
  }

  finish(): PieceHashes {
    if (this.#left < this.#lengthBytes) this.#endPiece()
    return { lengthBytes: this.#lengthBytes, hashes: Buffer.concat(this.#hashes) }
  }

  #endPiece(): void {
    this.#hashes.push(this.#piece.digest())
    this.#piece = createHash("sha1")
    this.#left = this.#lengthBytes
  }
}

/** Encodes the torrent of one file. */
export function encodeFileTorrent(
  file: { readonly name: string; readonly sizeBytes: number },
  pieces: PieceHashes,
): Uint8Array {
  return encode(`6:lengthi${file.sizeBytes}e4:name${text(file.name)}`, pieces)
}

/** Encodes the torrent of a folder of files, one after the other. */
export function encodeFolderTorrent(
  folder: string,
  files: readonly { readonly name: string; readonly sizeBytes: number }[],
  pieces: PieceHashes,
): Uint8Array {
  const list = files.map(({ name, sizeBytes }) => `d6:lengthi${sizeBytes}e4:pathl${text(name)}ee`)
  return encode(`5:filesl${list.join("")}e4:name${text(folder)}`, pieces)
}

function encode(files: string, { lengthBytes, hashes }: PieceHashes): Uint8Array {
  const head = `d4:infod${files}12:piece lengthi${lengthBytes}e6:pieces${hashes.length}:`
  return Buffer.concat([Buffer.from(head), hashes, Buffer.from("ee")])
}

const text = (value: string) => `${Buffer.byteLength(value)}:${value}`
