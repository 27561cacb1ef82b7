/**
 * An OCI layout as one archive that `podman load`, `docker load` and `ctr images import` read from their
 * input: ustar (POSIX.1-2017, pax), with an index that names the image, and the `manifest.json` of Docker
 * before version 25, which reads nothing else.
 * @module
 */
import { open, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { isDigest } from "../core/digest.ts"
import { blobName, type ImageLayout } from "./image-layout.ts"

const BLOCK_BYTES = 512
const READ_BYTES: number = 256 * 1024
/** Largest size that eleven octal digits hold. */
const OCTAL_MAX: number = 8 ** 11 - 1
const LAYOUT_MARK = '{"imageLayoutVersion":"1.0.0"}'

/**
 * Writes the archive, part by part; nothing of it is held.
 * @param name - of the image, such as `localhost/sealift/web:current`
 * @throws Error when a blob changes its length meanwhile, or a fault of the file system
 */
export async function* imageArchive(layout: ImageLayout, name: string): AsyncGenerator<Uint8Array> {
  yield* textEntry("oci-layout", LAYOUT_MARK)
  yield* textEntry("index.json", JSON.stringify(indexOf(layout, name)))
  yield* textEntry("manifest.json", JSON.stringify([dockerManifest(layout, name)]))
  const folder = join(layout.path, "blobs/sha256")
  for (const hex of (await readdir(folder)).sort()) {
    if (isDigest(`sha256:${hex}`)) yield* fileEntry(`blobs/sha256/${hex}`, join(folder, hex))
  }
  yield new Uint8Array(2 * BLOCK_BYTES)
}

function indexOf({ top }: ImageLayout, name: string): object {
  const { mediaType, digest, sizeBytes: size } = top
  const annotations = {
    "io.containerd.image.name": name,
    "org.opencontainers.image.ref.name": name,
  }
  return { schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations }] }
}

function dockerManifest({ config, layers }: ImageLayout, name: string): object {
  return { Config: blobName(config), RepoTags: [name], Layers: layers.map(blobName) }
}

function* textEntry(name: string, text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text)
  yield headerOf(name, bytes.length)
  yield bytes
  yield padding(bytes.length)
}

async function* fileEntry(name: string, path: string): AsyncGenerator<Uint8Array> {
  const { size } = await stat(path)
  yield headerOf(name, size)
  await using file = await open(path, "r")
  let left = size
  while (left > 0) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(left, READ_BYTES)))
    if (bytesRead === 0) throw new Error(`${path} has become shorter`)
    yield buffer.subarray(0, bytesRead)
    left -= bytesRead
  }
  yield padding(size)
}

function headerOf(name: string, sizeBytes: number): Uint8Array {
  const header = Buffer.alloc(BLOCK_BYTES)
  header.write(name, 0, 100, "utf8")
  header.write("0000644\0", 100)
  header.write("0000000\0", 108)
  header.write("0000000\0", 116)
  if (sizeBytes <= OCTAL_MAX) header.write(sizeBytes.toString(8).padStart(11, "0"), 124)
  else writeLargeSize(header, sizeBytes)
  header.write("00000000000\0", 136)
  header.write("0", 156)
  header.write("ustar\x0000", 257)
  // The sum is taken over the header with blanks in its own place.
  header.write("        ", 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return header
}

/** Beyond 8 GiB: a set top bit, and the number in base 256, as GNU tar writes it. */
function writeLargeSize(header: Buffer, sizeBytes: number): void {
  header[124] = 0x80
  header.writeBigUInt64BE(BigInt(sizeBytes), 128)
}

function padding(sizeBytes: number): Uint8Array {
  return new Uint8Array((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES)
}
