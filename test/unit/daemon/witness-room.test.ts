/** Witnesses among the nodes of one fleet in memory: whom each cosigns for, and what a fleet's list does. */
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { NodeLog } from "../../../src/audit/node-log.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { startWitnesses, type WitnessRoom } from "../../../src/daemon/witness-room.ts"
import { requestRefused } from "../../../src/net/errors.ts"
import { createIdentity, isSignedBy, publicKeyOf } from "../../../src/net/identity.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { eventually, type FleetNode, FleetWorld } from "../fleet/fleet-world.ts"

const never = { signal: new AbortController().signal }
const coded = (code: string) => expect.objectContaining({ code })

interface Room extends WitnessRoom {
  readonly node: FleetNode
  readonly audit: NodeLog
}

let world: FleetWorld
let undo: AsyncDisposableStack
beforeEach(() => {
  world = new FleetWorld()
  undo = new AsyncDisposableStack()
})
afterEach(async () => {
  await undo.disposeAsync()
  await world.close()
})

const logOf = (net: PeerNetwork, folder: string) =>
  NodeLog.open(
    {
      clock: world.clock,
      log: silentLogger,
      signer: {
        peer: net.id,
        publicKey: publicKeyOf(net.id),
        sign: (bytes) => net.sign(bytes),
        verify: async (bytes, signature) => isSignedBy(net.id, bytes, signature),
      },
    },
    { folder, quotaBytes: 1_000_000 },
  )

async function room(node: FleetNode, name: string): Promise<Room> {
  const data = join(world.root, name)
  const audit = await logOf(node.net, join(data, "log"))
  await audit.append({ event: "log.begun", facts: { after: "nothing" } })
  const { net, fleet, home } = node
  const deps = { clock: world.clock, log: silentLogger, undo, net, fleet, home, audit }
  return { ...(await startWitnesses(deps, { data })), node, audit }
}

async function rooms(...names: readonly string[]): Promise<readonly Room[]> {
  const first = await world.founder()
  const others: FleetNode[] = []
  for (const name of names) others.push(await world.joiner(first, name))
  world.hub.connectAll()
  const all = [await room(first, "first")]
  for (const [index, node] of others.entries()) all.push(await room(node, names[index]!))
  return all
}

async function nameThem(desk: FleetNode, all: readonly Room[]): Promise<void> {
  const nodes = all.map(({ node }) => ({ peer: node.net.id }))
  const { version } = await desk.desk.setWitnesses({ nodes })
  const isKnown = ({ node }: Room) => node.fleet.membership?.witnesses()?.version === version
  await eventually(() => all.every(isKnown))
}

describe("nodes of a fleet", () => {
  test("cosign one another's logs, and learn from it what time it is", async () => {
    const all = await rooms("second", "third", "fourth")
    await nameThem(all[0]!.node, all)
    for (const { cosigner } of all) await cosigner.cosign(never)
    for (const { cosigner, node } of all) {
      await eventually(() => cosigner.outcomes.length === 4)
      expect(cosigner.outcomes.map(({ code }) => code)).toEqual(Array(4).fill(undefined))
      const { floorMs, saidMs } = node.fleet.membership!.time
      expect(Math.abs(floorMs! - world.clock.now())).toBeLessThan(60_000)
      // What it says itself is no second opinion.
      expect(saidMs.size).toBe(3)
    }
  })

  test("that are no witnesses cosign nothing, and are asked for nothing", async () => {
    const [first, second] = await rooms("second")
    await expect(first!.cosigner.cosign(never)).rejects.toThrow(coded("WITNESSES_MISSING"))
    await nameThem(first!.node, [first!])
    await eventually(() => second!.node.fleet.membership?.witnesses() !== undefined)
    expect((await second!.cosigner.cosign(never)).cosignatures.length).toBe(1)
    const request = { oldSize: 0, proof: [], checkpoint: first!.audit.checkpoint }
    const asking = first!.exchange.ask(second!.node.net.id, request, never)
    await expect(asking).rejects.toThrow(requestRefused("WITNESS_LOG_UNKNOWN").message)
  })

  test("cosign for no node that was revoked, or is of another fleet, not even by another's mouth", async () => {
    const [first, second, third] = await rooms("second", "third")
    await nameThem(first!.node, [first!, second!])
    const request = { oldSize: 0, proof: [], checkpoint: third!.audit.checkpoint }
    const { id } = second!.node.net
    expect(await first!.exchange.ask(id, request, never)).toMatchObject({ kind: "cosigned" })
    await first!.node.desk.revoke([third!.node.net.id])
    const isCut = () => !second!.node.fleet.isAdmitted(third!.node.net.id)
    await eventually(isCut)
    const refused = requestRefused("WITNESS_LOG_UNKNOWN").message
    await expect(first!.exchange.ask(id, request, never)).rejects.toThrow(refused)
    const stranger = createIdentity()
    const strange = await logOf(
      { id: stranger.id, sign: async (bytes: Uint8Array) => stranger.sign(bytes) } as PeerNetwork,
      join(world.root, "stranger"),
    )
    const asking = first!.exchange.ask(id, { ...request, checkpoint: strange.checkpoint }, never)
    await expect(asking).rejects.toThrow(refused)
  })

  test("ask only so often", async () => {
    const [first, second] = await rooms("second")
    await nameThem(first!.node, [first!, second!])
    const request = { oldSize: 0, proof: [], checkpoint: first!.audit.checkpoint }
    const asks = Array.from({ length: 70 }, () =>
      first!.exchange.ask(second!.node.net.id, request, never),
    )
    const outcomes = await Promise.allSettled(asks)
    expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0)
  })

  test("go on as witnesses after a restart, and remember", async () => {
    const [first, second] = await rooms("second")
    await nameThem(first!.node, [first!, second!])
    await second!.cosigner.cosign(never)
    await undo.disposeAsync()
    undo = new AsyncDisposableStack()
    await second!.node.stop()
    const node = await world.node("second")
    const again = await room(node, "second")
    world.hub.connect(first!.node.net.id, node.net.id)
    await room(first!.node, "first").then(({ cosigner }) => cosigner.cosign(never))
    expect((await again.cosigner.cosign(never)).size).toBe(2)
  })
})
