// The delay of the benchmark suite's network is really there, each way, and only when it is asked for.

import { afterEach, describe, expect, type TestContext, test } from "vitest"
import { DELAY_TOOLS } from "../../bench/link-delay.ts"
import { openLabNetwork } from "../../bench/scenarios/lab-network.ts"
import { LAB_TOOLS } from "../support/network-lab.ts"
import { missingTools, run } from "../support/process.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const DELAY_MS = 60
const missing = missingTools(...LAB_TOOLS, ...DELAY_TOOLS, "bash")

describe.skipIf(missing.length > 0)("two hosts on a bridge", () => {
  let workspace: Workspace
  afterEach(() => workspace.close())

  /** Milliseconds until a host says that nothing listens there: one round trip. */
  async function refusalMs(delayMs: number, { skip }: TestContext): Promise<number> {
    workspace = openWorkspace("delay")
    const network = await openLabNetwork(workspace, { hosts: 1, rateMbit: 100, delayMs })
    const { hosts } = network
    if (network.missing.length > 0) {
      process.stderr.write(`link-delay: skipped, there is no ${network.missing.join(", ")}\n`)
      skip()
    }
    const startMs = performance.now()
    const command = ["bash", "-c", `echo > /dev/tcp/${hosts[1]!.address}/9`]
    const { stderr } = await run(command, { namespace: hosts[0]!.namespace, mayFail: true })
    expect(stderr).toContain("refused")
    return performance.now() - startMs
  }

  test("answer after twice the delay", async (context) => {
    expect(await refusalMs(DELAY_MS, context)).toBeGreaterThanOrEqual(2 * DELAY_MS)
  })

  test("answer at once without one", async (context) => {
    expect(await refusalMs(0, context)).toBeLessThan(2 * DELAY_MS)
  })
})
