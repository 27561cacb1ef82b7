/**
 * The log of a plan's decisions: its entries are the digests of their statements, and its checkpoints
 * are what witnesses cosign before anybody follows (protocol/rollout.md, witnessing).
 * @module
 */
import { checkpointText, encodeCheckpoint, noteKeyId } from "../audit/checkpoint.ts"
import { type LogName, verifyCosigned } from "../audit/cosigned-checkpoint.ts"
import { TILE_WIDTH } from "../audit/log-tile.ts"
import { isSameHash, leafHash, treeRoot } from "../audit/merkle-tree.ts"
import { proveConsistency, type ReadHashes } from "../audit/tree-reader.ts"
import type { WitnessedLog } from "../audit/witness-asking.ts"
import { type Digest, hexOf, rawOf } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { publicKeyOfPeer } from "../fleet/peer-signer.ts"
import { rawOfPublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import type { NamedPlan } from "./plan-subject.ts"

/** Largest cosigned checkpoint that travels with decisions. */
export const COSIGNED_BYTES_MAX: number = 8 * 1024
const ROLLOUT_LOG = "sealift.rollout/"
/** Digits of the plan's digest in the name: two plans of one name and version have two logs. */
const DIGEST_DIGITS = 16

/** A plan, as far as its log is named by it. */
interface LoggedPlan {
  readonly plan: { readonly said: Pick<Plan, "controller"> }
  readonly named: NamedPlan
}

/** Gives the name of a plan's log, and the key of its controller, which signs it. */
export function decisionLogOf({ plan, named }: LoggedPlan): LogName {
  const { name, version, digest } = named
  const origin = `${ROLLOUT_LOG}${name}/${version}/${hexOf(digest).slice(0, DIGEST_DIGITS)}`
  return { origin, key: publicKeyOfPeer(plan.said.controller) }
}

/** Makes the log of decisions, for its controller to have it cosigned. @param digests - in order */
export async function signDecisionLog(
  { origin, key }: LogName,
  digests: readonly Digest[],
  signer: Signer,
): Promise<WitnessedLog> {
  const leaves = leavesOf(digests)
  const checkpoint = { origin, size: leaves.length, root: treeRoot(leaves) }
  const signature = await signer.sign(checkpointText(checkpoint))
  const keyId = noteKeyId(origin, rawOfPublicKey(key))
  return {
    ...{ origin, key },
    checkpoint: encodeCheckpoint(checkpoint, [{ name: origin, keyId, signature }]),
    proveGrowth: (older, size) => proveConsistency(reader(leaves.slice(0, size)), { older, size }),
    onAppend: () => () => {},
  }
}

/**
 * Checks that enough of the witnesses have cosigned decisions.
 * @param digests - all that are known, in order
 * @returns how many of them are cosigned, from the first on
 * @throws {@link RolloutError} `DECISION_UNWITNESSED`
 */
export function verifyWitnessed(
  cosigned: Uint8Array | undefined,
  {
    log,
    list,
    digests,
  }: {
    readonly log: LogName
    readonly list: WitnessList
    readonly digests: readonly Digest[]
  },
): number {
  if (cosigned === undefined) throw unwitnessed("no checkpoint came with it")
  const { size, root } = readCounting(cosigned, log, list)
  if (size > digests.length) {
    throw unwitnessed(`${size} decisions are cosigned, and ${digests.length} are known`)
  }
  if (isSameHash(treeRoot(leavesOf(digests.slice(0, size))), root)) return size
  throw unwitnessed("other decisions were cosigned")
}

function readCounting(
  cosigned: Uint8Array,
  log: LogName,
  list: WitnessList,
): { readonly size: number; readonly root: Uint8Array } {
  try {
    return verifyCosigned(cosigned, log, list)
  } catch (cause) {
    throw unwitnessed(messageOf(cause), cause)
  }
}

/** The error of a decision that too few witnesses have cosigned. */
export function unwitnessed(reason: string, cause?: unknown): RolloutError {
  const message = `the decision is not followed: ${reason}`
  return new RolloutError("DECISION_UNWITNESSED", message, { cause })
}

function leavesOf(digests: readonly Digest[]): readonly Uint8Array[] {
  return digests.map((digest) => leafHash(rawOf(digest)))
}

/** Reads hashes as from tiles: those of a level are the roots of whole tiles of the one below. */
function reader(leaves: readonly Uint8Array[]): ReadHashes {
  return async ({ level, start, count }) => {
    const width = TILE_WIDTH ** level
    return Array.from({ length: count }, (_, place) => {
      const first = (start + place) * width
      return treeRoot(leaves.slice(first, first + width))
    })
  }
}
