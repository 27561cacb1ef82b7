/** The log of a node as it tells its peers of it: which incarnation it is, over restarts. */
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
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
})
