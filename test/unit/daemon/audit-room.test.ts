/** The log of a node as it tells its peers of it: which incarnation it is, over restarts. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import type { NodeLog } from "../../../src/audit/node-log.ts"
import { encodeHex } from "../../../src/core/byte-text.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { openAudit, ownLogOf } from "../../../src/daemon/audit-room.ts"
import type { OwnLog } from "../../../src/fleet/own-log.ts"
import { createIdentity } from "../../../src/net/identity.ts"

const identity = createIdentity()
let data: string
let clock: VirtualClock
let undo: AsyncDisposableStack
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "sealift-audit-"))
  clock = new VirtualClock(1_800_000_000_000)
  undo = new AsyncDisposableStack()
})
afterEach(async () => {
  await undo.disposeAsync()
  rmSync(data, { recursive: true })
})

async function start(): Promise<{ readonly audit: NodeLog; readonly own: OwnLog }> {
  await undo.disposeAsync()
  undo = new AsyncDisposableStack()
  await clock.advance(1)
  const world = { clock, log: silentLogger, undo }
  const audit = await openAudit(world, { data, identity, quotaBytes: 1_000_000 })
  // Whatever waits is written before this.
  await audit.append({ event: "node.started", facts: {} })
  return { audit, own: ownLogOf(audit, { clock, folder: join(data, "log") }) }
}

describe("the log of a node, as its peers are told of it", () => {
  test("is the first one, and as long and of the root that its checkpoint says", async () => {
    const { audit, own } = await start()
    const place = await own.place()
    expect(place).toMatchObject({ incarnation: 1, size: audit.size })
    expect(encodeHex(await own.rootAt(place.size))).toBe(encodeHex(place.root))
    const again = await start()
    expect(encodeHex(await again.own.rootAt(place.size))).toBe(encodeHex(place.root))
    expect((await again.own.place()).incarnation).toBe(1)
  })

  test("is begun anew above what was known of it, and stays that over a restart", async () => {
    const { audit, own } = await start()
    const known = { incarnation: 4, size: 900, root: new Uint8Array(32).fill(7) }
    await own.beginAnew(known)
    const root = encodeHex(known.root)
    const [begun] = await audit.entries(0, 1)
    expect(begun).toMatchObject({
      event: "log.begun",
      facts: { after: "restored", incarnation: 5, size: 900, root },
    })
    expect(await own.place()).toMatchObject({ incarnation: 5, size: 1 })
    expect(audit.origin).toBe(`sealift.log/${identity.id}/5`)
    expect(readdirSync(data).toSorted()).toEqual(["log", `log.restored-${clock.now()}`])
    expect((await (await start()).own.place()).incarnation).toBe(5)
  })

  test("is another one than that which was broken", async () => {
    await start()
    await undo.disposeAsync()
    appendFileSync(join(data, "log", "checkpoint"), "more")
    expect((await (await start()).own.place()).incarnation).toBe(2)
    await undo.disposeAsync()
    writeFileSync(join(data, "log", "checkpoint"), "")
    expect((await (await start()).own.place()).incarnation).toBe(3)
  })

  test("that breaks is followed above what peers had shown before, and so is one that is gone", async () => {
    const { own } = await start()
    await own.beginAnew({ incarnation: 4, size: 900, root: new Uint8Array(32) })
    await undo.disposeAsync()
    truncateSync(join(data, "log", "tile", "entries", "000"), 0)
    const { audit, own: next } = await start()
    expect((await next.place()).incarnation).toBe(6)
    const [begun] = await audit.entries(0, 1)
    expect(begun?.facts).toEqual({ after: "LOG_CORRUPT", incarnation: 6 })
    await undo.disposeAsync()
    renameSync(join(data, "log"), join(data, "log.broken-1"))
    expect((await (await start()).own.place()).incarnation).toBe(7)
  })

  test("is above what lies aside also where peers know of less, and believes no checkpoint of others", async () => {
    const { own } = await start()
    const place = await own.place()
    for (const incarnation of [5, 6]) {
      await clock.advance(1)
      await own.beginAnew({ ...place, incarnation })
    }
    await undo.disposeAsync()
    rmSync(join(data, "log"), { recursive: true })
    const forged = join(data, "log.restored-2")
    const note = readFileSync(join(data, `log.restored-${clock.now()}`, "checkpoint"), "utf8")
    mkdirSync(forged)
    writeFileSync(
      join(forged, "checkpoint"),
      note.replaceAll(`${identity.id}/6`, `${identity.id}/90`),
    )
    writeFileSync(join(data, "log.txt"), "no log")
    const again = await start()
    expect((await again.own.place()).incarnation).toBe(7)
    await again.own.beginAnew(place)
    expect((await again.own.place()).incarnation).toBe(8)
  })
})
