/**
 * A keeper of the gate: seals the last share of a release to one node, late, after a look at the
 * newest access list and at the plan (protocol/release.md §5, a gate's keeper).
 * @module
 */
import { rawOf } from "../core/digest.ts"
import { GATE } from "../core/name.ts"
import { untilAborted } from "../core/until-aborted.ts"
import type { AccessList } from "../fleet/access-list.ts"
import type { DeviceKey } from "../fleet/device.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { NodeKeys, StatedKey } from "../fleet/node-key-port.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { PeerId } from "../net/net.ts"
import { makeGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import { takeShare } from "../seal/share.ts"
import { addSignature, encodeEnvelope, envelopeOf } from "../trust/envelope.ts"
import { type PublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import { encodeStatement } from "../trust/statement.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { entriesOf } from "./audience-standing.ts"
import { type Decision, verifyApproved } from "./decision.ts"
import { ReleaseError } from "./errors.ts"
import type { GateAnswering, GateRequest } from "./gate-exchange.ts"
import { encodeGateGrant, GATE_GRANT_LIFE_MS_MAX } from "./gate-grant.ts"
import { nameOfRelease } from "./release.ts"
import type { KnownRelease, ReleaseBook } from "./releases.ts"

/** What started plans say of releases. */
export interface PlanView {
  /** Whether the wave of a node was released; undefined: no started plan names the release. */
  isReleased(release: KnownRelease, node: PeerId): boolean | undefined
}

/** A grant of the gate, for the audit: the giver notes it. */
export interface GrantNote {
  readonly release: KnownRelease
  readonly node: PeerId
  readonly device: PublicKey
  readonly atMs: number
}

export interface GateKeeperDeps {
  readonly book: ReleaseBook
  readonly fleet: Fleet
  readonly nodeKeys: NodeKeys
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
  /** The gate's device that is kept here; it may come while the node runs. */
  readonly device: () => DeviceKey | undefined
  /** Left out: no plan is started. */
  readonly plan?: PlanView | undefined
  readonly onGranted?: ((note: GrantNote) => void) | undefined
}

/** What a keeper looks at before it grants. */
interface Standing {
  readonly list: AccessList
  readonly nowMs: number
}

/** Approvals that others have are waited for this long before a node is refused. */
const GATHER_MS_MAX = 1_000

export class GateKeeper implements GateAnswering {
  readonly #deps: GateKeeperDeps

  constructor(deps: GateKeeperDeps) {
    this.#deps = deps
  }

  get isKeeper(): boolean {
    return this.#deps.device() !== undefined
  }

  /**
   * Answers a node that is connected.
   * @returns the envelope of a grant
   * @throws {@link ReleaseError} as `grant`; {@link FleetError} `NODE_KEY_INVALID`, and as
   * `SelfStanding.verify`
   */
  async answer({ release: named, statement }: GateRequest, peer: PeerId): Promise<Uint8Array> {
    const { book, nodeKeys } = this.#deps
    const release = book.find(named.asset)
    if (release?.release.digest !== named.digest) throw refused("no such release is known here")
    return await this.#grant(release, await nodeKeys.accept(statement), peer)
  }

  /**
   * Grants to a node by hand, or to this one.
   * @returns the envelope of a grant
   * @throws {@link ReleaseError} `GATE_REFUSED`, and as `verifyApproved`; {@link FleetError} as
   * `SelfStanding.verify`
   */
  async grantTo(
    release: KnownRelease,
    node: PeerId,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    const { nodeKeys, fleet } = this.#deps
    const isSelf = node === fleet.membership?.peer
    const key = isSelf ? await nodeKeys.own() : await nodeKeys.of(node, options)
    if (key === undefined) {
      throw refused(
        `no node here has a key of node ${node}: let it connect to one of the fleet once, bring its key by "sealift fleet node-key import", or check the id`,
      )
    }
    return await this.#grant(release, key, node)
  }

  async #grant(release: KnownRelease, key: StatedKey, node: PeerId): Promise<Uint8Array> {
    const device = this.#deps.device()
    if (device === undefined) throw refused("no device of the gate is kept on this node")
    if (key.peer !== node) throw refused(`a key of node ${key.peer}, and not of ${node}`)
    await this.#deps.self?.verify()
    const standing = await this.#verifyNode(release, node) // step 2
    this.#verifyPlan(release, node) // step 3
    verifyApproved(release.release.said, await this.#decide(release)) // step 1
    const envelope = await sealGrant(release, { device, key, ...standing }) // steps 4 and 5
    const note = { release, node, device: device.key, atMs: standing.nowMs }
    this.#deps.onGranted?.(note)
    return envelope
  }

  /** Step 1, last: an approval may be at the asker's already, and it is asked only for one who may. */
  async #decide(release: KnownRelease): Promise<Decision> {
    const { book } = this.#deps
    const decision = await book.decide(release)
    if (decision.kind !== "missing") return decision
    const signal = AbortSignal.timeout(GATHER_MS_MAX)
    await untilAborted(book.gather(release, { signal }), signal).catch(() => {})
    return await book.decide(release)
  }

  /** Step 2: by a list that is the newest for sure; one that merely has not expired may be old. */
  async #verifyNode({ release: { said } }: KnownRelease, node: PeerId): Promise<Standing> {
    const { fleet } = this.#deps
    const { membership } = fleet
    const access = membership?.access()
    const policy = await membership?.policy(said.asset.namespace)
    if (membership === undefined || access === undefined || policy === undefined) {
      throw refused("this node is in no fleet")
    }
    if (access.isStale || policy.isStale) throw refused("what is newest is not known any more")
    const { content, asset } = said
    if (content.visibility !== "sealed") throw refused("the release is not sealed")
    const entries = entriesOf(content.sealed.fields.audience, access.list, node)
    if (entries.length === 0) throw refused(`node ${node} is not in the audience`)
    if (!fleet.may(node, "open", asset.namespace)) {
      throw refused(`node ${node} may not open in ${asset.namespace}`)
    }
    return { list: access.list, nowMs: membership.nowMs() }
  }

  /** Step 3. */
  #verifyPlan(release: KnownRelease, node: PeerId): void {
    const { content, asset } = release.release.said
    const isReleased = this.#deps.plan?.isReleased(release, node)
    const isHeld = content.visibility === "sealed" && content.sealed.fields.gate === "hold"
    if (isReleased ?? !isHeld) return
    const wait = isReleased === undefined ? "a plan is started" : "its wave is released"
    throw refused(`${formatAssetVersion(asset)} is held for node ${node} until ${wait}`)
  }
}

async function sealGrant(
  { release }: KnownRelease,
  { device, key, list, nowMs }: Standing & { readonly device: DeviceKey; readonly key: StatedKey },
): Promise<Uint8Array> {
  const { said, digest } = release
  if (said.content.visibility !== "sealed") throw refused("the release is not sealed")
  const taker = { device: rawOfPublicKey(device.key), secret: device.exportIdentity() }
  const taken = await takeShare(said.content.sealed, taker)
  try {
    if (taken.holder !== GATE) throw refused("the device that is kept here is not the gate's")
    const notAfterMs = Math.min(nowMs + GATE_GRANT_LIFE_MS_MAX, said.expiresAtMs)
    const terms = { release: rawOf(digest), recipient: key.recipient, notAfter: notAfterMs }
    const draft = encodeGateGrant({
      fleet: said.fleet,
      release: nameOfRelease(release),
      device: device.key,
      node: key.peer,
      access: { version: list.version, digest: list.digest },
      issuedAtMs: nowMs,
      notAfterMs,
      file: await makeGrant(taken, terms),
    })
    const envelope = envelopeOf(encodeStatement(draft))
    return encodeEnvelope(await addSignature(envelope, device.signing))
  } finally {
    erase([taken.share])
  }
}

function refused(reason: string): ReleaseError {
  return new ReleaseError("GATE_REFUSED", reason)
}
