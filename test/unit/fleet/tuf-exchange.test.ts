/** TUF files between nodes: how fast they spread, and what a peer that lies achieves. */
import { afterEach, describe, expect, test } from "vitest"
import { encodeJson } from "../../../src/core/json.ts"
import { peerSource } from "../../../src/fleet/peer-source.ts"
import { encodeNews, TUF_PROTOCOL, TUF_TOPIC } from "../../../src/fleet/tuf-message.ts"
import { eventually, type FleetNode, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
afterEach(() => world.close())

const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const versionAt = (node: FleetNode) => node.fleet.membership?.access()?.list.version ?? 0

test("a list that was signed reaches nodes which the desk does not know, by those between", async () => {
  world = new FleetWorld({ latencyMs: 2 })
  const { first, nodes } = await world.chain({ nodes: 4, width: 2 })
  const { accessVersion } = await first.desk.revoke([OTHER])
  await eventually(() => nodes.every((node) => versionAt(node) === accessVersion))
})

describe("between two nodes", () => {
  test("what came while they were apart is fetched when they meet, and told on", async () => {
    world = new FleetWorld()
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    const third = await world.joiner(first, "third")
    await eventually(() => versionAt(second) === 3)
    world.hub.partition([[first.net.id], [second.net.id, third.net.id]])
    await first.desk.revoke([OTHER])
    expect([versionAt(second), versionAt(third)]).toEqual([3, 3])
    world.hub.heal()
    world.hub.connect(second.net.id, third.net.id)
    world.hub.connect(first.net.id, second.net.id)
    await eventually(() => versionAt(second) === 4 && versionAt(third) === 4)
  })

  test("a file is refused that is not there, too large, or no name", async () => {
    world = new FleetWorld()
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    world.hub.connect(first.net.id, second.net.id)
    const source = peerSource({ net: second.net, clock: world.clock }, first.net.id)
    expect(await source.read("metadata/9.root.json", { bytesMax: 9 })).toBeUndefined()
    await expect(source.read("metadata/timestamp.json", { bytesMax: 9 })).rejects.toThrow(
      expect.objectContaining({ code: "TUF_TOO_LARGE" }),
    )
    const ask = (request: unknown) =>
      second.net.request(first.net.id, TUF_PROTOCOL, encodeJson(request as never), {
        signal: AbortSignal.timeout(1_000),
      })
    for (const name of [
      "../keys/root.key",
      "/etc/passwd",
      "",
      "trusted/root.json",
      "accepted.json",
    ]) {
      await expect(ask({ name, bytesMax: 4096 })).rejects.toThrow(
        expect.objectContaining({ details: { code: "TUF_FILE_UNKNOWN" } }),
      )
    }
  })

  test("news of what a peer does not have are followed once, and keep nothing else waiting", async () => {
    world = new FleetWorld()
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    const liar = await world.joiner(first, "liar")
    world.hub.connectAll()
    await eventually(() => versionAt(second) === 3)
    let asked = 0
    liar.net.onRequest(TUF_PROTOCOL, async () => {
      asked++
      return encodeJson({ signed: { version: 9_000 + asked } })
    })
    const { fleet } = first.fleet.membership!
    for (let timestamp = 9_001; timestamp < 9_020; timestamp++) {
      await liar.net.publish(TUF_TOPIC, encodeNews({ fleet, timestamp }))
    }
    await first.desk.revoke([OTHER])
    await eventually(() => versionAt(second) === 4)
    // Two nodes ask for the timestamp and a root, when they hear and when they connect; of 19 news.
    expect(asked).toBeLessThanOrEqual(8)
    expect(first.fleet.membership!.newest).toBe(second.fleet.membership!.newest)
  })
})
