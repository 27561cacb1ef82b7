/**
 * The hosts of a scenario in network namespaces, or why there are none.
 * @module
 */
import { LAB_TOOLS, type LabHost, openLab } from "../../test/support/network-lab.ts"
import { missingTools } from "../../test/support/process.ts"
import type { Workspace } from "../../test/support/workspace.ts"

/** The hosts and their links. */
export interface LabNetwork {
  readonly hosts: readonly LabHost[]
  /** Each host's link, each way. */
  readonly rateMbit: number
  /** Tools that it needs and that are not there; then there are no hosts. */
  readonly missing: readonly string[]
}

/** Builds the network; the workspace takes it down. @param options.unlimited - hosts without a limit */
export async function openLabNetwork(
  workspace: Workspace,
  options: {
    readonly hostsCount: number
    readonly rateMbit: number
    readonly unlimited?: readonly number[]
  },
): Promise<LabNetwork> {
  const missing = missingTools(...LAB_TOOLS)
  const hosts = missing.length > 0 ? [] : await openLab(workspace, options)
  return { hosts, rateMbit: options.rateMbit, missing }
}
