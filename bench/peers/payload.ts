/**
 * Seals or opens a file once, or does a part of that alone: MODE SIZE FOLDER FILE THREADS KEY. FOLDER is
 * for what is written, KEY is the file key as hex.
 * @module
 */
import {
  createCipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from "node:crypto"
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { openFile } from "../../src/seal/open-file.ts"
import { letGo } from "../../src/seal/payload.ts"
import { CHUNK_BYTES, cipherBytesOf } from "../../src/seal/payload-layout.ts"
import { PayloadPool } from "../../src/seal/payload-pool.ts"
import { createPayloadReader } from "../../src/seal/payload-reader.ts"
import { sealFile } from "../../src/seal/seal-file.ts"
import { hear, say } from "./lines.ts"

const MIB = 1024 ** 2
/** What is sealed in memory: more than any cache, as a file is. */
const MEMORY_BYTES = 64 * MIB
const COPY_BYTES = 256 * 1024
/** How often a MiB in the middle is read. */
const MIDDLE_READS = 25

const [mode, size, folder, path, threads, fileKeyHex] = process.argv.slice(2) as [
  mode: string,
  size: string,
  folder: string,
  path: string,
  threads: string,
  fileKeyHex: string,
]
const sizeBytes = Number(size)
const fileKey = Buffer.from(fileKeyHex, "hex")

type Notes = Readonly<Record<string, unknown>>

/** What a mode does once its clock runs. */
type Work = () => Promise<Notes>

/** Seals chunk after chunk in memory; what for is up to the caller. */
function sealInMemory(
  key: Uint8Array | KeyObject,
  use: (plain: Uint8Array, sealed: Uint8Array<ArrayBuffer>) => void,
): Work {
  const memory = randomBytes(MEMORY_BYTES)
  return async () => {
    const nonce = new Uint8Array(12)
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      const from = at % MEMORY_BYTES
      const plain = memory.subarray(from, from + CHUNK_BYTES)
      const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 })
      const sealed = cipher.update(plain)
      cipher.final()
      cipher.getAuthTag()
      use(plain, sealed)
    }
    return {}
  }
}

function sealAndHash(): Work {
  const plainHash = createHash("sha256")
  const cipherHash = createHash("sha256")
  return sealInMemory(randomBytes(32), (plain, sealed) => {
    plainHash.update(plain)
    cipherHash.update(sealed)
  })
}

/** Reads and writes the bytes, and no more: what the kernel takes of opening. */
function copy(): Work {
  const buffer = new Uint8Array(COPY_BYTES)
  return async () => {
    const source = openSync(path, "r")
    const target = openSync(join(folder, "copy"), "wx")
    for (let left = cipherBytesOf(sizeBytes); left > 0; ) {
      const count = readSync(source, buffer)
      writeSync(target, buffer, 0, count)
      left -= count
    }
    closeSync(source)
    closeSync(target)
    return {}
  }
}

/** Starts the threads: a pool is opened for many files, and theirs is no part of one. */
async function warmPool(): Promise<PayloadPool> {
  const pool = new PayloadPool({ threadCount: Number(threads) })
  const source = join(folder, "warm")
  writeFileSync(source, new Uint8Array(MIB))
  await sealFile({ pool }, { source, fileKey: randomBytes(16), folder })
  return pool
}

async function openWhole(): Promise<Work> {
  const pool = await warmPool()
  return async () => {
    const opened = await openFile({ pool }, { source: path, fileKey, folder })
    return { path: opened.path, threads: pool.threadCount }
  }
}

async function sealWhole(): Promise<Work> {
  const pool = await warmPool()
  return async () => {
    const sealed = await sealFile({ pool }, { source: path, fileKey: randomBytes(16), folder })
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
    const digests = { plain: hex(sealed.plainSha256), cipher: hex(sealed.cipherSha256) }
    return { path: sealed.path, threads: pool.threadCount, ...digests }
  }
}

/** Reads a MiB at places around the middle, each through a reader of its own. */
async function readMiddle(): Promise<Notes> {
  const file = await open(path, "r")
  const source = {
    async read(at: number, target: Uint8Array) {
      const { bytesRead } = await file.read(target, 0, target.length, at)
      if (bytesRead < target.length) throw new Error("the file is too short")
    },
  }
  const times: number[] = []
  for (let count = 0; count < MIDDLE_READS; count++) {
    const startMs = performance.now()
    const options = { fileKey, cipherBytes: cipherBytesOf(sizeBytes), isLengthProved: false }
    const reader = await createPayloadReader(source, options)
    await reader.read(Math.floor(sizeBytes / 2) + count * 1000, new Uint8Array(MIB))
    times.push(performance.now() - startMs)
  }
  await file.close()
  return { middleMs: times, middleMsMax: Math.max(...times) }
}

const MODES: Readonly<Record<string, () => Work | Promise<Work>>> = {
  cipher: () => sealInMemory(randomBytes(32), () => {}),
  "cipher-best": () => sealInMemory(createSecretKey(randomBytes(32)), (_, sealed) => letGo(sealed)),
  "cipher-sha256": sealAndHash,
  copy,
  open: openWhole,
  seal: sealWhole,
}

const work = await MODES[mode]!()
say({ event: "ready" })
if ((await hear()) !== undefined) {
  const startMs = performance.now()
  const notes = await work()
  const seconds = (performance.now() - startMs) / 1000
  const more = mode === "open" ? await readMiddle() : {}
  say({ event: "done", seconds, ...notes, ...more })
  await hear()
}
process.exit(0)
