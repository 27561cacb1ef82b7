/** What authors sign, read by readers of the same fleet (protocol/tuf-profile.md §5). */
import { expect, test } from "vitest"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { createFleet } from "../../../src/trust/tuf/fleet-creation.ts"
import {
  encodeDraft,
  parseRootDraft,
  parseTargetsDraft,
  repositoryOf,
} from "../../../src/trust/tuf/fleet-repository.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { type Publication, writePublication } from "../../../src/trust/tuf/publication.ts"
import { draftRoot, draftTargets, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import { fleetIdOf } from "../../../src/trust/tuf/tuf-bytes.ts"
import { publishChange, publishFleet } from "../../../src/trust/tuf/tuf-desk.ts"
import { canonicalJson, START_MS, sha256Hex, TufRepository } from "../../support/tuf-repository.ts"
import {
  contentsOf,
  DESK,
  desk,
  NAMES,
  newFleet,
  nextFile,
  ROOT,
  readerOf,
  roleSigners,
  signer,
  TARGETS,
  textOf,
} from "./tuf-fleet.ts"
import { codeOfFault } from "./tuf-reader.ts"

const YEAR_MS = 365 * 86_400_000

/** The files of all publications, written in their order. */
async function written(...publications: readonly Publication[]) {
  const files = memoryFiles()
  for (const publication of publications) await writePublication(publication, files)
  return files
}

test("creates a fleet that a reader joins by its id", async () => {
  const created = await newFleet()
  const files = await written(created)
  const client = await readerOf(created.fleet, files)
  expect(client.list().map(({ path, role }) => [role, path])).toEqual([
    ["targets", "policy/acme.json"],
    ["access", "access.json"],
    ["releases.acme", "releases/acme/model/1.json"],
  ])
  const policy = await textOf(client, files, "policy/acme.json")
  expect(policy).toBe(`{"fleet":"${created.fleet}"}`)
})

test("names a fleet by what its first root's signatures cover, whoever has signed", async () => {
  const { fleet, files } = await newFleet()
  const first = files.find(({ name }) => name === "metadata/1.root.json")!.bytes
  const { signed } = JSON.parse(new TextDecoder().decode(first)) as { signed: unknown }
  expect(fleet).toBe(sha256Hex(canonicalJson(signed)))
  const others = await newFleet(["root-2", ...NAMES])
  expect(others.fleet).toBe(fleet)
  expect(fleetIdOf(first)).toBe(fleet)
})

test.each(["root-1", "targets-2", "desk", "access", "acme"])(
  "creates no fleet without a signature by %s",
  async (missing) => {
    const created = newFleet(NAMES.filter((name) => name !== missing))
    expect(await codeOfFault(created)).toBe("TUF_SIGNATURES_MISSING")
  },
)

test("creates no fleet with a weak key", async () => {
  const weak = `ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f` as PublicKey
  const access = { keys: [weak], threshold: 1 }
  const plan = { root: ROOT, targets: TARGETS, desk: DESK, access, plan: access }
  const created = createFleet(plan, NAMES.map(signer), { nowMs: START_MS })
  expect(await codeOfFault(created)).toBe("KEY_WEAK")
})

test("lets a draft be carried from signer to signer until enough have signed", async () => {
  const roles = { root: ROOT, targets: TARGETS, desk: DESK }
  const rootDraft = encodeDraft(draftRoot(undefined, roles, START_MS + YEAR_MS))
  const targetsDraft = draftTargets("targets", undefined, { expiresMs: START_MS + YEAR_MS })
  let root = await signMetadata(parseRootDraft(rootDraft), [signer("root-2")])
  let targets = await signMetadata(targetsDraft, [signer("targets-2")])
  const early = publishFleet({ root, targets }, desk())
  expect(await codeOfFault(early)).toBe("TUF_SIGNATURES_MISSING")
  root = await signMetadata(parseRootDraft(encodeDraft(root)), [signer("root-3")])
  const carried = parseTargetsDraft("targets", encodeDraft(targets))
  targets = await signMetadata(carried, [signer("targets-1"), signer("targets-2")])
  expect(Object.keys(targets.signatures)).toHaveLength(2)
  const files = await written(await publishFleet({ root, targets }, desk()))
  const client = await readerOf(fleetIdOf(encodeDraft(root)), files)
  expect(client.accepted!.size).toBe(4)
})

test("does not read a draft that is none", () => {
  expect(() => parseRootDraft(Buffer.from("{}"))).toThrow(
    expect.objectContaining({ code: "TUF_MALFORMED" }),
  )
  expect(() => parseTargetsDraft("access", Buffer.from("["))).toThrow(
    expect.objectContaining({ code: "TUF_MALFORMED" }),
  )
})

test("does not take what a signer gives when it is no signature", async () => {
  const draft = draftTargets("access", undefined, { expiresMs: START_MS })
  const broken = { publicKey: signer("access").publicKey, sign: async () => new Uint8Array(64) }
  expect(await codeOfFault(signMetadata(draft, [broken]))).toBe("SIGNATURE_WRONG")
})

test.each([
  ["targets", "policy/acme.json", ["targets-1", "targets-2"]],
  ["access", "access.json", ["access"]],
] as const)("replaces a target file of %s", async (role, path, by) => {
  const created = await newFleet()
  const contents = contentsOf({ [path]: '{"next":true}' })
  const file = await nextFile(role, created.repository, { by, add: contents })
  const change = role === "targets" ? { targets: file } : { roles: new Map([[role, file]]) }
  const next = await publishChange(created.repository, { ...change, contents }, desk())
  const files = await written(created, next)
  const client = await readerOf(created.fleet, files)
  expect(await textOf(client, files, path)).toBe('{"next":true}')
})

test("adds the first file of a role and takes it away again", async () => {
  const created = await newFleet()
  const path = "plans/edge/1.json"
  const contents = contentsOf({ [path]: "{}" })
  const first = await nextFile("plan", created.repository, { by: ["plan"], add: contents })
  const roles = new Map([["plan", first]])
  const added = await publishChange(created.repository, { roles, contents }, desk())
  const files = await written(created, added)
  const client = await readerOf(created.fleet, files)
  expect(await textOf(client, files, path)).toBe("{}")
  const second = await nextFile("plan", added.repository, { by: ["plan"], remove: [path] })
  const change = { roles: new Map([["plan", second]]) }
  await writePublication(await publishChange(added.repository, change, desk()), files)
  await client.refresh(files)
  expect(await client.find(path)).toBeUndefined()
})

test.each([
  ["access", "policy/acme.json"],
  ["targets", "access.json"],
  ["releases.acme", "releases/beta/model/1.json"],
  ["plan", "plans/edge/0.json"],
])("does not let %s sign %s", async (role, path) => {
  const { repository } = await newFleet()
  const file = nextFile(role, repository, { by: [], add: contentsOf({ [path]: "{}" }) })
  expect(await codeOfFault(file)).toBe("TUF_DELEGATION_WRONG")
})

test("delegates a namespace, whose assets have names of several parts", async () => {
  const created = await newFleet()
  const by = ["targets-1", "targets-2"]
  const delegate = new Map([["releases.beta", roleSigners(["beta-1", "beta-2"], 2)]])
  const targets = await nextFile("targets", created.repository, { by, delegate })
  const delegated = await publishChange(created.repository, { targets }, desk())
  const path = "releases/beta/models/large/1.json"
  const contents = contentsOf({ [path]: "{}" })
  const file = await nextFile("releases.beta", delegated.repository, {
    by: ["beta-1", "beta-2"],
    add: contents,
  })
  const roles = new Map([["releases.beta", file]])
  const released = await publishChange(delegated.repository, { roles, contents }, desk())
  const files = await written(created, delegated, released)
  const client = await readerOf(created.fleet, files)
  expect(await textOf(client, files, path)).toBe("{}")
  expect(await client.find("releases/acme/model/1.json")).toBeDefined()
})

test.each([
  ["admission", "targets"],
  ["releases.Beta", "targets"],
  ["releases.beta", "access"],
])("does not delegate to %s from %s", async (name, role) => {
  const { repository } = await newFleet()
  const delegate = new Map([[name, roleSigners(["beta"], 1)]])
  const file = nextFile(role, repository, { by: [], delegate })
  expect(await codeOfFault(file)).toBe("TUF_DELEGATION_WRONG")
})

test("changes a role's key together with the role's file", async () => {
  const created = await newFleet()
  const by = ["targets-1", "targets-2"]
  const delegate = new Map([["access", roleSigners(["access-2"], 1)]])
  const targets = await nextFile("targets", created.repository, { by, delegate })
  const alone = publishChange(created.repository, { targets }, desk())
  expect(await codeOfFault(alone)).toBe("TUF_SIGNATURES_MISSING")
  const file = await nextFile("access", created.repository, { by: ["access-2"] })
  const change = { targets, roles: new Map([["access", file]]) }
  const files = await written(created, await publishChange(created.repository, change, desk()))
  const client = await readerOf(created.fleet, files)
  expect(client.faults).toEqual([])
  expect(await textOf(client, files, "access.json")).toBe('{"access":1}')
})

test("takes a stolen key away at once when the role's file may lack signatures", async () => {
  const created = await newFleet()
  const by = ["targets-1", "targets-2"]
  const delegate = new Map([["access", roleSigners(["access-2"], 1)]])
  const targets = await nextFile("targets", created.repository, { by, delegate })
  const change = { targets, mayLack: new Set(["access"]) }
  const files = await written(created, await publishChange(created.repository, change, desk()))
  const client = await readerOf(created.fleet, files)
  expect(client.faults).toEqual([{ role: "access", code: "TUF_SIGNATURES_MISSING" }])
  expect(await client.find("access.json")).toBeUndefined()
})

test("follows a root whose keys have all changed, signed by the old and the new ones", async () => {
  const created = await newFleet()
  const next = roleSigners(["root-4", "root-5"], 2)
  const draft = draftRoot(
    created.repository.root,
    { root: next, targets: TARGETS, desk: DESK },
    START_MS + YEAR_MS,
  )
  for (const names of [
    ["root-4", "root-5"],
    ["root-1", "root-2", "root-4"],
  ]) {
    const root = await signMetadata(draft, names.map(signer))
    const published = publishChange(created.repository, { root }, desk())
    expect(await codeOfFault(published)).toBe("TUF_SIGNATURES_MISSING")
  }
  const root = await signMetadata(draft, ["root-1", "root-2", "root-4", "root-5"].map(signer))
  const published = await publishChange(created.repository, { root }, desk())
  const client = await readerOf(created.fleet, await written(created, published))
  expect(client.accepted!.get("root")!.used!.metadata.signed.version).toBe(2)
})

test("goes on from what a reader has accepted, whoever wrote it", async () => {
  const others = new TufRepository()
  const files = memoryFiles(others.files)
  const client = await readerOf(others.fleet, files)
  const repository = repositoryOf(client.accepted!)
  const file = await nextFile("plan", repository, { by: ["plan"] })
  const roles = new Map([["plan", file]])
  await writePublication(await publishChange(repository, { roles }, desk()), files)
  // Files that were not changed stand as the other author wrote them, and are named as such.
  const fresh = await readerOf(others.fleet, files)
  expect(fresh.faults).toEqual([])
  expect(fresh.accepted!.get("plan")!.used!.metadata.signed.version).toBe(2)
  expect(await textOf(fresh, files, "access.json")).toBe('{"access":1}')
})
