/** New keys for every role of a fleet of processes, before and after which releases are opened. */
import { randomBytes } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { pollUntil } from "../support/process.ts"
import { digestsOf, done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
const ROLES = ["releases.acme", "access", "desk", "targets", "root"] as const
const HEARD_MS = 15_000

let workspace: Workspace
let fleet: ReleaseFleet
let edge: SealiftNode
let models: string
let opened = 0

async function publish(name: string, ...args: readonly string[]): Promise<string> {
  const argv = ["publish", `acme/${name}`, ...args, "--seal", "--audience", "edge"]
  return done(fleet.anchor.sealift(...argv))
}

/** Opens a release on a node, and gives what came out. */
async function open(node: SealiftNode, ref: string): Promise<Record<string, string>> {
  const isKnown = () => node.sealift("releases", ref).then(({ code }) => code === 0)
  expect(await pollUntil(isKnown, HEARD_MS)).toBe(true)
  const out = fleet.path(`opened-${opened++}`)
  await done(node.sealift("open", ref, "-o", out))
  return digestsOf(out)
}

beforeAll(async () => {
  workspace = openWorkspace("fleet-rotation")
  models = await workspace.folder("models")
  for (const arch of ["arm64", "amd64"]) {
    await mkdir(join(models, arch))
    await writeFile(join(models, arch, "tokens.json"), "{}\n")
    await writeFile(join(models, arch, `kernel-${arch}`), randomBytes(200_000))
  }
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  edge = await fleet.join("edge", "--group", "edge")
}, 120_000)
afterAll(() => workspace.close())

describe("a fleet whose roles get new keys", () => {
  test("opens what was released before, and what is released after", async () => {
    const arm = join(models, "arm64")
    const before = await publish("before", arm)
    await fleet.approve(fleet.anchor, before, PARTIES)
    for (const role of ROLES) await done(fleet.anchor.sealift("fleet", "rotate", role))
    const after = await publish("after", arm)
    await fleet.approve(fleet.anchor, after, PARTIES)
    const files = await digestsOf(arm)
    expect(await open(edge, before)).toEqual(files)
    expect(await open(edge, after)).toEqual(files)
    const late = await fleet.join("late", "--group", "edge")
    expect(await open(late, before)).toEqual(files)
    // A device reads the fleet anew, from its root of the first day.
    expect(await done(edge.sealift("verify", before))).not.toContain("NOT MET")
  })

  test("refuses a role that there is not, and one whose key lies elsewhere", async () => {
    const { anchor } = fleet
    await refused(anchor.sealift("fleet", "rotate", "captain"), "FLEET_REQUEST_INVALID")
    await refused(edge.sealift("fleet", "rotate", "access"), "ROLE_KEY_MISSING")
  })
})

describe("a release of two variants", () => {
  test("gives each node the one that its labels choose", async () => {
    const variants = ["arm64", "amd64"].flatMap((arch) => [
      "--variant",
      `arch=${arch}:${join(models, arch)}`,
    ])
    const ref = await publish("variants", ...variants)
    await fleet.approve(fleet.anchor, ref, PARTIES)
    for (const arch of ["arm64", "amd64"]) {
      const node = await fleet.join(arch, "--group", "edge", "--label", `arch=${arch}`)
      const files = Object.entries(await digestsOf(join(models, arch)))
      const named = files.map(([path, digest]) => [`${arch}/${path}`, digest])
      expect(await open(node, ref)).toEqual(Object.fromEntries(named))
    }
  })
})
