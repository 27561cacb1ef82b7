/** Whom a node connects to at the word of strangers, and how often it tries. */
import { once } from "node:events"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { afterEach, expect, test } from "vitest"
import { VirtualClock } from "../../../../src/core/virtual-clock.ts"
import { isPublicAddress } from "../../../../src/net/public-address.ts"
import { Outreach } from "../../../../src/swarm/public/outreach.ts"
import { until } from "../../../contract/swarm.ts"

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket).listen(0, "127.0.0.1")
  servers.push(server)
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

function outreach(options: { reachesPrivate?: boolean } = {}) {
  const clock = new VirtualClock(1)
  const addresses: string[] = []
  const sockets: Duplex[] = []
  const reach = new Outreach({
    clock,
    reachesPrivate: options.reachesPrivate ?? false,
    connected: ({ duplex }, address) => {
      sockets.push(duplex)
      addresses.push(address)
    },
  })
  return { reach, clock, addresses, sockets }
}

test.each([
  ["8.8.8.8", true],
  ["2606:4700::1111", true],
  ["127.0.0.1", false],
  ["10.1.2.3", false],
  ["192.168.0.1", false],
  ["169.254.169.254", false],
  ["100.64.0.1", false],
  ["224.0.0.1", false],
  ["::1", false],
  ["fd00::1", false],
  ["fe80::1", false],
  ["::ffff:127.0.0.1", false],
  ["64:ff9b::7f00:1", false],
  ["64:ff9b::10.0.0.1", false],
  ["64:ff9b::8.8.8.8", true],
  ["2002:a00:1::1", false],
  ["fec0::1", false],
  ["tracker.example", false],
])("%s is an address of the public Internet: %s", (host, isPublic) => {
  expect(isPublicAddress(host)).toBe(isPublic)
})

test("an address inside the own network is tried at the user's word, not at a stranger's", async () => {
  let count = 0
  const port = await listen((socket) => {
    count++
    socket.resume()
  })
  const { reach, addresses } = outreach()
  reach.add({ host: "127.0.0.1", port }, "found")
  reach.tick()
  reach.add({ host: "127.0.0.1", port: 1 }, "given")
  reach.add({ host: "127.0.0.1", port }, "given")
  await until(() => addresses.length === 1, "it is connected")
  await until(() => count === 1, "once")
  expect(addresses).toEqual([`127.0.0.1:${port}`])
  reach.stop()
})

test("a stranger may name such an address where the owner allows it", async () => {
  const port = await listen((socket) => socket.resume())
  const { reach, addresses } = outreach({ reachesPrivate: true })
  reach.add({ host: "127.0.0.1", port }, "found")
  await until(() => addresses.length === 1, "it is connected")
  reach.stop()
})

test("a connection that ended is tried again later, and later still", async () => {
  let count = 0
  const port = await listen((socket) => {
    count++
    socket.destroy()
  })
  const { reach, clock, sockets } = outreach()
  reach.add({ host: "127.0.0.1", port }, "given")
  for (const [round, waitMs] of [2_000, 4_000, 8_000].entries()) {
    await until(() => count === round + 1 && sockets.length === round + 1, "it was tried")
    await until(() => sockets[round]!.closed, "it is over")
    await clock.advance(waitMs - 10)
    reach.tick()
    expect(sockets.length).toBe(round + 1)
    await clock.advance(20)
    reach.tick()
  }
  reach.stop()
})

test("one torrent has a bounded number of connections, and a stopped one has none", async () => {
  const port = await listen((socket) => socket.resume())
  const { reach, sockets } = outreach()
  // All of 127/8 is this machine.
  for (let host = 1; host <= 40; host++) reach.add({ host: `127.0.0.${host}`, port }, "given")
  reach.tick()
  await until(() => sockets.length > 0, "some are connected")
  expect(sockets.length).toBeLessThanOrEqual(16)
  reach.stop()
  await until(() => sockets.every((socket) => socket.destroyed), "all are closed")
})

test("an address where nobody is gives its place to another, one that the user gave does not", async () => {
  const { reach, clock, addresses } = outreach({ reachesPrivate: true })
  const closed = await listen(() => {})
  servers.pop()!.close()
  const open = await listen(() => {})
  reach.add({ host: "127.0.0.1", port: closed }, "given")
  // Nothing listens on the first ports of this machine's addresses.
  for (let count = 0; count < 255; count++)
    reach.add({ host: `127.0.1.${count}`, port: 1 }, "found")
  reach.add({ host: "127.0.0.1", port: open }, "found")
  const comes = (port: number, elapsedMs: number) =>
    until(() => {
      void clock.advance(elapsedMs)
      reach.tick()
      reach.add({ host: "127.0.0.1", port: open }, "found")
      return addresses.includes(`127.0.0.1:${port}`)
    }, `a connection to port ${port}`)
  await comes(open, 500)
  servers.push(createServer(() => {}).listen(closed, "127.0.0.1"))
  await comes(closed, 100_000)
  reach.stop()
})
