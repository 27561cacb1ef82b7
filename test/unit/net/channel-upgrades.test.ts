import { PassThrough } from "node:stream"
import type { TLSSocket } from "node:tls"
import type { Connection } from "@libp2p/interface"
import { expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { ChannelUpgrades } from "../../../src/net/channel-upgrades.ts"
import type { Channel } from "../../../src/net/net.ts"
import type { OpenedSocket } from "../../../src/net/tls-socket.ts"

const MINUTE_MS = 60_000
const connection = {} as unknown as Connection

const relayed = (): Channel => ({ peer: "peer", kind: "libp2p", duplex: new PassThrough() })
const opened = (): OpenedSocket => ({
  socket: new PassThrough() as unknown as TLSSocket,
  borrow: () => {},
})

/** Upgrades whose holes open when they are told to, and the times of the attempts. */
function startUpgrades() {
  const clock = new VirtualClock()
  const triedAtMs: number[] = []
  const world = { isOpen: false }
  const punch = async (): Promise<OpenedSocket> => {
    triedAtMs.push(clock.monotonicMs())
    if (!world.isOpen) throw new Error("no packet came through")
    return opened()
  }
  const beganMs = clock.monotonicMs()
  const upgrades = new ChannelUpgrades({ clock, log: silentLogger, punch })
  const triedMinutes = () => triedAtMs.map((ms) => (ms - beganMs) / MINUTE_MS)
  return { clock, upgrades, world, triedMinutes }
}

test("holes are tried at pauses that double up to a quarter of an hour", async () => {
  const { clock, upgrades, triedMinutes } = startUpgrades()
  upgrades.tryLater(relayed(), connection)
  await clock.advance(62 * MINUTE_MS)
  expect(triedMinutes()).toEqual([1, 3, 7, 15, 30, 45, 60])
})

test("a channel that is closed is not tried for any more", async () => {
  const { clock, upgrades, triedMinutes } = startUpgrades()
  const channel = relayed()
  upgrades.tryLater(channel, connection)
  await clock.advance(2 * MINUTE_MS)
  channel.duplex.destroy()
  await clock.advance(60 * MINUTE_MS)
  expect(triedMinutes()).toEqual([1])
})

test("a hole ends the relayed channel, and its socket is given to who asks next, once", async () => {
  const { clock, upgrades, world } = startUpgrades()
  const channel = relayed()
  upgrades.tryLater(channel, connection)
  world.isOpen = true
  await clock.advance(MINUTE_MS)
  expect(channel.duplex.destroyed).toBe(true)
  expect(upgrades.take("peer")?.socket.destroyed).toBe(false)
  expect(upgrades.take("peer")).toBeUndefined()
})

test("a socket that nobody asks for is closed after five seconds, or when the peer is gone", async () => {
  const { clock, upgrades } = startUpgrades()
  const [late, gone] = [opened(), opened()]
  upgrades.replace(relayed(), late)
  await clock.advance(5_000)
  expect(late.socket.destroyed).toBe(true)
  upgrades.replace(relayed(), gone)
  upgrades.drop("peer")
  expect(gone.socket.destroyed).toBe(true)
  expect(upgrades.take("peer")).toBeUndefined()
})

test("a socket that comes too late for its channel is closed, and so is everything at the end", () => {
  const { upgrades } = startUpgrades()
  const [late, ready] = [opened(), opened()]
  const channel = relayed()
  channel.duplex.destroy()
  upgrades.replace(channel, late)
  upgrades.replace(relayed(), ready)
  upgrades.close()
  expect([late.socket.destroyed, ready.socket.destroyed]).toEqual([true, true])
})
