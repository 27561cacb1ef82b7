/** A plan by flags, beside a file and without one. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Command } from "commander"
import { describe, expect, it, onTestFinished } from "vitest"
import { definePlanFlags, readPlan } from "../../../src/cli/command/plan-flags.ts"
import { parsePlanFile } from "../../../src/rollout/plan-file.ts"
import { openWorkspace } from "../../support/workspace.ts"

/** Reads words of a command line as `rollout create` does. */
async function planOf(words: readonly string[], path?: string) {
  const command = definePlanFlags(new Command("create")).exitOverride()
  command.parse(words, { from: "user" })
  return readPlan(path, command.opts())
}

const LEAST = ["--rollout", "model", "--release", "acme/model@1", "--wave", "name: all, nodes: all"]

describe("a plan by flags", () => {
  it("is what the file with the same keys is", async () => {
    const plan = await planOf([
      ...["--rollout", "model", "--release", "acme/base@2", "--release", "acme/model@1"],
      ...["--wave", "name: canary, nodes: { group: edge, count: 1 }, soak: 5s"],
      ...["--wave", "{ name: rest, nodes: { labels: { zone: lab }, percent: 50% } }"],
      ...["--channel", "models", "--success", "80%", "--min-sample", "2", "--error", "30%"],
      ...["--on-error", "abort+rollback", "--report-deadline", "90s", "--silence", "excluded"],
      ...["--window", 'from: "01:00", to: "05:00", days: [sat, sun]'],
      ...["--activate", "files: { path: /srv/models/current }"],
      ...["--probe", "exec: [/usr/bin/test, -s, /srv/models/current/a], retries: 3"],
      ...["--on-no-rollback", "stay", "--expires", "7d"],
    ])
    expect(plan).toEqual({
      rollout: "model",
      releases: ["acme/base@2", "acme/model@1"],
      waves: [
        { name: "canary", nodes: { group: "edge", count: 1 }, soak: "5s" },
        { name: "rest", nodes: { labels: { zone: "lab" }, percent: "50%" } },
      ],
      channel: "models",
      success: { threshold: "80%", minSample: 2 },
      error: { threshold: "30%", action: "abort+rollback" },
      reportDeadline: "90s",
      silence: "excluded",
      window: { from: "01:00", to: "05:00", days: ["sat", "sun"] },
      activate: { files: { path: "/srv/models/current" } },
      probe: { exec: ["/usr/bin/test", "-s", "/srv/models/current/a"], retries: 3 },
      onNoRollback: "stay",
      expires: "7d",
    })
  })

  it("needs a name, a release and a wave, and a node reads it", async () => {
    const terms = parsePlanFile(await planOf(LEAST))
    expect(terms.waves).toMatchObject([{ name: "all", select: { kind: "all" } }])
    const nameless = await planOf(LEAST.slice(2))
    expect(() => parsePlanFile(nameless)).toThrow(expect.objectContaining({ code: "PLAN_INVALID" }))
  })

  it("stands in place of what a file says, key by key", async () => {
    const workspace = openWorkspace("plan-flags")
    onTestFinished(() => workspace.close())
    const path = join(workspace.root, "plan.yaml")
    const text = "rollout: model\nchannel: models\nerror: { threshold: 15%, count: 2 }\n"
    await writeFile(path, text)
    expect(await planOf(["--channel", "canaries", "--on-error", "abort"], path)).toEqual({
      rollout: "model",
      channel: "canaries",
      error: { threshold: "15%", count: 2, action: "abort" },
    })
  })

  it("is asked for when there is no file either", async () => {
    await expect(planOf([])).rejects.toMatchObject({ code: "USAGE_INVALID" })
  })

  it.each([
    ["--wave", "name: canary, nodes: { group: edge"],
    ["--probe", "exec: ["],
    ["--channel", "a: b: c"],
  ])("names the flag whose value is no YAML: %s %s", async (flag, text) => {
    await expect(planOf([flag, text])).rejects.toMatchObject({
      code: "PLAN_INVALID",
      message: expect.stringContaining(`${flag}:1:`),
    })
  })

  it("cannot bring keys of its own", async () => {
    const plan = planOf(["--channel", "default\nrollout: other"])
    await expect(plan).resolves.toEqual({ channel: "default" })
  })
})
