/** What every adapter of `PeerNetwork` does in a fleet: whom it admits, whom it keeps, who joins. */
import { randomBytes } from "node:crypto"
import { afterEach, describe, expect, test } from "vitest"
import type { Channel, PeerNetwork } from "../../src/net/net.ts"
import { TestAdmission, TestInvites } from "../support/test-fleet.ts"
import { bytesOf, type NetworkWorld, textOf, until, withSignal } from "./peer-network.ts"

const PROTOCOL = "/sealift/test/1"
const unreachable = { code: "PEER_UNREACHABLE" }
const refused = { code: "INVITE_REFUSED" }

/** Runs the suite on one adapter. */
export function testPeerAdmission(name: string, createWorld: () => Promise<NetworkWorld>): void {
  const worlds: NetworkWorld[] = []
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close()
  })

  async function newWorld(): Promise<NetworkWorld> {
    const world = await createWorld()
    worlds.push(world)
    return world
  }

  /** A node of a fleet, one that it admits and one that it does not; nobody is connected. */
  async function trio() {
    const world = await newWorld()
    const admission = new TestAdmission()
    const node = await world.join({ admission })
    const [member, stranger] = [await world.join(), await world.join()]
    admission.members.add(member.id)
    const dial = (from: PeerNetwork, to: PeerNetwork) => from.dial(world.targetOf(to), withSignal())
    return { world, admission, node, member, stranger, dial }
  }

  describe(`${name}: admission`, () => {
    test("gives a stranger nothing but a closed connection, whoever dials", async () => {
      const { node, member, stranger, dial } = await trio()
      const seen: string[] = []
      node.onConnect(({ id }) => seen.push(id))
      await expect(dial(stranger, node)).rejects.toMatchObject(unreachable)
      await expect(dial(node, stranger)).rejects.toMatchObject(unreachable)
      await dial(member, node)
      await until(() => node.peers().length === 1 && stranger.peers().length === 0)
      expect(seen).toEqual([member.id])
    })

    test("never counts as connected where it is not let in, so that nothing asks again", async () => {
      const { node, stranger, dial } = await trio()
      let connected = 0
      stranger.onConnect(({ id }) => {
        connected++
        stranger.request(id, PROTOCOL, new Uint8Array(), withSignal()).catch(() => {})
      })
      for (let count = 0; count < 3; count++) {
        await expect(dial(stranger, node)).rejects.toMatchObject(unreachable)
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect([connected, stranger.peers()]).toEqual([0, []])
    })

    test("lets everybody in without a fleet", async () => {
      const { node, admission, stranger, dial } = await trio()
      admission.isIn = false
      await dial(stranger, node)
      await until(() => node.peer(stranger.id) !== undefined)
    })

    test("lets a peer in as soon as it is admitted", async () => {
      const { node, admission, stranger, dial } = await trio()
      await expect(dial(stranger, node)).rejects.toMatchObject(unreachable)
      admission.members.add(stranger.id)
      await dial(stranger, node)
      await until(() => node.peer(stranger.id) !== undefined)
    })

    test("cuts a running channel, the requests and the connection of who is admitted no more", async () => {
      const { node, admission, member, stranger, dial } = await trio()
      admission.members.add(stranger.id)
      for (const other of [member, stranger]) await dial(other, node)
      await until(() => node.peers().length === 2)
      const signals: AbortSignal[] = []
      node.onRequest(PROTOCOL, async (body, { signal }) => {
        signals.push(signal)
        return body.length > 0 ? body : new Promise(() => {})
      })
      const asked = stranger.request(node.id, PROTOCOL, new Uint8Array(), withSignal())
      const failed = expect(asked).rejects.toMatchObject(unreachable)
      const taken: Channel[] = []
      node.onChannel((channel) => taken.push(channel))
      for (const other of [member, stranger]) await other.openChannel(node.id, withSignal())
      await until(() => taken.length === 2 && signals.length === 1)
      const [kept, cut] = taken as [Channel, Channel]
      pump(cut)

      admission.members.delete(stranger.id)
      const beganMs = performance.now()
      await node.recheck()
      expect(performance.now() - beganMs).toBeLessThan(1_000)
      expect([cut.duplex.destroyed, kept.duplex.destroyed]).toEqual([true, false])
      await failed
      await until(() => stranger.peers().length === 0 && signals[0]!.aborted)
      expect(node.peers().map(({ id }) => id)).toEqual([member.id])
      await expect(stranger.openChannel(node.id, withSignal())).rejects.toMatchObject(unreachable)
      const still = await member.request(node.id, PROTOCOL, bytesOf("still"), withSignal())
      expect(textOf(still)).toBe("still")
    })

    test("cuts off everybody else when the node comes to be in a fleet", async () => {
      const { node, admission, member, stranger, dial } = await trio()
      admission.isIn = false
      for (const other of [member, stranger]) await dial(node, other)
      await until(() => node.peers().length === 2)
      admission.isIn = true
      await node.recheck()
      await until(() => node.peers().length === 1 && stranger.peers().length === 0)
      expect(node.peer(member.id)).toBeDefined()
    })

    test("does not hear a stranger's gossip that a member passes on", async () => {
      const { node, member, stranger, dial } = await trio()
      await dial(member, node)
      await dial(stranger, member)
      const heard: string[] = []
      let isPassed = false
      node.subscribe("test-topic", (_message, from) => heard.push(from))
      member.subscribe("test-topic", () => {
        isPassed = true
      })
      const publishUntil = async (from: PeerNetwork, isDone: () => boolean) => {
        // A mesh needs a moment to form.
        for (let turn = 0; !isDone() && turn < 200; turn++) {
          await from.publish("test-topic", bytesOf("news"))
          await new Promise((resolve) => setTimeout(resolve, 25))
        }
      }
      await publishUntil(stranger, () => isPassed)
      await publishUntil(member, () => heard.length > 0)
      expect(new Set(heard)).toEqual(new Set([member.id]))
    })

    test("has no work after the network stopped", async () => {
      const { node } = await trio()
      await node.stop()
      await node.recheck()
      expect(() => node.keep(`/p2p/${node.id}`)).toThrow(
        expect.objectContaining({ code: "NETWORK_STOPPED" }),
      )
    })
  })

  describe(`${name}: keeping`, () => {
    test("connects to a peer that is kept, and again when it was lost", async () => {
      const world = await newWorld()
      const [node, other] = [await world.join(), await world.join()]
      let connected = 0
      node.onConnect(() => connected++)
      for (let count = 0; count < 3; count++) node.keep(world.targetOf(other))
      await until(() => connected === 1 && other.peers().length === 1)
      await other.disconnect(node.id)
      await until(() => connected === 2)
      expect(node.peer(other.id)?.sources.has("configured")).toBe(true)
    })

    test("begins with a kept peer once it is admitted", async () => {
      const { world, node, admission, stranger } = await trio()
      node.keep(world.targetOf(stranger))
      await expect(node.dial(stranger.id, withSignal())).rejects.toMatchObject(unreachable)
      admission.members.add(stranger.id)
      await until(() => node.peer(stranger.id) !== undefined)
    })

    test("refuses an address that is none", async () => {
      const node = await (await newWorld()).join()
      const invalid = expect.objectContaining({ code: "ADDRESS_INVALID" })
      expect(() => node.keep("/nonsense")).toThrow(invalid)
    })
  })

  describe(`${name}: joining by invite`, () => {
    /** An issuer that admits nobody, and a newcomer. */
    async function meeting() {
      const world = await newWorld()
      const issuer = await world.join({ admission: new TestAdmission() })
      const newcomer = await world.join()
      const invites = new TestInvites()
      const asked: string[] = []
      issuer.onJoin(invites, async (request, { id }) => {
        asked.push(id)
        return bytesOf(`welcome, ${textOf(request)}`)
      })
      const addresses = [world.targetOf(issuer)]
      const join = (invite: { id: string; key: Uint8Array }, more: { addresses?: string[] } = {}) =>
        newcomer.join({ addresses, ...invite, ...more }, bytesOf("newcomer"), withSignal())
      return { world, issuer, newcomer, invites, asked, addresses, join }
    }

    test("gives one answer to one request of a node that is not admitted", async () => {
      const { issuer, newcomer, invites, asked, join } = await meeting()
      const invite = invites.add()
      expect(textOf(await join(invite))).toBe("welcome, newcomer")
      expect([asked, invites.redeemed]).toEqual([[invite.id], [invite.id]])
      expect([issuer.peers(), newcomer.peers()]).toEqual([[], []])
    })

    test("refuses an invite that was used", async () => {
      const { invites, asked, join } = await meeting()
      const invite = invites.add()
      await join(invite)
      await expect(join(invite)).rejects.toMatchObject(refused)
      expect(asked.length).toBe(1)
    })

    test("refuses an invite that is unknown, and uses none up for a wrong key", async () => {
      const { invites, asked, join } = await meeting()
      const invite = invites.add()
      const key = Uint8Array.from(randomBytes(32))
      await expect(join({ ...invite, key })).rejects.toMatchObject(refused)
      await expect(join({ ...invite, id: "0".repeat(32) })).rejects.toMatchObject(refused)
      expect([asked, invites.redeemed]).toEqual([[], []])
      await join(invite)
    })

    test("lets one of two win that use an invite at the same moment", async () => {
      const { invites, asked, join } = await meeting()
      const invite = invites.add()
      const both = await Promise.allSettled([join(invite), join(invite)])
      expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"])
      expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: refused })
      expect(asked.length).toBe(1)
    })

    test("asks nothing once the invite cannot be redeemed", async () => {
      const { invites, asked, join } = await meeting()
      invites.redeem = async () => false
      await expect(join(invites.add())).rejects.toMatchObject(refused)
      invites.redeem = async () => {
        throw new Error("the disk is full")
      }
      await expect(join(invites.add())).rejects.toMatchObject(refused)
      expect(asked).toEqual([])
    })

    test("tells the newcomer nothing of what the issuer objects to", async () => {
      const { issuer, invites, join } = await meeting()
      issuer.onJoin(invites, async () => {
        throw new Error("a secret")
      })
      const error = await join(invites.add()).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(refused)
      expect(String(error)).not.toContain("secret")
    })

    test("refuses what a node gets that gave no invites, and says when nobody is there", async () => {
      const { world, invites, join } = await meeting()
      const other = await world.join()
      const addresses = [world.targetOf(other)]
      await expect(join(invites.add(), { addresses })).rejects.toMatchObject(refused)
      await other.stop()
      await expect(join(invites.add(), { addresses })).rejects.toMatchObject(unreachable)
      await expect(join(invites.add(), { addresses: [] })).rejects.toMatchObject(unreachable)
    })

    test("tries the addresses in order until one leads to the issuer", async () => {
      const { world, invites, addresses, join } = await meeting()
      const [gone, other] = [await world.join(), await world.join()]
      const all = [world.targetOf(gone), world.targetOf(other), "/nonsense", ...addresses]
      await gone.stop()
      expect(textOf(await join(invites.add(), { addresses: all }))).toBe("welcome, newcomer")
    })

    test("carries the largest request, and refuses a larger one before it is sent", async () => {
      const { issuer, newcomer, invites, addresses } = await meeting()
      issuer.onJoin(invites, async (request) => request)
      const target = () => ({ addresses, ...invites.add() })
      const largest = randomBytes(16 * 1024)
      const answer = await newcomer.join(target(), largest, withSignal())
      expect(largest.equals(answer)).toBe(true)
      for (const sizeBytes of [0, largest.length + 1]) {
        const join = newcomer.join(target(), new Uint8Array(sizeBytes), withSignal())
        await expect(join).rejects.toThrow(TypeError)
      }
    })

    test("ends with the signal's own reason", async () => {
      const { issuer, newcomer, invites, addresses } = await meeting()
      issuer.onJoin(invites, () => new Promise(() => {}))
      const controller = new AbortController()
      const reason = new Error("no longer wanted")
      const joining = newcomer.join({ addresses, ...invites.add() }, bytesOf("x"), controller)
      setTimeout(() => controller.abort(reason), 20)
      await expect(joining).rejects.toBe(reason)
      const late = newcomer.join({ addresses, ...invites.add() }, bytesOf("x"), controller)
      await expect(late).rejects.toBe(reason)
    })
  })
}

/** Writes without end. */
function pump({ duplex }: Channel): void {
  duplex.on("error", () => {})
  const write = () => {
    while (!duplex.destroyed && duplex.write(new Uint8Array(64 * 1024)));
  }
  duplex.on("drain", write)
  write()
}
