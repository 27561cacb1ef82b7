/** Files that are sealed and opened by real threads: protocol/sealed-payload.md §5. */
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest"
import { sha256 } from "../../../src/core/digest.ts"
import { placeFile } from "../../../src/disk/durable-file.ts"
import { openFile } from "../../../src/seal/open-file.ts"
import { newFileKey, openPayload, payloadKey, sealPayload } from "../../../src/seal/payload.ts"
import { RUN_PLAIN_BYTES, SLOTS_MAX } from "../../../src/seal/payload-job.ts"
import { CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES } from "../../../src/seal/payload-layout.ts"
import { PayloadPool } from "../../../src/seal/payload-pool.ts"
import { sealFile } from "../../../src/seal/seal-file.ts"
import { flipBitOf } from "../../support/flip-bit.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { assemble, BROKEN_VECTORS, plaintextOf } from "./payload-vectors.ts"

/** More runs than there are slots, and a chunk that is not whole. */
const LARGE_BYTES = (2 * SLOTS_MAX + 1) * RUN_PLAIN_BYTES + CHUNK_BYTES + 5
const coded = (code: string) => expect.objectContaining({ code })
const fileKey = newFileKey()
const large = plaintextOf(LARGE_BYTES)

const pool = new PayloadPool({ threadCount: 2 })
afterAll(() => pool.close())

let workspace: Workspace
let folder: string
beforeEach(async () => {
  workspace = openWorkspace("payload")
  folder = await workspace.folder("unfinished")
})
afterEach(() => workspace.close())

/** Writes a file beside the folder and gives its path. */
function put(bytes: Uint8Array): string {
  const path = join(workspace.root, "source")
  writeFileSync(path, bytes)
  return path
}

const left = () => readdir(folder)

describe("sealing and opening", () => {
  const lengths = [0, 1, CHUNK_BYTES, RUN_PLAIN_BYTES, RUN_PLAIN_BYTES + 1, LARGE_BYTES]
  const pools = [1, 2, 3].map((threadCount) => new PayloadPool({ threadCount }))
  afterAll(() => Promise.all(pools.map((one) => one.close())))
  const cases = [1, 2, 3].flatMap((threads) => lengths.map((length) => ({ threads, length })))

  test.each(cases)(
    "$length bytes with $threads threads gives the payload that memory does",
    async ({ threads, length }) => {
      const own = new PayloadPool({ threadCount: threads })
      workspace.defer(() => own.close())
      const plain = large.subarray(0, length)
      const sealed = await sealFile({ pool: own }, { source: put(plain), fileKey, folder })
      const cipher = readFileSync(sealed.path)
      const nonce = cipher.subarray(0, NONCE_BYTES)
      expect(cipher.equals(sealPayload(plain, { fileKey, nonce }))).toBe(true)
      expect(sealed).toMatchObject({ plainBytes: length, cipherBytes: cipher.length })
      expect(Buffer.compare(sealed.plainSha256, sha256(plain))).toBe(0)
      expect(Buffer.compare(sealed.cipherSha256, sha256(cipher))).toBe(0)
      const opened = await openFile({ pool: own }, { source: sealed.path, fileKey, folder })
      expect(opened.plainBytes).toBe(length)
      expect(readFileSync(opened.path).equals(plain)).toBe(true)
    },
  )

  test("takes descriptors in place of paths, and leaves them open", async () => {
    const source = openSync(put(large), "r")
    workspace.defer(() => closeSync(source))
    const sealed = await sealFile({ pool }, { source, fileKey, folder })
    const fd = openSync(sealed.path, "r")
    workspace.defer(() => closeSync(fd))
    const opened = await openFile({ pool }, { source: fd, fileKey, folder })
    expect(readFileSync(opened.path).equals(large)).toBe(true)
  })

  test("takes files in turn, however many are asked for at once", async () => {
    const source = put(large.subarray(0, 3 * RUN_PLAIN_BYTES))
    const sealed = await Promise.all(
      [1, 2, 3, 4].map(() => sealFile({ pool }, { source, fileKey, folder })),
    )
    for (const { path } of sealed) {
      expect(openPayload(readFileSync(path), { fileKey }).length).toBe(3 * RUN_PLAIN_BYTES)
    }
  })

  test("tells how far it is, up to the end", async () => {
    const told: number[] = []
    const onProgress = (doneBytes: number) => told.push(doneBytes)
    const sealed = await sealFile({ pool }, { source: put(large), fileKey, folder, onProgress })
    expect(told.at(-1)).toBe(LARGE_BYTES)
    await openFile({ pool }, { source: sealed.path, fileKey, folder, onProgress })
    expect(told.at(-1)).toBe(LARGE_BYTES)
    expect(told.length).toBeGreaterThan(2)
  })

  test("leaves a file that is for its owner alone until it is placed", async () => {
    const sealed = await sealFile({ pool }, { source: put(large), fileKey, folder })
    const opened = await openFile({ pool }, { source: sealed.path, fileKey, folder })
    expect((await stat(opened.path)).mode & 0o777).toBe(0o600)
    const target = join(workspace.root, "final")
    writeFileSync(target, "old")
    await placeFile(opened.path, target)
    expect(readFileSync(target).equals(large)).toBe(true)
    expect(await left()).toHaveLength(1)
  })
})

describe("opening leaves nothing", () => {
  async function sealedLarge(): Promise<string> {
    const { path } = await sealFile({ pool }, { source: put(large), fileKey, folder })
    const target = join(workspace.root, "sealed")
    await placeFile(path, target)
    return target
  }

  test.each(BROKEN_VECTORS)("of the vector $case: $comment", async (vector) => {
    const { input } = vector
    const keys = {
      fileKey: Buffer.from(input.fileKey, "base64"),
      nonce: Buffer.from(input.nonce, "base64"),
    }
    const source = put(assemble(vector, sealPayload(plaintextOf(input.plainBytes), keys)))
    const opening = openFile({ pool }, { source, fileKey: keys.fileKey, folder })
    await expect(opening).rejects.toThrow(coded(vector.expect))
    expect(await left()).toEqual([])
  })

  test("of a file with one bit turned", async () => {
    const source = await sealedLarge()
    flipBitOf(source, NONCE_BYTES + 40 * SEALED_CHUNK_BYTES + 77)
    const opening = openFile({ pool }, { source, fileKey, folder })
    await expect(opening).rejects.toThrow(coded("PAYLOAD_CORRUPT"))
    expect(await left()).toEqual([])
  })

  test("of a file that lacks its last chunk", async () => {
    const source = await sealedLarge()
    const chunks = Math.floor((LARGE_BYTES - 1) / CHUNK_BYTES)
    truncateSync(source, NONCE_BYTES + chunks * SEALED_CHUNK_BYTES)
    const opening = openFile({ pool }, { source, fileKey, folder })
    await expect(opening).rejects.toThrow(coded("PAYLOAD_CORRUPT"))
    expect(await left()).toEqual([])
  })

  test("with another key", async () => {
    const source = await sealedLarge()
    const opening = openFile({ pool }, { source, fileKey: newFileKey(), folder })
    await expect(opening).rejects.toThrow(coded("PAYLOAD_CORRUPT"))
    expect(await left()).toEqual([])
  })

  test("when it is given up in the middle", async () => {
    const source = await sealedLarge()
    const controller = new AbortController()
    const reason = new Error("enough")
    const onProgress = () => controller.abort(reason)
    const options = { source, fileKey, folder, onProgress }
    await expect(openFile({ pool }, options, { signal: controller.signal })).rejects.toBe(reason)
    expect(await left()).toEqual([])
  })
})

describe("sealing leaves nothing", () => {
  test("when it is given up in the middle", async () => {
    const controller = new AbortController()
    const reason = new Error("enough")
    const onProgress = () => controller.abort(reason)
    const options = { source: put(large), fileKey, folder, onProgress }
    await expect(sealFile({ pool }, options, { signal: controller.signal })).rejects.toBe(reason)
    expect(await left()).toEqual([])
  })

  test("when it is given up before its turn, and the next still has its own", async () => {
    const source = put(large)
    const controller = new AbortController()
    const first = sealFile({ pool }, { source, fileKey, folder })
    const second = sealFile({ pool }, { source, fileKey, folder }, { signal: controller.signal })
    const third = sealFile({ pool }, { source, fileKey, folder })
    controller.abort(new Error("enough"))
    await expect(second).rejects.toThrow("enough")
    const sealed = await Promise.all([first, third])
    expect((await left()).length).toBe(sealed.length)
    for (const { path } of sealed) {
      expect(Buffer.compare(openPayload(readFileSync(path), { fileKey }), large)).toBe(0)
    }
  })

  const changes: [string, (path: string) => void][] = [
    ["grows", (path) => appendFileSync(path, "x")],
    ["shrinks", (path) => truncateSync(path, RUN_PLAIN_BYTES)],
    ["is written anew with as many bytes", (path) => writeFileSync(path, large)],
  ]

  test.each(changes)("when the source %s meanwhile", async (_, change) => {
    const source = put(large)
    let isChanged = false
    const onProgress = () => {
      if (!isChanged) change(source)
      isChanged = true
    }
    const sealing = sealFile({ pool }, { source, fileKey, folder, onProgress })
    await expect(sealing).rejects.toThrow(coded("PAYLOAD_CHANGED"))
    expect(await left()).toEqual([])
  })

  test("of a device, which has no length", async () => {
    const sealing = sealFile({ pool }, { source: "/dev/zero", fileKey, folder })
    await expect(sealing).rejects.toThrow(coded("PAYLOAD_CHANGED"))
    expect(await left()).toEqual([])
  })

  test("of a file that is not there", async () => {
    const sealing = sealFile({ pool }, { source: join(folder, "none"), fileKey, folder })
    await expect(sealing).rejects.toThrow(coded("ENOENT"))
    expect(await left()).toEqual([])
  })
})

test("a full disk is told with its code, and the pool goes on", async () => {
  const source = openSync(put(large), "r")
  const full = openSync("/dev/full", "w")
  const nonce = new Uint8Array(NONCE_BYTES)
  const key = payloadKey(fileKey, nonce)
  const fds = { sourceFd: source, targetFd: full }
  const job = { kind: "seal", ...fds, key, nonce, plainBytes: LARGE_BYTES } as const
  await expect(pool.run(job, {})).rejects.toThrow(coded("ENOSPC"))
  closeSync(full)
  const sealed = await sealFile({ pool }, { source, fileKey, folder })
  closeSync(source)
  expect(openPayload(readFileSync(sealed.path), { fileKey }).length).toBe(LARGE_BYTES)
})
