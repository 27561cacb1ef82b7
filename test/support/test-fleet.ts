/** What a fleet tells the network, said by a test: who is admitted, and which invites are open. */
import { randomBytes } from "node:crypto"
import type { Admission, InviteKeys, PeerId } from "../../src/net/net.ts"

/** A fleet that is what the test makes it. */
export class TestAdmission implements Admission {
  readonly members: Set<PeerId>
  isIn: boolean
  onAsked: (peer: PeerId) => void = () => {}

  constructor(options: { isIn?: boolean; members?: readonly PeerId[] } = {}) {
    this.isIn = options.isIn ?? true
    this.members = new Set(options.members)
  }

  isFleet(): boolean {
    return this.isIn
  }

  isAdmitted(peer: PeerId): boolean {
    this.onAsked(peer)
    return this.members.has(peer)
  }
}

/** Invites in memory, each redeemed once. */
export class TestInvites implements InviteKeys {
  readonly keys: Map<string, Uint8Array> = new Map()
  readonly redeemed: string[] = []

  /** Opens an invite. */
  add(): { id: string; key: Uint8Array } {
    const invite = { id: randomBytes(16).toString("hex"), key: Uint8Array.from(randomBytes(32)) }
    this.keys.set(invite.id, invite.key)
    return invite
  }

  keyOf(id: string): Uint8Array | undefined {
    return this.keys.get(id)
  }

  async redeem(id: string): Promise<boolean> {
    this.redeemed.push(id)
    return this.keys.delete(id)
  }
}
