/**
 * The setting of scenarios in which something happens to a swarm: one blob, its seed, and a host for
 * each peer.
 * @module
 */

import type { Workspace } from "../../test/support/workspace.ts"
import { Mesh } from "../contenders/mesh.ts"
import { fillMeshSeed, type SealiftSeed } from "../contenders/sealift-seed.ts"
import type { BenchOptions, NetworkShape } from "../scenario.ts"
import { createWorkload, type Workload } from "../workload.ts"
import { type LabNetwork, openLabNetwork } from "./lab-network.ts"

/** Where meshes of one scenario run, one after the other. */
export interface MeshSetting extends LabNetwork {
  readonly workload: Workload
  readonly seed: SealiftSeed
}

/** Makes the blob, its seed and the hosts. @param hostsCount - the seeder's included */
export async function openMeshSetting(
  workspace: Workspace,
  options: BenchOptions,
  {
    shape,
    hostsCount,
    signal,
  }: { readonly shape: NetworkShape; readonly hostsCount: number; readonly signal: AbortSignal },
): Promise<MeshSetting> {
  const workload = await createWorkload(await workspace.folder("work"), options)
  const seed = await fillMeshSeed(workload, { signal, rateMbit: shape.rateMbit })
  const network = await openLabNetwork(workspace, shape, hostsCount)
  return { ...network, workload, seed }
}

/** Does something with a mesh that is new, and ends it. */
export async function inMesh<T>(
  { workload, seed }: MeshSetting,
  signal: AbortSignal,
  act: (mesh: Mesh) => Promise<T>,
): Promise<T> {
  const mesh = new Mesh(workload, { seed, signal })
  try {
    return await act(mesh)
  } finally {
    await mesh.close()
  }
}
