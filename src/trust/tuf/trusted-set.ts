/**
 * tuf-js's trusted set: the state machine that accepts metadata or throws.
 *
 * It is the part of tuf-js below its `Updater`, and not exported by its index.
 *
 * @module
 */
import { TrustedMetadataStore } from "tuf-js/dist/store.js"
import { assert } from "../../core/errors.ts"
import { withTufFaults } from "./tuf-fault.ts"

/** What is trusted in one update. */
export type TrustedSet = TrustedMetadataStore

/**
 * Makes a trusted set that starts from a root.
 * @param root - a root that is trusted; whether it has expired is not asked
 * @param timeMs - the fixed time of the update (TUF 1.0 §5.1)
 * @throws {@link TrustError} `TUF_MALFORMED`, `TUF_SIGNATURES_MISSING`
 */
export function createTrustedSet(root: Uint8Array, timeMs: number): TrustedSet {
  return withTufFaults("root", () => atTime(new TrustedMetadataStore(bufferOf(root)), timeMs))
}

/**
 * tuf-js reads the machine's clock once, when a set is made, and has no parameter for it. Nothing
 * was compared with that time yet, so it is replaced.
 */
function atTime(set: TrustedMetadataStore, timeMs: number): TrustedMetadataStore {
  assert(Reflect.get(set, "referenceTime") instanceof Date, "tuf-js keeps its time here")
  return Object.assign(set, { referenceTime: new Date(timeMs) })
}

/** Gives bytes as the kind that tuf-js takes, without a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
