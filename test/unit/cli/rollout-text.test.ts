/** A rollout as its operator reads it: every node of a wave is counted somewhere, and named when it is not well. */
import { expect, test } from "vitest"
import type { RolloutAnswer } from "../../../src/api/rollout-api.ts"
import { rolloutText } from "../../../src/cli/command/rollout-text.ts"

const NOW = 1_800_000_000_000
const node = { reason: "", reportedAtMs: NOW } as const
const COUNTS = { healthy: 1, failed: 2, silent: 1, excluded: 1, pending: 0 }

const REPORT: RolloutAnswer = {
  name: "model-1",
  version: 2,
  digest: `sha256:${"0".repeat(64)}`,
  channel: "default",
  controller: "12D3KooWA",
  isController: true,
  isActive: true,
  phase: "aborted",
  reason: "wrong answers",
  attempt: 0,
  decidedAtMs: NOW,
  expiresAtMs: NOW + 1,
  releases: [{ ref: "acme/model@1", digest: `sha256:${"1".repeat(64)}` }],
  waves: [
    {
      name: "all",
      size: 4,
      isReleased: true,
      releasedAtMs: NOW,
      ...COUNTS,
      nodes: [
        { ...node, node: "12D3KooWA", standing: "healthy", outcome: "healthy" },
        { ...node, node: "12D3KooWB", standing: "failed", outcome: "rolled-back", reason: "back" },
        { ...node, node: "12D3KooWC", standing: "silent", outcome: undefined },
        { ...node, node: "12D3KooWD", standing: "excluded", outcome: "staged" },
      ],
    },
  ],
  late: [],
  looksAtMs: undefined,
  here: undefined,
}

test("counts every node of a wave, and tells who went back from who has failed", () => {
  expect(rolloutText(REPORT, NOW).split("\n")).toEqual([
    "rollout model-1, plan 2: aborted: wrong answers",
    "releases acme/model@1",
    "wave  nodes  healthy  failed  silent  excluded  pending",
    "all   4      1        2       1       1         0        released now",
    "went back 12D3KooWB: back",
    "silent 12D3KooWC",
  ])
})

test("gives no counts where they are not known", () => {
  const lines = rolloutText({ ...REPORT, isController: false }, NOW).split("\n")
  expect(lines[3]).toMatch(/^all {3}4 +released now$/)
  expect(lines.at(-1)).toBe("counts are at the controller, node 12D3KooWA")
})

test("tells who waits for the hours in which it may activate, as long as it may yet", () => {
  const [wave] = REPORT.waves
  const nodes = [{ ...node, node: "12D3KooWE", standing: "pending", outcome: "waiting" }] as const
  const running = { ...REPORT, phase: "running", waves: [{ ...wave!, nodes }] } as const
  const line = "waiting 12D3KooWE: its window is closed"
  expect(rolloutText(running, NOW)).toContain(line)
  expect(rolloutText({ ...running, phase: "aborted" }, NOW)).not.toContain(line)
})
