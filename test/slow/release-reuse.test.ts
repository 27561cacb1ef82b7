/**
 * The next version of a sealed model moves what changed, and no more; after a revocation everything that
 * the revoked node may hold keys of is sealed anew. REUSE_MIB: size of the model's eight files together.
 */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { appendFile, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { Outcome } from "../support/process.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const FILES = 8
const MIB = 1024 ** 2
const FILE_BYTES = (Number(process.env.REUSE_MIB ?? 64) * MIB) / FILES
/** What moves may be more than the files by the framing of the ciphertext and of the wire. */
const OVERHEAD_MAX = 1.05

let workspace: Workspace
let anchor: SealiftNode
let edge: SealiftNode
let leaving: SealiftNode
let model: string

async function done(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return stdout.trim()
}

async function downloadedBytes(node: SealiftNode): Promise<number> {
  return JSON.parse(await done(node.sealift("status", "--json"))).swarm.downloadedBytes
}

/** Publishes, has every party approve, and stages. @returns the bytes that the node received for it */
async function release(node: SealiftNode): Promise<{ ref: string; moved: number }> {
  const publish = anchor.sealift("publish", "acme/model", model, "--seal", "--audience", "edge")
  const ref = await done(publish)
  await done(anchor.sealift("approve", ref, "--key", join(workspace.root, "owner.key")))
  const before = await downloadedBytes(node)
  await done(node.sealift("stage", ref))
  return { ref, moved: (await downloadedBytes(node)) - before }
}

beforeAll(async () => {
  workspace = openWorkspace("release-reuse")
  model = join(workspace.root, "model")
  await mkdir(model)
  for (let index = 0; index < FILES; index++) {
    const path = join(model, `${index}.safetensors`)
    for (let left = FILE_BYTES; left > 0; left -= 64 * MIB) {
      const bytes = randomBytes(Math.min(left, 64 * MIB))
      await (left === FILE_BYTES ? writeFile(path, bytes) : appendFile(path, bytes))
    }
  }
  anchor = await startNode(workspace, { name: "anchor" })
  await done(anchor.sealift("fleet", "init", "--name", "lab"))
  const key = join(workspace.root, "owner.key")
  await done(anchor.sealift("party", "init", "owner", "--out", key))
  await done(anchor.sealift("fleet", "policy", "set", "acme", "--party", `owner=${key}.pub`))
  const nodes: SealiftNode[] = []
  for (const name of ["edge", "leaving"]) {
    const node = await startNode(workspace, { name })
    const token = await done(anchor.sealift("fleet", "invite", "--group", "edge"))
    await done(node.sealift("fleet", "join", token))
    nodes.push(node)
  }
  ;[edge, leaving] = nodes as [SealiftNode, SealiftNode]
})
afterAll(() => workspace.close())

test("one changed file of eight moves, and nothing else", async () => {
  const first = await release(edge)
  expect(first.moved / (FILES * FILE_BYTES)).toBeGreaterThanOrEqual(1)
  await writeFile(join(model, "3.safetensors"), randomBytes(FILE_BYTES))
  const second = await release(edge)
  process.stderr.write(`moved ${second.moved / FILE_BYTES} of one file\n`)
  expect(second.moved / FILE_BYTES).toBeGreaterThanOrEqual(1)
  expect(second.moved / FILE_BYTES).toBeLessThan(OVERHEAD_MAX)
})

test("after a revocation every file is sealed anew, and the revoked node opens none", async () => {
  await done(leaving.sealift("stage", "acme/model@2"))
  await done(anchor.sealift("fleet", "revoke", leaving.peerId))
  await writeFile(join(model, "5.safetensors"), randomBytes(FILE_BYTES))
  const { ref, moved } = await release(edge)
  expect(moved / (FILES * FILE_BYTES)).toBeGreaterThanOrEqual(1)
  const out = join(workspace.root, "lost")
  expect((await leaving.sealift("open", ref, "-o", out)).code).not.toBe(0)
  expect(existsSync(out)).toBe(false)
  await done(edge.sealift("open", ref, "-o", join(workspace.root, "opened")))
})
