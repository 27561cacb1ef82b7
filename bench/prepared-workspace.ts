/**
 * The folder in which a scenario is prepared and measured, with everything that is to end with it.
 * @module
 */
import { openWorkspace, type Workspace } from "../test/support/workspace.ts"
import type { Prepared } from "./scenario.ts"
import { WORK_FOLDER } from "./workload.ts"

/**
 * Prepares a scenario in a folder, which goes when the runs are over or preparing them failed.
 * @param parent - where that folder is; in memory unless told
 */
export async function prepareInWorkspace(
  prepare: (workspace: Workspace) => Promise<Omit<Prepared, "close">>,
  parent: string = WORK_FOLDER,
): Promise<Prepared> {
  const workspace = openWorkspace("bench", parent)
  try {
    return { ...(await prepare(workspace)), close: () => workspace.close() }
  } catch (error) {
    await workspace.close()
    throw error
  }
}

/** Does something in a folder of its own below another one, which goes with all that began in it. */
export async function inWorkspace<T>(
  name: string,
  parent: Workspace,
  act: (workspace: Workspace) => Promise<T>,
): Promise<T> {
  const workspace = openWorkspace(name, parent.root)
  try {
    return await act(workspace)
  } finally {
    await workspace.close()
  }
}
