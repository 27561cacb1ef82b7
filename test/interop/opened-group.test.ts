/**
 * A workload that runs as another user reads what a node opened, by its group, and none of the node's
 * secrets; a group that the node may not give files to ends it at its start.
 */
import { chmod, chown, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { LinkedSites } from "../support/linked-sites.ts"
import { asOther, missingForOtherUser, readAsOther, readableBelow } from "../support/other-user.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { createRollout, publishModel, untilPhase } from "../support/rollout-acts.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const GID = 54_321
const OTHER_GID = 54_322
const FILE = "weights.bin"
const PARTIES = ["owner"] as const

describe.skipIf(missingForOtherUser().length > 0)("a node with a group of readers", () => {
  let workspace: Workspace
  let fleet: ReleaseFleet
  beforeAll(async () => {
    workspace = openWorkspace("opened-group")
    await chmod(workspace.root, 0o755)
    // As a node makes it; a test's own would let everybody through.
    await chmod(await workspace.folder("anchor"), 0o700)
    fleet = await ReleaseFleet.found(workspace, { parties: PARTIES, config: { openedGroup: GID } })
    await done(fleet.anchor.sealift("fleet", "group", "add", "edge", fleet.anchor.peerId))
  }, 180_000)
  afterAll(() => workspace?.close())

  test("gives it what a rollout opens, through the link, and nothing else that it keeps", async () => {
    const { anchor } = fleet
    const ref = await publishModel(fleet, { file: FILE, content: "one", parties: PARTIES })
    const sites = await LinkedSites.open(workspace, [anchor], FILE)
    const plan = {
      ...{ rollout: "model", releases: [ref], activate: sites.activation },
      waves: [{ name: "all", nodes: "all", soak: "0s" }],
      success: { threshold: "100%", minSample: 1 },
    }
    await done(anchor.sealift("rollout", "start", await createRollout(fleet, plan)))
    await untilPhase(anchor, "model", "completed")

    const path = join(sites.at(anchor, "current"), FILE)
    expect(await readAsOther(GID, path)).toBe("one")
    expect(await readAsOther(OTHER_GID, path)).toBeUndefined()
    await done(anchor.sealift("open", ref, "--data", anchor.data))
    const entries = await readdir(anchor.data)
    const below = await readableBelow(
      GID,
      entries.map((name) => join(anchor.data, name)),
    )
    expect(below.map((name) => name.slice(anchor.data.length + 1)).toSorted()).toEqual([
      expect.stringMatching(/^opened\/_rollouts\/acme\.model-1-[0-9a-f]{16}\/weights\.bin$/),
      "opened/acme/model/1/weights.bin",
    ])
    for (const name of ["control.sock", "node.json", "identity"]) {
      expect((await stat(join(anchor.data, name))).mode & 0o077).toBe(0)
    }
    expect((await asOther(GID, "ls", anchor.data)).code).not.toBe(0)
  })

  test("opens for another group elsewhere, and says what is closed to it on the way", async () => {
    const { anchor } = fleet
    const open = (...flags: string[]) => anchor.sealift("open", "acme/model@1", ...flags)
    const inside = await refused(open("--group", String(OTHER_GID)), "OPENED_GROUP_INVALID")
    expect(inside).toContain("openedGroup")
    await refused(open("-o", fleet.path("x"), "--group", "no-such-group"), "OPENED_GROUP_INVALID")
    const folder = await workspace.folder("shut")
    await chmod(folder, 0o700)
    const shut = await open("-o", join(folder, "model"), "--group", String(OTHER_GID))
    expect(shut).toMatchObject({ code: 0, stderr: expect.stringContaining(`${folder} is closed`) })
    await chmod(folder, 0o755)
    expect(await readAsOther(OTHER_GID, join(folder, "model", FILE))).toBe("one")
    expect(await readAsOther(GID, join(folder, "model", FILE))).toBeUndefined()
  })

  test("that is not there, or that its user may not give files to, does not start", async () => {
    const command = new URL("../../bin/sealift.js", import.meta.url).pathname
    const data = await workspace.folder("other")
    await chown(data, 65_534, GID)
    const start = (group: string) =>
      asOther(
        GID,
        ...[process.execPath, command, "node", "--data", data, "--opened-group", group],
        ...["--http", "127.0.0.1:0", "--p2p", "/ip4/127.0.0.1/tcp/0", "--no-mdns"],
      )
    for (const group of ["no-such-group", String(OTHER_GID)]) {
      const { code, stderr } = await start(group)
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringMatching(/^sealift: [^\n]+ \[OPENED_GROUP_INVALID\]\n$/m),
      })
    }
  })
})
