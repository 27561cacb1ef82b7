/** The mainline DHT on loopback: two nodes meet by a third, and packets that break the library. */
import { createSocket } from "node:dgram"
import { once } from "node:events"
import Dht from "bittorrent-dht"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../../src/core/clock.ts"
import { silentLogger } from "../../../../src/core/log.ts"
import { dictionaryOf, encodeBencode } from "../../../../src/swarm/bencode.ts"
import type { Announced, Discovery } from "../../../../src/swarm/public/discovery.ts"
import { GuardedSocket, reachRule } from "../../../../src/swarm/public/guarded-socket.ts"
import { createMainlineDht } from "../../../../src/swarm/public/mainline-dht.ts"
import type { PeerAddress } from "../../../../src/swarm/public/torrent-link.ts"
import { until } from "../../../contract/swarm.ts"

const infoHash = Buffer.alloc(20, 7)
const LOCAL = { host: "127.0.0.1", port: 0 }
let entry: Dht
const open: Discovery[] = []
beforeEach(async () => {
  entry = new Dht({ bootstrap: false })
  entry.listen(0, "127.0.0.1")
  await once(entry, "listening")
})
afterEach(async () => {
  for (const dht of open.splice(0)) await dht.stop()
  await new Promise<void>((resolve) => entry.destroy(() => resolve()))
})

function join(): Discovery {
  const dht = createMainlineDht(
    { clock: systemClock, log: silentLogger },
    {
      listen: LOCAL,
      nodes: [{ host: "127.0.0.1", port: entry.address().port }],
      reachesPrivate: true,
    },
  )
  open.push(dht)
  return dht
}

function announced(
  port: number | undefined,
  leftBytes: number,
): Announced & { found: PeerAddress[] } {
  const found: PeerAddress[] = []
  return {
    infoHash,
    trackers: [],
    leftBytes: () => leftBytes,
    port: () => port,
    onAddress: (address) => found.push(address),
    onStream: () => {},
    found,
  }
}

test("who seeks finds who seeds", async () => {
  const stopSeeding = join().announce(announced(7072, 0))
  // The seed is known once it has told the nodes around it.
  let isTold = false
  entry.on("peer", () => {
    isTold = true
  })
  await until(() => {
    entry.lookup(infoHash)
    return isTold
  }, "the seed has told of itself")
  const seeker = announced(undefined, 1)
  const stopSeeking = join().announce(seeker)
  await until(() => seeker.found.length > 0, "the seed is found")
  expect(seeker.found[0]).toEqual({ host: "127.0.0.1", port: 7072 })
  stopSeeking()
  stopSeeding()
})

describe("a packet", () => {
  test("that the library stumbles over is dropped, and the next one is answered", async () => {
    const bad: string[] = []
    const socket = new GuardedSocket({ mayReach: () => true, onBadPacket: (why) => bad.push(why) })
    const dht = new Dht({ bootstrap: false, socket })
    dht.on("warning", () => {})
    dht.listen(0, "127.0.0.1")
    await once(dht, "listening")
    const stranger = createSocket("udp4")
    const id = Buffer.alloc(20, 3)
    const send = (name: string, values: Parameters<typeof dictionaryOf>[0]) => {
      const query = dictionaryOf({ a: dictionaryOf({ id, ...values }), q: name, t: "aa", y: "q" })
      stranger.send(encodeBencode(query), dht.address().port, "127.0.0.1")
    }
    const info = { info_hash: Buffer.alloc(20, 5) }
    send("get_peers", { info_hash: 5 })
    send("announce_peer", { ...info, token: 5, port: 1 })
    await until(() => bad.length === 2, "both were dropped")
    const answered = once(stranger, "message")
    send("get_peers", info)
    const [answer] = await answered
    expect(String(answer)).toContain("1:rd2:id20:")
    stranger.close()
    await new Promise<void>((resolve) => dht.destroy(() => resolve()))
  })

  test("goes to the public Internet and to what the owner named, not to private addresses", () => {
    const mayReach = reachRule([{ host: "dht.example" }, { host: "10.0.0.1" }], false)
    expect(mayReach("dht.example")).toBe(true)
    expect(mayReach("10.0.0.1")).toBe(true)
    expect(mayReach("8.8.8.8")).toBe(true)
    for (const host of ["10.0.0.2", "127.0.0.1", "other.example", "169.254.169.254"]) {
      expect(mayReach(host)).toBe(false)
    }
    expect(reachRule([], true)("10.0.0.2")).toBe(true)
  })

  test("to a port that is none is not sent", async () => {
    const socket = new GuardedSocket({ mayReach: () => true, onBadPacket: () => {} })
    const error = await new Promise((resolve) =>
      socket.send(Buffer.from("x"), 0, 1, 0, "127.0.0.1", resolve),
    )
    expect(error).toBeInstanceOf(Error)
    socket.bind(0, "127.0.0.1")
    await once(socket, "listening")
    socket.close()
  })
})
