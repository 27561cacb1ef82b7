/**
 * The acts of a rollout as its operator types them, on a fleet of real nodes.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { stringify } from "yaml"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import { pollUntil } from "./process.ts"
import { done, type ReleaseFleet } from "./release-fleet.ts"
import type { SealiftNode } from "./sealift-node.ts"

/** What a rollout must come to within, unless told otherwise. */
const TIMEOUT_MS = 60_000

/** Publishes what the gate holds for the group `edge`, approved by parties. @returns its reference */
export async function publishHeld(
  fleet: ReleaseFleet,
  release: {
    readonly asset: string
    /** A folder, or an image. */
    readonly source: string
    readonly parties: readonly string[]
  },
): Promise<string> {
  const { anchor } = fleet
  const flags = ["--seal", "--hold", "--audience", "edge"]
  const ref = await done(anchor.sealift("publish", release.asset, release.source, ...flags))
  await fleet.approve(anchor, ref, release.parties)
  return ref
}

/** The same with a release of `acme/model` that is one file. */
export async function publishModel(
  fleet: ReleaseFleet,
  model: { readonly file: string; readonly content: string; readonly parties: readonly string[] },
): Promise<string> {
  const source = await fleet.workspace.folder("model")
  await writeFile(join(source, model.file), model.content)
  return await publishHeld(fleet, { asset: "acme/model", source, parties: model.parties })
}

/** Makes a plan. @returns what the command printed: without flags, the name of the rollout */
export async function createRollout(
  fleet: ReleaseFleet,
  plan: object,
  ...flags: readonly string[]
): Promise<string> {
  const path = fleet.path("plan.yaml")
  await writeFile(path, stringify(plan))
  return await done(fleet.anchor.sealift("rollout", "create", path, ...flags))
}

/** Gives what a node knows of a rollout; undefined where it knows none. */
export async function rolloutAt(
  node: SealiftNode,
  name: string,
): Promise<RolloutAnswer | undefined> {
  const { code, stdout } = await node.sealift("rollout", "status", name, "--json")
  return code === 0 ? (JSON.parse(stdout) as RolloutAnswer) : undefined
}

/** Waits until a node knows a rollout as it is asked for. @throws Error when it does not come to it */
export async function untilRollout(
  node: SealiftNode,
  name: string,
  isIt: (status: RolloutAnswer) => boolean,
  timeoutMs: number = TIMEOUT_MS,
): Promise<RolloutAnswer> {
  let status: RolloutAnswer | undefined
  const isThere = await pollUntil(async () => {
    status = await rolloutAt(node, name)
    return status !== undefined && isIt(status)
  }, timeoutMs)
  if (status !== undefined && isThere) return status
  throw new Error(`the rollout is not what it should be: ${JSON.stringify(status)}`)
}

/** Waits for a phase. @throws Error */
export const untilPhase = (
  node: SealiftNode,
  name: string,
  phase: RolloutAnswer["phase"],
  timeoutMs?: number,
): Promise<RolloutAnswer> => untilRollout(node, name, (status) => status.phase === phase, timeoutMs)
