/**
 * The shapes of the control API that concern the fleet (docs/api.md): what is asked of a node, and the
 * policy that it shows. Its answers to acts are those of `fleet-desk.ts`.
 * @module
 */
import type { Labels } from "../fleet/access-field.ts"
import type { RuleText } from "../fleet/access-rule.ts"
import type { DeviceState } from "../trust/policy.ts"

/** Body of `POST /v1/fleet/init`. */
export interface FleetInitRequest {
  readonly name: string
}

/** Body of `POST /v1/fleet/invite`. */
export interface InviteRequest {
  readonly group?: string | undefined
  readonly labels?: Labels | undefined
  /** One hour when left out. */
  readonly lifeMs?: number | undefined
}

/** Body of `POST /v1/fleet/join`. */
export interface JoinRequest {
  readonly token: string
}

/** Body of `POST /v1/fleet/admit`. */
export interface AdmitRequest {
  readonly peer: string
  readonly groups?: readonly string[] | undefined
  readonly labels?: Labels | undefined
  readonly isAnchor?: boolean | undefined
}

/** Body of `POST /v1/fleet/revoke`. */
export interface RevokeRequest {
  readonly peers: readonly string[]
}

/** Body of `POST /v1/fleet/rotate`. */
export interface RotateRequest {
  readonly role: string
  /** Whether its key is nowhere any more. */
  readonly isLost?: boolean
}

/** Body of `POST /v1/fleet/group`. */
export interface GroupRequest {
  readonly action: "add" | "remove"
  readonly group: string
  readonly peers: readonly string[]
}

/** Body of `POST /v1/fleet/rule`. */
export interface RuleChangeRequest extends RuleText {
  readonly action: "add" | "remove"
}

/** A party of a request: its name, and the public files of its devices as base64. */
export interface PartyRequest {
  readonly name: string
  /** How many of its devices must approve; 1 when left out. */
  readonly threshold?: number | undefined
  readonly devices: readonly string[]
  /** Further ones that are kept apart, for the loss of another. */
  readonly recovery?: readonly string[] | undefined
}

/** Body of `POST /v1/fleet/policy`. */
export interface PolicySetRequest {
  readonly namespace: string
  readonly parties: readonly PartyRequest[]
  /** The gate's devices; left out: those of the node, or as they are. */
  readonly gate?: Omit<PartyRequest, "name"> | undefined
  readonly inspectors?: readonly string[] | undefined
  readonly allowsClassical?: boolean | undefined
  readonly allowsNoGate?: boolean | undefined
  readonly keepsOpenable?: boolean | undefined
}

/** Body of `POST /v1/fleet/witness`. */
export interface WitnessSetRequest {
  /** `PEERID`, or `PEERID=KEY` where the node cannot be asked for its key. */
  readonly nodes: readonly string[]
  /** The fewest that stop two views of one log when left out. */
  readonly threshold?: number | undefined
}

/** `GET /v1/fleet/witness`. */
export interface WitnessesReport {
  readonly version: number
  readonly digest: string
  /** True once what says that it is the newest has expired. */
  readonly isStale: boolean
  readonly threshold: number
  /** How many may lie. */
  readonly faultyMax: number
  readonly witnesses: readonly {
    readonly peer: string
    readonly key: string
    /** Whether the access list names it. */
    readonly isEnrolled: boolean
    /** Whether it is connected, or this node itself. */
    readonly isConnected: boolean
  }[]
}

/** Answer to `POST /v1/fleet/witness/key`. */
export interface WitnessKeyReport {
  readonly peer: string
  /** 64 hex digits. */
  readonly key: string
}

/** Answer to `POST /v1/fleet/key` `{role}`. */
export interface RoleKeyReport {
  readonly role: string
  /** 64 hex digits. */
  readonly key: string
}

/** Who shall hold roles. */
export interface HoldingRequest {
  readonly roles: readonly string[]
  /** Public keys. */
  readonly keys: readonly string[]
  readonly threshold: number
}

/** Body of `POST /v1/fleet/draft`; the answer is a draft (`fleet/role-draft.ts`). */
export type DraftRequest =
  | { readonly act: "found"; readonly name: string; readonly held: readonly HoldingRequest[] }
  | ({ readonly act: "hold" } & HoldingRequest)
  | { readonly act: "renew" }
  | ({ readonly act: "policy" } & PolicySetRequest)
  | ({ readonly act: "witness" } & WitnessSetRequest)

/** A party, or the gate, as `GET /v1/fleet/policy` shows it. */
export interface PartyReport {
  readonly name: string
  readonly threshold: number
  readonly devices: readonly {
    readonly key: string
    readonly recipient: string
    readonly state: DeviceState
  }[]
}

/** `GET /v1/fleet/policy?namespace=`. */
export interface PolicyReport {
  readonly namespace: string
  readonly version: number
  readonly digest: string
  /** True once what says that it is the newest has expired. */
  readonly isStale: boolean
  readonly parties: readonly PartyReport[]
  /** Left out: what is released here has no gate. */
  readonly gate?: PartyReport
  readonly inspectors: readonly string[]
  readonly allowsClassical: boolean
  readonly allowsNoGate: boolean
  readonly openable: readonly number[]
}
