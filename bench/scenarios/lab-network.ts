/**
 * The hosts of a scenario in network namespaces, or why there are none.
 * @module
 */
import { HUB, LAB_TOOLS, type LabHost, openLab } from "../../test/support/network-lab.ts"
import { missingTools } from "../../test/support/process.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { compileDelay, DELAY_TOOLS, delayBridge } from "../link-delay.ts"
import type { NetworkShape } from "../scenario.ts"

/** The hosts and their links. */
export interface LabNetwork {
  readonly hosts: readonly LabHost[]
  /** Each host's link, each way. */
  readonly rateMbit: number
  /** Tools that it needs and that are not there; then there are no hosts. */
  readonly missing: readonly string[]
}

/**
 * Builds the network; the workspace takes it down.
 * @param hostsCount - the hosts that fetch, and one more, unless told otherwise
 */
export async function openLabNetwork(
  workspace: Workspace,
  { hosts: fetchersCount, rateMbit, delayMs = 0 }: NetworkShape,
  hostsCount: number = 1 + fetchersCount,
): Promise<LabNetwork> {
  const missing = missingTools(...LAB_TOOLS, ...(delayMs > 0 ? DELAY_TOOLS : []))
  if (missing.length > 0) return { hosts: [], rateMbit, missing }
  if (delayMs === 0)
    return { hosts: await openLab(workspace, { hostsCount, rateMbit }), rateMbit, missing }
  const delay = await compileDelay(workspace)
  if (delay.missing.length > 0) return { hosts: [], rateMbit, missing: delay.missing }
  const hosts = await openLab(workspace, { hostsCount, rateMbit })
  await delayBridge(workspace, { namespace: HUB, program: delay.program, delayMs })
  return { hosts, rateMbit, missing }
}
