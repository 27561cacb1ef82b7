/**
 * A fleet's files from the operator's own web server (nginx): a node follows by it alone, and another one
 * joins by it.
 */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { missingTools, pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { startWebServer, type WebServer } from "../support/web-server.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

/** The exchange asks a web server once a minute. */
const HEARD_MS = 90_000

const missing = missingTools("nginx")
let workspace: Workspace
let fleet: ReleaseFleet
let server: WebServer
let folder: string

beforeAll(async () => {
  workspace = openWorkspace("fleet-web-mirror")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  folder = await workspace.folder("www")
  if (missing.length === 0) server = await startWebServer(workspace, folder)
}, 120_000)
afterAll(() => workspace.close())

const exported = () => done(fleet.anchor.sealift("fleet", "export", "--folder", folder))
const versionAt = async (node: SealiftNode) =>
  JSON.parse(await done(node.sealift("fleet", "show", "--json"))).accessVersion as number

describe.skipIf(missing.length > 0)("a folder behind a web server", () => {
  test("lets a node join that was admitted, and follow with no peer at all", async () => {
    const { anchor } = fleet
    const config = { fleetMirrors: [server.url] }
    const node = await startNode(workspace, { name: "far", config })
    await done(anchor.sealift("fleet", "admit", node.peerId))
    await exported()
    const { fleet: id } = JSON.parse(await done(anchor.sealift("fleet", "show", "--json")))
    await done(node.sealift("fleet", "join", `${id}@${server.url}`))
    expect((await node.sealift("peers", "--json")).stdout).not.toContain(anchor.peerId)
    const before = await versionAt(node)
    await done(anchor.sealift("fleet", "group", "add", "edge", node.peerId))
    const { stdout } = await anchor.sealift("fleet", "export", "--folder", folder, "--json")
    expect(JSON.parse(stdout).newFiles).toBeLessThan(JSON.parse(stdout).files)
    expect(await pollUntil(async () => (await versionAt(node)) > before, HEARD_MS)).toBe(true)
    const shown = JSON.parse(await done(node.sealift("fleet", "show", "--json")))
    expect(shown.nodes.find(({ peer }: { peer: string }) => peer === node.peerId).groups).toEqual([
      "edge",
    ])
    await node.stop()
  })

  test("refuses who was not admitted, and what is another fleet's, and leaves them in none", async () => {
    const { anchor } = fleet
    const node = await startNode(workspace, { name: "stranger" })
    const { fleet: id } = JSON.parse(await done(anchor.sealift("fleet", "show", "--json")))
    await refused(node.sealift("fleet", "join", `${id}@${server.url}`), "NOT_ENROLLED")
    const other = `${"0".repeat(64)}@${server.url}`
    await refused(node.sealift("fleet", "join", other), "FLEET_WRONG")
    await refused(
      node.sealift("fleet", "join", `${id}@${server.url}/nothing`),
      "SOURCE_UNAVAILABLE",
    )
    await refused(node.sealift("fleet", "show"), "NOT_ENROLLED")
    await node.stop()
  })

  test("holds nothing secret, and one timestamp", async () => {
    await exported()
    const names = await readdir(folder, { recursive: true })
    expect(names.filter((name) => name.includes("timestamp"))).toEqual([
      join("metadata", "timestamp.json"),
    ])
    expect(names.filter((name) => /key/.test(name))).toEqual([])
  })
})
