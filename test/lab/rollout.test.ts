// Twelve nodes on hosts of their own, two releases in three waves, and all that may go wrong with a third:
// what happened is read from the logs of all nodes. `npm run bench -- rollout` is the same with fifty.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { WaveTimes } from "../../bench/rollout/evidence.ts"
import { RolloutFleet } from "../../bench/rollout/fleet.ts"
import { RolloutStory } from "../../bench/rollout/story.ts"
import { LAB_TOOLS, openLab } from "../support/network-lab.ts"
import { missingTools } from "../support/process.ts"
import { openWorkspace } from "../support/workspace.ts"

const NODES_COUNT = 12
const RATE_MBIT = 100
const PAYLOAD: Uint8Array = new Uint8Array(256 * 1024).fill(7)

const missing = missingTools(...LAB_TOOLS)

describe.skipIf(missing.length > 0)("a rollout on twelve hosts", () => {
  const workspace = openWorkspace("rollout")
  const { signal } = new AbortController()
  let story: RolloutStory

  beforeAll(async () => {
    const hosts = await openLab(workspace, { hostsCount: NODES_COUNT + 1, rateMbit: RATE_MBIT })
    const fleet = await RolloutFleet.found({ workspace, hosts, signal })
    story = new RolloutStory(fleet, { payload: PAYLOAD, signal })
  })
  afterAll(() => workspace.close())

  test("goes wave by wave and release by release, in its time, and brings what was announced", async () => {
    const { evidence, faults } = await story.forward()
    const beside = (evidence.waves as readonly WaveTimes[]).map(({ overheadMs }) => overheadMs)
    process.stderr.write(`${evidence.totalMs} of ${evidence.boundMs} ms; beside: ${beside}\n`)
    expect(faults).toEqual([])
  })

  test("goes back from a bad version everywhere, while no party can sign anything", async () => {
    expect((await story.back()).faults).toEqual([])
  })

  test("that is aborted changes no node", async () => {
    expect((await story.cancelled()).faults).toEqual([])
  })

  test("of which one release is below the floor is refused by every node, before anything is changed", async () => {
    expect(await story.belowFloor()).toEqual({
      notes: { refusedBelowFloor: NODES_COUNT },
      faults: [],
    })
  })
})
