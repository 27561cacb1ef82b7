/**
 * A fleet of processes that is founded with keys of root and targets away from every node: drafted by its
 * first node, signed by two of three holders with nothing but the draft, submitted, joined.
 */
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { apart, done, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const HOLDERS = ["alice", "bob", "carol"] as const

let workspace: Workspace
let anchor: SealiftNode
let fleet: string
const path = (name: string) => join(workspace.root, name)
const keyOf = (name: string) => path(`${name}.key`)

beforeAll(async () => {
  workspace = openWorkspace("fleet-founding")
  for (const name of HOLDERS) await done(apart("party", "init", name, "--out", keyOf(name)))
  anchor = await startNode(workspace, { name: "anchor" })
}, 120_000)
afterAll(() => workspace.close())

const drafted = (node: SealiftNode, out: string, ...flags: readonly string[]) => {
  const by = HOLDERS.flatMap((name) => ["--by", `root=${keyOf(name)}.pub`])
  const rest = ["--threshold", "root=2", "-o", path(out)]
  return node.sealift("fleet", "init", "--name", "lab", ...by, ...rest, ...flags)
}
const signBy = (name: string, draft: string, out: string, ...flags: readonly string[]) =>
  apart("fleet", "sign", path(draft), "--key", keyOf(name), "-o", path(out), ...flags)
const submit = (node: SealiftNode, ...drafts: readonly string[]) =>
  node.sealift("fleet", "submit", ...drafts.map(path))

/** Gives what lies below the node's folders that a fleet's keys lie in. */
async function roleKeys(node: SealiftNode): Promise<readonly string[]> {
  const names = await readdir(node.data, { recursive: true })
  return names.filter((name) => name.includes("/keys/") && !name.includes("node-keys")).toSorted()
}

describe("a fleet that two of three holders found", () => {
  test("is drafted, and its id is shown to compare", async () => {
    const outcome = await drafted(anchor, "lab")
    fleet = (await done(Promise.resolve(outcome))).trim()
    expect(fleet).toMatch(/^[0-9a-f]{64}$/)
    expect(outcome.stderr).toContain(`fleet ${fleet}`)
    expect(outcome.stderr).toContain("root: 0 of 2 signatures")
    const shown = await done(apart("fleet", "sign", path("lab"), "--dry-run"))
    expect(shown).toContain(`fleet ${fleet}`)
    expect(shown).toContain(`on node ${anchor.peerId}`)
    expect(shown).toContain("role targets: 2 of 3 keys must sign")
    await refused(anchor.sealift("fleet", "show", "--quiet"), "NOT_ENROLLED")
  })

  test("is signed by keys that are told its id, and by none for another", async () => {
    await refused(signBy("alice", "lab", "alice.draft", "--quiet"), "USAGE_INVALID")
    const wrong = ["--fleet", "0".repeat(64), "--quiet"]
    await refused(signBy("alice", "lab", "alice.draft", ...wrong), "FLEET_WRONG")
    const outcome = await signBy("alice", "lab", "alice.draft", "--fleet", fleet)
    expect(await done(Promise.resolve(outcome))).toContain("signed root and targets")
    expect(outcome.stderr).toContain(`fleet ${fleet}`)
    await refused(submit(anchor, "alice.draft"), "TUF_SIGNATURES_MISSING")
    await done(signBy("carol", "lab", "carol.draft", "--fleet", fleet))
    // Another draft for the same name is another fleet.
    const other = await startNode(workspace, { name: "other" })
    const second = await done(drafted(other, "second"))
    expect(second).not.toBe(fleet)
    await refused(signBy("alice", "second", "no", "--quiet"), "FLEET_WRONG")
    const named = ["--fleet", second, "--quiet"]
    await refused(signBy("alice", "second", "no", ...named), "DRAFT_CONFLICT")
    expect(existsSync(path("no"))).toBe(false)
    const line = await refused(submit(other, "alice.draft", "carol.draft"), "ROLE_KEY_MISSING")
    expect(line).toContain(anchor.peerId)
    await other.stop()
  })

  test("is there once two have signed, also when its node was killed meanwhile", async () => {
    await anchor.kill9()
    anchor = await startNode(workspace, { name: "anchor" })
    const submitted = ["submit", path("alice.draft"), path("carol.draft"), "--json"] as const
    const receipt = JSON.parse(await done(anchor.sealift("fleet", ...submitted)))
    expect(receipt).toEqual({ fleet, accessVersion: 1, roles: ["root", "targets"] })
    const keys = ["access.key", "desk.key", "plan.key"].map((name) => `fleet/keys/${name}`)
    expect(await roleKeys(anchor)).toEqual(keys)
    const report = JSON.parse(await done(anchor.sealift("fleet", "show", "--json")))
    expect(report).toMatchObject({ fleet, name: "lab", isEnrolled: true })
    expect(report.holders.slice(0, 2)).toMatchObject([
      { role: "root", threshold: 2, here: 0 },
      { role: "targets", threshold: 2, here: 0 },
    ])
    await refused(submit(anchor, "alice.draft", "carol.draft"), "DRAFT_OUTDATED")
    await refused(drafted(anchor, "third", "--quiet"), "FLEET_EXISTS")
  })

  test("takes nodes in, and sets a policy by a draft of the keys that founded it", async () => {
    const edge = await startNode(workspace, { name: "edge" })
    await done(edge.sealift("fleet", "join", await done(anchor.sealift("fleet", "invite"))))
    const party = ["--party", `alice=${keyOf("alice")}.pub`]
    await refused(anchor.sealift("fleet", "policy", "set", "acme", ...party), "ROLE_KEY_MISSING")
    const draft = ["--draft", path("policy")]
    await done(anchor.sealift("fleet", "policy", "set", "acme", ...party, ...draft))
    // They remember which fleet they founded; the third key is told it.
    await done(signBy("alice", "policy", "policy.alice"))
    await refused(signBy("bob", "policy.alice", "policy.both", "--quiet"), "USAGE_INVALID")
    await done(signBy("bob", "policy.alice", "policy.both", "--fleet", fleet))
    await done(submit(anchor, "policy.both"))
    const root = await readFile(join(edge.data, "fleet", "tuf", "roots", "1.root.json"), "utf8")
    expect(JSON.parse(root).signatures).toHaveLength(2)
  })
})
