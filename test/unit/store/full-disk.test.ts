/** A disk that is full, or that may not be written. */
import { rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { faultOf, writePieces } from "../../contract/blob-store.ts"
import { bytesOf, pieceOf, streamOf } from "../../support/blob-bytes.ts"
import { filesBelow, openAt, verifyAll } from "./disk-fixture.ts"
import { canMount, mountSmallDisk, remount } from "./small-disk.ts"

const MIB = 1024 * 1024

/** Fills the disk but for some bytes, as another program would. @returns how to take it away */
function fillUp(directory: string, leaveBytes: number): () => void {
  const path = join(directory, "ballast")
  const { bavail, bsize } = statfsSync(directory)
  writeFileSync(path, new Uint8Array(Math.max(0, bavail * bsize - leaveBytes)))
  return () => rmSync(path)
}

test.skipIf(!canMount)("refuses early what the disk cannot hold [needs root]", async () => {
  const directory = mountSmallDisk(32)
  const store = await openAt(directory)
  const large = bytesOf(1, 1)
  expect(await faultOf(store.openPartial(digestOf(large), 64 * MIB))).toBe("DISK_FULL")
  const promise = store.ingest(streamOf(new Uint8Array(30 * MIB), MIB), {})
  expect(await faultOf(promise)).toBe("DISK_FULL")
  expect(filesBelow(directory, "staging")).toEqual([])
  expect(store.usage()).toMatchObject({ usedBytes: 0, blobCount: 0 })
})

test.skipIf(!canMount)(
  "sweeps the least recently used when the disk is full first [needs root]",
  async () => {
    const directory = mountSmallDisk(32)
    const store = await openAt(directory)
    const first = await store.ingest(streamOf(bytesOf(14 * MIB, 1), MIB), {})
    const second = await store.ingest(streamOf(bytesOf(14 * MIB, 2), MIB), {})
    expect(store.stat(first.digest)).toBeUndefined()
    expect(store.stat(second.digest)?.isComplete).toBe(true)
  },
)

test.skipIf(!canMount)(
  "leaves nothing half-written when the disk runs full [needs root]",
  async () => {
    const directory = mountSmallDisk(32)
    const store = await openAt(directory)
    const kept = await store.ingest(streamOf(bytesOf(MIB, 1)), {})
    await store.pin({ name: "kept", digests: [kept.digest] })
    const bytes = bytesOf(2 * MIB, 2)
    const blob = await store.openPartial(digestOf(bytes), bytes.length)
    await writePieces(blob, bytes, [0])
    const upload = await store.createUpload()
    await upload.write(bytesOf(300_000, 4))
    const clear = fillUp(directory, 100_000)
    expect(await faultOf(blob.writePiece(1, pieceOf(bytes, 1)))).toBe("DISK_FULL")
    expect(blob.pieces.has(1)).toBe(false)
    const ingesting = store.ingest(streamOf(bytesOf(600_000, 3), 600_000), {})
    expect(await faultOf(ingesting)).toBe("DISK_FULL")
    expect(await faultOf(upload.write(bytesOf(600_000, 5)))).toBe("DISK_FULL")
    expect(filesBelow(directory, "staging")).toEqual([])
    clear()
    await writePieces(blob, bytes, [1, 2, 3, 4, 5, 6, 7])
    expect(await blob.finish()).toEqual({ kind: "complete" })
    blob.release()
    expect((await verifyAll(store, false)).map((finding) => finding.kind)).toEqual(["ok", "ok"])
  },
)

test.skipIf(!canMount)("does not open on a full disk [needs root]", async () => {
  const directory = mountSmallDisk(8)
  await (await openAt(directory)).close()
  const clear = fillUp(directory, 0)
  expect(await faultOf(openAt(directory))).toBe("DISK_FULL")
  clear()
  await openAt(directory)
})

test.skipIf(!canMount)("does not open where it may not write [needs root]", async () => {
  const directory = mountSmallDisk(8)
  await (await openAt(directory)).close()
  remount(directory, "ro")
  const fault = await openAt(directory).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: "STORE_READ_ONLY" })
  expect(String(fault)).toContain(directory)
  expect(await faultOf(openAt(join(directory, "new")))).toBe("STORE_READ_ONLY")
  remount(directory, "rw")
  await openAt(directory)
})
