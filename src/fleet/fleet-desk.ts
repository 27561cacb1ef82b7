/**
 * The port to the acts of a fleet's operator, on a node that has the keys for them
 * (adapter: `administration.ts`, protocol/fleet.md §5).
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import type { Labels } from "./access-field.ts"
import type { RuleText } from "./access-rule.ts"
import type { DevicePublic } from "./device.ts"
import type { FoundingRequest } from "./founding-by-draft.ts"
import type { Holding } from "./role-holding.ts"
import type { Rotation } from "./role-rotation.ts"

/** What became of an act: the version of the file that now counts. */
export interface FleetReceipt {
  readonly fleet: string
  readonly accessVersion: number
}

/** A fleet as its node sees it. */
export interface FleetReport {
  readonly fleet: string
  readonly name: string
  readonly peer: PeerId
  /** SHA-256 over fleet and peer in 8 groups of 4 hex digits (protocol/fleet.md §4). */
  readonly fingerprint: string
  readonly accessVersion: number
  readonly isStale: boolean
  /** Whether the newest list names this node. */
  readonly isEnrolled: boolean
  /** Roles whose keys lie here: `root`, `targets`, `desk`, `access`, `plan`, `releases.NAMESPACE`. */
  readonly roles: readonly string[]
  /** Who signs for root, targets, desk, access and plan: how many of how many keys, and how many of them are here. */
  readonly holders: readonly {
    readonly role: string
    readonly threshold: number
    readonly keys: readonly string[]
    readonly here: number
  }[]
  readonly nodes: readonly {
    readonly peer: PeerId
    readonly groups: readonly string[]
    readonly labels: Labels
    readonly isAnchor: boolean
    readonly isConnected: boolean
  }[]
  readonly groups: readonly {
    readonly name: string
    readonly epoch: number
    readonly size: number
  }[]
  readonly rules: readonly RuleText[]
  readonly revoked: readonly PeerId[]
  /** When what it says runs out, milliseconds since 1970; `warning` from half of its life on. */
  readonly lifetimes: readonly {
    readonly role: string
    readonly expiresAtMs: number
    readonly warning?: string
  }[]
  /** Public key of the gate's device that this node keeps. */
  readonly gateDevice?: PublicKey
  /** What should be kept otherwise, in lines for people (`gate-warning.ts`). */
  readonly warnings: readonly string[]
}

/** A device that a policy shall name. */
export interface NamedDevice extends DevicePublic {
  /** It is kept apart, for the loss of another one. */
  readonly isRecovery?: boolean
}

/** What a namespace asks of its releases. */
export interface PolicyRequest {
  readonly namespace: string
  readonly parties: readonly {
    readonly name: string
    readonly threshold: number
    readonly devices: readonly NamedDevice[]
  }[]
  /** Devices of the gate; undefined: those of this node, or as they are. */
  readonly gate?: { readonly threshold: number; readonly devices: readonly NamedDevice[] }
  readonly inspectors?: readonly string[]
  readonly allowsClassical?: boolean
  readonly allowsNoGate?: boolean
  /** Keep the releases of the version before openable. */
  readonly keepsOpenable?: boolean
}

/** What was set. */
export interface PolicyReceipt {
  readonly namespace: string
  readonly version: number
  readonly digest: string
  readonly parties: readonly string[]
  readonly gateDevices: number
}

/** Who shall cosign the fleet's logs, and say what time it is. */
export interface WitnessRequest {
  /** A node is asked for its key unless that is given. */
  readonly nodes: readonly { readonly peer: PeerId; readonly key?: PublicKey | undefined }[]
  /** How many must cosign; undefined: the fewest that stop two views of one log. */
  readonly threshold?: number | undefined
}

/** Who was named. */
export interface WitnessReceipt extends Omit<WitnessList, "fleet"> {
  readonly digest: string
}

/** One line for a new node. */
export interface InviteReceipt {
  /** `sealift-invite-1.…` */
  readonly token: string
  readonly expiresAtMs: number
  /** The group is in no list yet: it is made when the node joins. Left out: no. */
  readonly isNewGroup?: boolean
}

/** A role that has a new key. */
export interface RotationReceipt extends FleetReceipt {
  readonly role: string
  /** The public key that counts now. */
  readonly key: string
}

/** What is drafted for keys that lie elsewhere. */
export type DraftRequest = ChangeRequest | ({ readonly act: "found" } & FoundingRequest)

/** A change of a fleet that there is. */
export type ChangeRequest =
  | ({ readonly act: "hold" } & Holding)
  /** Root and targets say what they said, for a longer time. */
  | { readonly act: "renew" }
  | ({ readonly act: "policy" } & PolicyRequest)
  | ({ readonly act: "witness" } & WitnessRequest)

/** A draft that counts now. */
export interface DraftReceipt extends FleetReceipt {
  /** The roles whose files it has changed. */
  readonly roles: readonly string[]
}

/** The acts. Each is checked, signed, published, mirrored and told to the peers before it resolves. */
export interface FleetDesk {
  /**
   * Makes this node a one-person fleet's root, desk, access role and anchor.
   * @throws FleetError `FLEET_EXISTS`
   */
  init(request: { readonly name: string }): Promise<FleetReport>
  /** @throws FleetError `NOT_ENROLLED` without a fleet */
  report(): Promise<FleetReport>
  /** @throws FleetError `ROLE_KEY_MISSING` naming the key, where it lies, and who can do it instead */
  invite(request: {
    readonly group?: string
    readonly labels?: Labels
    readonly lifeMs: number
  }): Promise<InviteReceipt>
  /** Joins by a token. @throws FleetError `INVITE_REFUSED`, `FLEET_EXISTS` */
  join(token: string, options: { signal: AbortSignal }): Promise<FleetReport>
  /**
   * Joins by the fleet's files, as `fleet export` writes them, where nobody can be reached.
   * @param fleet - its id, which the files are checked against
   * @throws FleetError `FLEET_EXISTS`, `NOT_ENROLLED`; TrustError `FLEET_WRONG`
   */
  joinByFiles(
    fleet: string,
    files: readonly NamedBytes[],
    options: { signal: AbortSignal },
  ): Promise<FleetReport>
  admit(request: {
    readonly peer: PeerId
    readonly groups: readonly string[]
    readonly labels: Labels
    readonly isAnchor?: boolean
  }): Promise<FleetReceipt>
  revoke(peers: readonly PeerId[]): Promise<FleetReceipt>
  addToGroup(group: string, peers: readonly PeerId[]): Promise<FleetReceipt>
  removeFromGroup(group: string, peers: readonly PeerId[]): Promise<FleetReceipt>
  /** @throws FleetError `FLEET_REQUEST_INVALID`, `GROUP_UNKNOWN`, `PEER_UNKNOWN` */
  addRule(rule: RuleText): Promise<FleetReceipt>
  /** @throws FleetError `FLEET_REQUEST_INVALID` when there is no such rule */
  removeRule(rule: RuleText): Promise<FleetReceipt>
  setPolicy(request: PolicyRequest): Promise<PolicyReceipt>
  /**
   * Names the witnesses, all of them.
   * @throws FleetError `PEER_UNKNOWN`, `WITNESS_KEY_REFUSED`; TrustError `WITNESSES_INVALID`
   */
  setWitnesses(request: WitnessRequest): Promise<WitnessReceipt>
  /** Gives the key by which this node cosigns, which is made when there is none. */
  witnessKey(): Promise<PublicKey>
  /**
   * Signs and publishes a target file of a role whose keys lie here, such as a release.
   * @param options - `drop`: paths of the same role that are not listed any more, such as those of
   * releases that have ended
   */
  publishTarget(
    path: string,
    bytes: Uint8Array,
    options?: { readonly drop?: readonly string[] },
  ): Promise<void>
  /**
   * Publishes what was signed elsewhere for a delegated role, over what is newest then.
   * @param make - gives what is published; it throws when that was not signed enough, or for something
   * older
   */
  publishSigned(make: (newest: FleetRepository) => Promise<FleetChange>): Promise<void>
  /** Signs for a role whose key lies here: gives its envelope signers. */
  signersOf(role: string): Promise<readonly Signer[]>
  /** Signs every file of this node's roles anew, before it runs out. */
  renew(): Promise<FleetReceipt>
  /**
   * Gives a role a new key in the place of the one on this node, or of one that is lost; all that it
   * signs is signed anew.
   * @throws FleetError `ROLE_KEY_MISSING`, `FLEET_REQUEST_INVALID`
   */
  rotate(role: string, rotation?: Rotation): Promise<RotationReceipt>
  /**
   * Gives the public key of this node for a role, which is made when there is none; it counts once
   * `hold` names it.
   * @throws FleetError `FLEET_REQUEST_INVALID`
   */
  roleKey(role: string): Promise<string>
  /**
   * Gives the public file of this node's device of the gate, which is made when there is none; it gives
   * shares once a policy names it.
   * @throws FleetError `NOT_ENROLLED`, `SECRET_FILE_INVALID`
   */
  gateKey(): Promise<Uint8Array>
  /**
   * Keeps a device of the gate that was made elsewhere. @param file - its key file; erased
   * @returns its public file
   * @throws FleetError `DEVICE_KEY_INVALID`, `DEVICE_EXISTS`
   */
  takeGateKey(file: Uint8Array): Promise<Uint8Array>
  /**
   * Writes a draft of a change that others sign, or of a fleet's first files (`role-draft.ts`). Nothing
   * is published.
   * @throws FleetError `FLEET_REQUEST_INVALID`, `DESK_CONFLICT`, `FLEET_EXISTS`
   */
  draft(request: DraftRequest): Promise<Uint8Array>
  /**
   * Publishes a draft that has been signed, or founds the fleet. Keys of this node that count no more by
   * it are erased.
   * @throws FleetError `DRAFT_INVALID`, `DRAFT_OUTDATED`, `FLEET_WRONG`; TrustError
   * `TUF_SIGNATURES_MISSING`
   */
  submit(draft: Uint8Array): Promise<DraftReceipt>
  /** Makes this node the desk: an operator's act (protocol/tuf-profile.md §5). */
  takeDesk(): Promise<FleetReceipt>
}
