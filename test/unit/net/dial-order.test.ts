import type { Connection } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { multiaddr } from "@multiformats/multiaddr"
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type DialingNode, dialPeer } from "../../../src/net/dial-order.ts"
import { createIdentity } from "../../../src/net/identity.ts"

const ID = createIdentity().id
const RELAY = createIdentity().id
const DIRECT = ["/ip4/192.168.1.2/tcp/7071", `/ip4/172.17.0.1/tcp/7071/p2p/${ID}`]
const BEHIND = `/ip4/203.0.113.1/tcp/7071/p2p/${RELAY}/p2p-circuit`
const CONNECTION = {} as unknown as Connection

/** A node that knows addresses; `dial` says what happens at each turn. */
function startNode(known: readonly string[], ...turns: ("open" | "silent" | "refused")[]) {
  const dialled: string[][] = []
  const node: DialingNode = {
    peerStore: {
      async get() {
        if (known.length === 0) throw new Error("not found")
        const addresses = known.map((text) => ({ multiaddr: multiaddr(text), isCertified: false }))
        return { addresses }
      },
    },
    dial(to, { signal }) {
      dialled.push((Array.isArray(to) ? to : [to]).map(String))
      const turn = turns.shift()
      if (turn === "open") return Promise.resolve(CONNECTION)
      if (turn === "refused") return Promise.reject(new Error("refused"))
      return new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason))
      })
    },
  }
  const clock = new VirtualClock()
  const dial = (signal?: AbortSignal) => dialPeer({ node, clock }, peerIdFromString(ID), signal)
  return { clock, dialled, dial }
}

const whole = (text: string) => (text.endsWith(`/p2p/${ID}`) ? text : `${text}/p2p/${ID}`)

describe("dialling a peer", () => {
  test("goes to its own addresses, and not to the relay when they lead there", async () => {
    const { dial, dialled } = startNode([...DIRECT, BEHIND], "open")
    expect(await dial()).toBe(CONNECTION)
    expect(dialled).toEqual([DIRECT.map(whole)])
  })

  test("turns to the relay after a moment when nothing answers, and at once when refused", async () => {
    const silent = startNode([...DIRECT, BEHIND], "silent", "open")
    const dialling = silent.dial()
    await silent.clock.advance(1_499)
    expect(silent.dialled).toHaveLength(1)
    await silent.clock.advance(1)
    expect(await dialling).toBe(CONNECTION)
    expect(silent.dialled[1]).toEqual([whole(BEHIND)])
    const refused = startNode([...DIRECT, BEHIND], "refused", "open")
    expect(await refused.dial()).toBe(CONNECTION)
  })

  test.each([
    { what: "nothing", known: [] },
    { what: "no relay", known: DIRECT },
    { what: "nothing but a relay", known: [BEHIND] },
  ])("is left to libp2p when $what is known", async ({ known }) => {
    const { dial, dialled } = startNode(known, "open")
    await dial()
    expect(dialled).toEqual([[ID]])
  })

  test("ends with the signal's own reason, without asking the relay", async () => {
    const { dial, dialled } = startNode([...DIRECT, BEHIND], "silent")
    const controller = new AbortController()
    const dialling = dial(controller.signal)
    const reason = new Error("enough")
    setImmediate(() => controller.abort(reason))
    await expect(dialling).rejects.toBe(reason)
    expect(dialled).toHaveLength(1)
  })
})
