/** What every adapter of `PeerNetwork` does, checked between two and three running nodes. */
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { finished } from "node:stream/promises"
import { afterEach, describe, expect, test } from "vitest"
import { CodedError } from "../../src/core/errors.ts"
import type { Admission, Channel, PeerId, PeerNetwork } from "../../src/net/net.ts"

/** A world of nodes; `join` starts a node that is connected to nobody. */
export interface NetworkWorld {
  join(options?: { readonly admission?: Admission }): Promise<PeerNetwork>
  /** The text to dial a node by, from outside. */
  targetOf(network: PeerNetwork): string
  close(): Promise<void>
}

class NoSuchThing extends CodedError<"NO_SUCH_THING"> {}

const PROTOCOL = "/sealift/test/1"
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
export const withSignal = (timeoutMs = 5000): { signal: AbortSignal } => ({
  signal: AbortSignal.timeout(timeoutMs),
})

/** Waits until something is true, looking often; the test's own timeout bounds it. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5))
}

async function readAll(channel: Channel): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of channel.duplex) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}

/** Runs the suite on one adapter. */
export function testPeerNetwork(name: string, createWorld: () => Promise<NetworkWorld>): void {
  const worlds: NetworkWorld[] = []

  async function nodes(count: number): Promise<PeerNetwork[]> {
    const world = await createWorld()
    worlds.push(world)
    const all: PeerNetwork[] = []
    for (let index = 0; index < count; index++) {
      const node = await world.join()
      for (const other of all) await node.dial(world.targetOf(other), withSignal())
      all.push(node)
    }
    for (const node of all) await until(() => node.peers().length === count - 1)
    return all
  }

  const pair = async (): Promise<[PeerNetwork, PeerNetwork]> =>
    (await nodes(2)) as [PeerNetwork, PeerNetwork]

  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close()
  })

  describe(`${name}: connections`, () => {
    test("dials by multiaddr, and both sides see the peer", async () => {
      const [left, right] = await pair()
      expect(left.peers().map((peer) => peer.id)).toEqual([right.id])
      expect(right.peer(left.id)?.id).toBe(left.id)
      expect(left.peer(right.id)?.sources.has("inbound")).toBe(true)
      expect(left.addresses().every((address) => address.endsWith(`/p2p/${left.id}`))).toBe(true)
    })

    test("tells the address of the other end, whoever dialled", async () => {
      const [left, right] = await pair()
      expect(left.peer(right.id)?.host).toMatch(/^(127\.0\.0\.1|::1)$/)
      expect(right.peer(left.id)?.host).toMatch(/^(127\.0\.0\.1|::1)$/)
    })

    test("tells when a peer connects and when it goes", async () => {
      const world = await createWorld()
      worlds.push(world)
      const [left, right] = [await world.join(), await world.join()]
      const seen: string[] = []
      left.onConnect((peer) => seen.push(`+${peer.id}`))
      left.onDisconnect((peer) => seen.push(`-${peer}`))
      await left.dial(world.targetOf(right), withSignal())
      await until(() => seen.length === 1)
      await left.disconnect(right.id)
      await until(() => seen.length === 2 && right.peers().length === 0)
      expect(seen).toEqual([`+${right.id}`, `-${right.id}`])
      expect(left.peers()).toEqual([])
    })

    test("tells of a peer that stops", async () => {
      const [left, right] = await pair()
      const gone: PeerId[] = []
      left.onDisconnect((peer) => gone.push(peer))
      await right.stop()
      await until(() => gone.length === 1)
      expect(left.peer(right.id)).toBeUndefined()
    })

    test("refuses an address that is none", async () => {
      const [left] = await nodes(1)
      await expect(left!.dial("/nonsense", withSignal())).rejects.toMatchObject({
        code: "ADDRESS_INVALID",
      })
    })

    test("refuses all work after it stopped", async () => {
      const [left, right] = await pair()
      await left.stop()
      await left.stop()
      const stopped = { code: "NETWORK_STOPPED" }
      await expect(left.dial(right.id, withSignal())).rejects.toMatchObject(stopped)
      await expect(
        left.request(right.id, PROTOCOL, bytesOf("x"), withSignal()),
      ).rejects.toMatchObject(stopped)
      await expect(left.openChannel(right.id, withSignal())).rejects.toMatchObject(stopped)
    })
  })

  describe(`${name}: requests`, () => {
    test("answers with what the handler gives, and tells it who asks", async () => {
      const [left, right] = await pair()
      right.onRequest(PROTOCOL, async (body, { peer }) => bytesOf(`${textOf(body)} from ${peer}`))
      const answer = await left.request(right.id, PROTOCOL, bytesOf("hello"), withSignal())
      expect(textOf(answer)).toBe(`hello from ${left.id}`)
    })

    test("pipelines: a later answer may come before an earlier one", async () => {
      const [left, right] = await pair()
      const order: string[] = []
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      right.onRequest(PROTOCOL, async (body) => {
        if (textOf(body) === "slow") await held
        return body
      })
      const ask = async (text: string) =>
        order.push(textOf(await left.request(right.id, PROTOCOL, bytesOf(text), withSignal())))
      const slow = ask("slow")
      await ask("fast")
      release()
      await slow
      expect(order).toEqual(["fast", "slow"])
    })

    test("answers many requests at once in both directions", async () => {
      const [left, right] = await pair()
      for (const node of [left, right]) node.onRequest(PROTOCOL, async (body) => body)
      const texts = Array.from({ length: 200 }, (_, index) => `message ${index}`)
      const ask = (from: PeerNetwork, to: PeerNetwork) =>
        Promise.all(
          texts.map(async (text) =>
            textOf(await from.request(to.id, PROTOCOL, bytesOf(text), withSignal())),
          ),
        )
      expect(await Promise.all([ask(left, right), ask(right, left)])).toEqual([texts, texts])
    })

    test("carries empty and 4 MiB bodies, and refuses larger ones", async () => {
      const [left, right] = await pair()
      right.onRequest(PROTOCOL, async (body) => body)
      const empty = await left.request(right.id, PROTOCOL, new Uint8Array(), withSignal())
      expect(empty.length).toBe(0)
      const large = randomBytes(4 * 1024 * 1024)
      const echoed = await left.request(right.id, PROTOCOL, large, withSignal())
      expect(large.equals(echoed)).toBe(true)
      await expect(
        left.request(right.id, PROTOCOL, new Uint8Array(large.length + 1), withSignal()),
      ).rejects.toMatchObject({
        code: "REQUEST_REFUSED",
        details: { code: "MESSAGE_TOO_LARGE" },
      })
    })

    test("gives the code of a handler's error and nothing else", async () => {
      const [left, right] = await pair()
      right.onRequest(PROTOCOL, async (body) => {
        if (body.length === 0) throw new NoSuchThing("NO_SUCH_THING", "a secret text")
        throw new Error("another secret")
      })
      const named = left.request(right.id, PROTOCOL, new Uint8Array(), withSignal())
      const error = await named.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        code: "REQUEST_REFUSED",
        details: { code: "NO_SUCH_THING" },
      })
      expect(String(error)).not.toContain("secret")
      await expect(
        left.request(right.id, PROTOCOL, bytesOf("x"), withSignal()),
      ).rejects.toMatchObject({ code: "REQUEST_REFUSED", details: { code: "INTERNAL" } })
    })

    test("refuses a protocol that nobody answers", async () => {
      const [left, right] = await pair()
      await expect(
        left.request(right.id, "/sealift/unheard/1", bytesOf("x"), withSignal()),
      ).rejects.toMatchObject({
        code: "REQUEST_REFUSED",
        details: { code: "PROTOCOL_UNKNOWN" },
      })
    })

    test("fails when the peer goes while it works", async () => {
      const [left, right] = await pair()
      let isStarted = false
      let isAborted = false
      right.onRequest(PROTOCOL, async (_body, { signal }) => {
        isStarted = true
        await once(signal, "abort")
        isAborted = true
        return new Uint8Array()
      })
      const asked = left.request(right.id, PROTOCOL, bytesOf("x"), withSignal())
      const failed = expect(asked).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
      await until(() => isStarted)
      await right.stop()
      await failed
      await until(() => isAborted)
      await expect(
        left.request(right.id, PROTOCOL, bytesOf("x"), withSignal()),
      ).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    })

    test("ends with the signal's own reason", async () => {
      const [left, right] = await pair()
      right.onRequest(PROTOCOL, (body) =>
        body.length === 0 ? new Promise(() => {}) : Promise.resolve(body),
      )
      const reason = new Error("no longer wanted")
      const controller = new AbortController()
      const asked = left.request(right.id, PROTOCOL, new Uint8Array(), controller)
      setTimeout(() => controller.abort(reason), 10)
      await expect(asked).rejects.toBe(reason)
      const after = await left.request(right.id, PROTOCOL, bytesOf("still here"), withSignal())
      expect(textOf(after)).toBe("still here")
      await expect(left.request(right.id, PROTOCOL, new Uint8Array(), controller)).rejects.toBe(
        reason,
      )
    })
  })

  describe(`${name}: channels`, () => {
    async function openPair(): Promise<[Channel, Channel, PeerNetwork, PeerNetwork]> {
      const [left, right] = await pair()
      const taken = new Promise<Channel>((resolve) => right.onChannel(resolve))
      const opened = await left.openChannel(right.id, withSignal())
      return [opened, await taken, left, right]
    }

    test("names the true peer on both sides", async () => {
      const [opened, taken, left, right] = await openPair()
      expect([opened.peer, taken.peer]).toEqual([right.id, left.id])
      expect(opened.kind).toBe(taken.kind)
    })

    test("carries bytes both ways and ends cleanly", async () => {
      const [opened, taken] = await openPair()
      const upward = randomBytes(3_000_001)
      const downward = randomBytes(2_000_003)
      opened.duplex.write(upward)
      taken.duplex.write(downward)
      const receive = (channel: Channel, sizeBytes: number): Promise<Uint8Array> =>
        new Promise((resolve) => {
          const chunks: Uint8Array[] = []
          let size = 0
          channel.duplex.on("data", (chunk: Uint8Array) => {
            chunks.push(chunk)
            size += chunk.length
            if (size === sizeBytes) resolve(Buffer.concat(chunks))
          })
        })
      const [up, down] = await Promise.all([
        receive(taken, upward.length),
        receive(opened, downward.length),
      ])
      expect([upward.equals(up), downward.equals(down)]).toEqual([true, true])
      const closed = Promise.all([finished(opened.duplex), finished(taken.duplex)])
      opened.duplex.end()
      await closed
    })

    test("delivers all that was written before the end", async () => {
      const [opened, taken] = await openPair()
      const sent = randomBytes(1_500_000)
      opened.duplex.end(sent)
      expect(sent.equals(await readAll(taken))).toBe(true)
    })

    test("lends its bytes to a borrower, where it can", async () => {
      const [opened, taken] = await openPair()
      const sent = randomBytes(3_000_000)
      taken.duplex.end(sent)
      const chunks: Uint8Array[] = []
      const ended = new Promise((resolve) => opened.duplex.once("end", resolve))
      const take = (bytes: Uint8Array) => {
        chunks.push(Uint8Array.from(bytes))
        if (chunks.length !== 3) return
        opened.duplex.pause()
        setTimeout(() => opened.duplex.resume(), 20)
      }
      if (opened.borrow === undefined) opened.duplex.on("data", take)
      else opened.borrow(take)
      await ended
      expect(opened.borrow !== undefined).toBe(opened.kind !== "libp2p")
      expect(sent.equals(Buffer.concat(chunks))).toBe(true)
    })

    test("asks a writer to wait while nobody reads", async () => {
      const [opened, taken] = await openPair()
      const chunk = new Uint8Array(256 * 1024)
      let written = 0
      const LIMIT_BYTES = 64 * 1024 * 1024
      while (written < LIMIT_BYTES) {
        written += chunk.length
        if (opened.duplex.write(chunk)) continue
        const drained = once(opened.duplex, "drain").then(() => true)
        const waited = new Promise<boolean>((resolve) => setTimeout(resolve, 150, false))
        if (!(await Promise.race([drained, waited]))) break
      }
      expect(written).toBeLessThan(LIMIT_BYTES)
      let received = 0
      taken.duplex.on("data", (bytes: Uint8Array) => {
        received += bytes.length
      })
      await until(() => received === written)
    })

    test("closes at the other side when one side is destroyed", async () => {
      const [opened, taken] = await openPair()
      taken.duplex.on("error", () => {}).resume()
      const closed = new Promise((resolve) => taken.duplex.once("close", resolve))
      opened.duplex.destroy()
      await closed
    })

    test("refuses a channel to a node that takes none", async () => {
      const [left, right] = await pair()
      await expect(left.openChannel(right.id, withSignal())).rejects.toMatchObject({
        code: "REQUEST_REFUSED",
      })
    })
  })

  describe(`${name}: bans`, () => {
    test("cuts connections and channels and lets the peer in no more", async () => {
      const [left, right] = await pair()
      const taken = new Promise<Channel>((resolve) => right.onChannel(resolve))
      const opened = await left.openChannel(right.id, withSignal())
      const channel = await taken
      const closed = [opened, channel].map(({ duplex }) => {
        duplex.on("error", () => {}).resume()
        return new Promise<void>((resolve) => duplex.once("close", resolve))
      })
      await right.ban(left.id, "sent bad bytes", 60_000)
      await Promise.all(closed)
      await until(() => left.peers().length === 0 && right.peers().length === 0)
      expect(right.bans()).toMatchObject([{ peer: left.id, reason: "sent bad bytes" }])
      await expect(right.dial(left.id, withSignal())).rejects.toMatchObject({
        code: "PEER_BANNED",
      })
      await expect(
        left.request(right.id, PROTOCOL, bytesOf("x"), withSignal()),
      ).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
      expect(right.peers()).toEqual([])
    })

    test("lets the peer in again when the time is over", async () => {
      const [left, right] = await pair()
      right.onRequest(PROTOCOL, async (body) => body)
      const target = right.addresses()[0]!
      await right.ban(left.id, "for a moment", 50)
      await until(() => left.peers().length === 0 && right.bans().length === 0)
      await left.dial(target, withSignal())
      const answer = await left.request(right.id, PROTOCOL, bytesOf("again"), withSignal())
      expect(textOf(answer)).toBe("again")
    })
  })

  describe(`${name}: gossip, DHT, signatures`, () => {
    test("publishes to those who listen, and names the author", async () => {
      const [left, right, third] = await nodes(3)
      const heard: string[] = []
      const listen = (node: PeerNetwork, who: string) =>
        node.subscribe("test-topic", (message, from) =>
          heard.push(`${who}: ${textOf(message)} by ${from}`),
        )
      listen(right!, "right")
      const leave = listen(third!, "third")
      leave()
      // A mesh needs a moment to form: publish until the first one is heard.
      for (let turn = 0; heard.length === 0 && turn < 200; turn++) {
        await left!.publish("test-topic", bytesOf("news"))
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
      expect(heard[0]).toBe(`right: news by ${left!.id}`)
      expect(heard.filter((line) => line.startsWith("third"))).toEqual([])
    })

    test("refuses to publish more than 64 KiB", async () => {
      const [left] = await nodes(1)
      await expect(left!.publish("test-topic", new Uint8Array(65_537))).rejects.toMatchObject({
        code: "PROTOCOL_VIOLATION",
      })
    })

    test("finds who provides a key", async () => {
      const [left, right] = await pair()
      const key = randomBytes(32)
      const find = async () => {
        const found: PeerId[] = []
        for await (const peer of left.findProviders(key, withSignal())) found.push(peer)
        return found
      }
      await right.provide(key, withSignal())
      // A DHT takes a moment to admit a new node: look until the first answer.
      let found: PeerId[] = []
      for (let turn = 0; found.length === 0 && turn < 100; turn++) {
        found = await find()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      expect(found).toEqual([right.id])
    })

    test("signs so that everybody can check it by the peer id", async () => {
      const [left, right] = await pair()
      const bytes = bytesOf("sealift/test/1 something")
      const signature = await left.sign(bytes)
      expect(signature.length).toBe(64)
      expect(await right.verify(left.id, bytes, signature)).toBe(true)
      expect(await right.verify(right.id, bytes, signature)).toBe(false)
      expect(await right.verify(left.id, bytesOf("something else"), signature)).toBe(false)
      expect(await right.verify(left.id, bytes, signature.subarray(1))).toBe(false)
    })
  })
}
