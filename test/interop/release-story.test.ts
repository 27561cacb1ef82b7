/**
 * The story of a sealed release as its users type it: nodes that are processes, parties that are files,
 * commands of the command line and nothing else.
 */
import { createHash, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Outcome, pollUntil, run } from "../support/process.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const COMMAND = fileURLToPath(new URL("../../bin/sealift.js", import.meta.url))
const PARTIES = ["owner", "safety", "legal"] as const
const WEIGHTS_BYTES = 3_000_000

let workspace: Workspace
let parties: string
let model: string
/** The fleet's first node, two members of the group `edge`, and one of no group. */
let anchor: SealiftNode
let edge: SealiftNode
let leaving: SealiftNode
let other: SealiftNode

const apart = (...argv: readonly string[]): Promise<Outcome> =>
  run([process.execPath, COMMAND, ...argv], { mayFail: true, timeoutMs: 60_000 })

async function done(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return stdout.trim()
}

async function refused(outcome: Promise<Outcome>, exit: number, code: string): Promise<string> {
  const { code: actual, stdout, stderr } = await outcome
  expect({ stderr, stdout, exit: actual }).toEqual({
    stderr: expect.stringMatching(new RegExp(`^sealift: [^\\n]+ \\[${code}\\]\\n$`)),
    stdout: "",
    exit,
  })
  return stderr
}

const keyOf = (party: string): string => join(parties, `${party}.key`)

async function digestsOf(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile())
  const rows = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    const digest = createHash("sha256")
      .update(await readFile(path))
      .digest("hex")
    return [path.slice(folder.length + 1), digest] as const
  })
  return Object.fromEntries((await Promise.all(rows)).toSorted())
}

async function joined(name: string, ...flags: readonly string[]): Promise<SealiftNode> {
  const node = await startNode(workspace, { name })
  const token = await done(anchor.sealift("fleet", "invite", ...flags))
  await done(node.sealift("fleet", "join", token))
  return node
}

async function approveAll(ref: string, names: readonly string[] = PARTIES): Promise<void> {
  for (const name of names) await done(anchor.sealift("approve", ref, "--key", keyOf(name)))
}

beforeAll(async () => {
  workspace = openWorkspace("release-story")
  parties = await workspace.folder("parties")
  model = join(await workspace.folder("asset"), "model")
  await mkdir(join(model, "weights"), { recursive: true })
  await writeFile(join(model, "config.json"), '{"layers":2}\n')
  await writeFile(join(model, "weights", "a.safetensors"), randomBytes(WEIGHTS_BYTES))
  await writeFile(join(model, "weights", "b.safetensors"), randomBytes(1))
  await writeFile(join(model, "empty"), "")
  anchor = await startNode(workspace, { name: "anchor" })
  await done(anchor.sealift("fleet", "init", "--name", "lab"))
  for (const name of PARTIES) await done(apart("party", "init", name, "--out", keyOf(name)))
  const named = PARTIES.flatMap((name) => ["--party", `${name}=${keyOf(name)}.pub`])
  await done(anchor.sealift("fleet", "policy", "set", "acme", ...named))
  edge = await joined("edge", "--group", "edge")
  leaving = await joined("leaving", "--group", "edge")
  other = await joined("other")
}, 120_000)
afterAll(() => workspace.close())

describe("a sealed release of three parties", () => {
  test("is published, staged, approved apart and opened, byte by byte the same", async () => {
    const publish = anchor.sealift("publish", "acme/model", model, "--seal", "--audience", "edge")
    expect(await done(publish)).toBe("acme/model@1")
    const inspected = await done(anchor.sealift("inspect", "acme/model@1"))
    for (const word of ["edge", ...PARTIES]) expect(inspected).toContain(word)
    await done(edge.sealift("stage", "acme/model@1"))
    const out = join(workspace.root, "opened-1")
    const open = () => edge.sealift("open", "acme/model@1", "-o", out)
    expect(await refused(open(), 5, "APPROVALS_MISSING")).toMatch(/owner.*safety.*legal/)
    await approveAll("acme/model@1", ["owner", "safety"])
    expect(await refused(open(), 5, "APPROVALS_MISSING")).toContain("legal")
    expect(existsSync(out)).toBe(false)
    // The third party has no node: a file goes to it, and a file comes back.
    const bundle = join(workspace.root, "m.release")
    const approval = join(workspace.root, "legal.approval")
    await done(edge.sealift("release", "export", "acme/model@1", "--out", bundle))
    await done(apart("approve", "--release", bundle, "--key", keyOf("legal"), "--out", approval))
    await done(edge.sealift("approve", "--import", approval))
    await done(open())
    expect(await digestsOf(out)).toEqual(await digestsOf(model))
  })

  test("does not open on an enrolled node outside the audience", async () => {
    const out = join(workspace.root, "opened-other")
    await refused(other.sealift("open", "acme/model@1", "-o", out), 3, "NOT_IN_AUDIENCE")
    expect(existsSync(out)).toBe(false)
  })

  test("is verified: who signed, which rule was met, whether every byte is right", async () => {
    const text = await done(edge.sealift("verify", "acme/model@1", "--deep"))
    for (const name of PARTIES) expect(text).toContain(name)
  })

  test("is not opened over what is there", async () => {
    const out = join(workspace.root, "opened-1")
    await refused(edge.sealift("open", "acme/model@1", "-o", out), 1, "OUTPUT_EXISTS")
  })
})

describe("every subset of the approvals", () => {
  const subsets = Array.from({ length: 2 ** PARTIES.length - 1 }, (_, bits) =>
    PARTIES.filter((_, index) => (bits & (1 << index)) !== 0),
  )
  test.each(subsets.map((names) => [names.join(" and ") || "nobody", names] as const))(
    "that is not whole opens nothing: %s",
    async (label, names) => {
      const asset = `acme/subset-${label.replaceAll(" ", "-")}`
      const small = join(model, "config.json")
      await done(anchor.sealift("publish", asset, small, "--seal", "--audience", "edge"))
      await approveAll(`${asset}@1`, names)
      const out = join(workspace.root, label.replaceAll(" ", "-"))
      const open = edge.sealift("open", `${asset}@1`, "-o", out)
      const line = await refused(open, 5, "APPROVALS_MISSING")
      for (const name of PARTIES) expect(line.includes(`"${name}"`)).toBe(!names.includes(name))
      expect(existsSync(out)).toBe(false)
    },
  )
})

describe("a node that was revoked", () => {
  test("is cut off, and opens nothing that is released later", async () => {
    await done(anchor.sealift("fleet", "revoke", leaving.peerId))
    const next = join(workspace.root, "next")
    await cp(model, next, { recursive: true })
    await writeFile(join(next, "config.json"), '{"layers":3}\n')
    const publish = anchor.sealift("publish", "acme/model", next, "--seal", "--audience", "edge")
    expect(await done(publish)).toBe("acme/model@2")
    await approveAll("acme/model@2")
    const isAlone = async () => {
      const { peers } = JSON.parse(await done(leaving.sealift("peers", "--json")))
      return peers.length === 0
    }
    expect(await pollUntil(isAlone, 10_000)).toBe(true)
    const lost = join(workspace.root, "lost")
    const outcome = await leaving.sealift("open", "acme/model@2", "-o", lost)
    expect(outcome.code).not.toBe(0)
    expect(existsSync(lost)).toBe(false)
    // What it took along by file opens nothing either.
    const bundle = join(workspace.root, "m2.release")
    await done(anchor.sealift("release", "export", "acme/model@2", "--out", bundle))
    await leaving.sealift("release", "import", bundle)
    expect((await leaving.sealift("open", "acme/model@2", "-o", lost)).code).not.toBe(0)
    expect(existsSync(lost)).toBe(false)
    const out = join(workspace.root, "opened-2")
    await done(edge.sealift("open", "acme/model@2", "-o", out))
    expect(await digestsOf(out)).toEqual(await digestsOf(next))
  })
})

describe("a late joiner of the group", () => {
  test("opens what was released before it came, with no party at hand", async () => {
    const late = await joined("late", "--group", "edge")
    const out = join(workspace.root, "opened-late")
    await done(late.sealift("open", "acme/model@1", "-o", out))
    expect(await digestsOf(out)).toEqual(await digestsOf(model))
  })
})

describe("a release that was taken back", () => {
  test("is opened by nobody any more", async () => {
    const reason = ["--reason", "a wrong licence", "--key", keyOf("safety")]
    await done(anchor.sealift("withdraw", "acme/model@2", ...reason))
    const out = join(workspace.root, "opened-withdrawn")
    const open = edge.sealift("open", "acme/model@2", "-o", out)
    expect(await refused(open, 3, "RELEASE_WITHDRAWN")).toContain("a wrong licence")
  })
})

describe("a release whose gate cannot be asked", () => {
  test("stays shut, whatever the parties say, until the gate is back", async () => {
    const small = join(model, "config.json")
    await done(anchor.sealift("publish", "acme/gated", small, "--seal", "--audience", "edge"))
    await approveAll("acme/gated@1")
    await done(edge.sealift("stage", "acme/gated@1"))
    const isApproved = async () =>
      (await done(edge.sealift("releases", "acme/gated@1", "--json"))).includes('"approved"')
    expect(await pollUntil(isApproved, 10_000)).toBe(true)
    await anchor.stop()
    const out = join(workspace.root, "opened-gated")
    await refused(edge.sealift("open", "acme/gated@1", "-o", out), 3, "GATE_MISSING")
    anchor = await startNode(workspace, { name: "anchor" })
    const opens = async () => (await edge.sealift("open", "acme/gated@1", "-o", out)).code === 0
    expect(await pollUntil(opens, 30_000)).toBe(true)
    expect(existsSync(join(out, "config.json"))).toBe(true)
  })
})
