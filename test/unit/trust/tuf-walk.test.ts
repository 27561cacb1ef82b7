/** Which role's word counts for a target file, in any tree of delegations (TUF 1.0 §5.6.7). */
import { Metadata, MetadataKind, type Targets } from "@tufjs/models"
import { expect, test } from "vitest"
import { findTarget } from "../../../src/trust/tuf/delegation-walk.ts"

interface Role {
  readonly lists?: readonly string[]
  /** Names of roles that may sign everything; one with `!` ends the search. */
  readonly to?: readonly string[]
}

function metadataOf({ lists = [], to = [] }: Role): Metadata<Targets> {
  const entry = { length: 0, hashes: { sha256: "0".repeat(64) } }
  const roles = to.map((name) => {
    const terminating = name.endsWith("!")
    return { name: name.replace("!", ""), keyids: [], threshold: 1, terminating, paths: ["*"] }
  })
  const signed = {
    ...{ _type: "targets", spec_version: "1.0.31", version: 1, expires: "2030-01-01T00:00:00Z" },
    targets: Object.fromEntries(lists.map((path) => [path, entry])),
    delegations: { keys: {}, roles },
  }
  return Metadata.fromJSON(MetadataKind.Targets, { signed, signatures: [] })
}

/** Finds a file; gives the role that it was found in, and the roles that were looked at. */
async function walk(path: string, roles: Readonly<Record<string, Role>>) {
  const visited: string[] = []
  const found = await findTarget(path, {
    maySign: (role) => role !== "barred",
    load: async (role) => {
      visited.push(role)
      const known = roles[role]
      return known === undefined ? undefined : metadataOf(known)
    },
  })
  return { role: found?.role, visited }
}

test("asks roles depth first, in the order of delegations", async () => {
  const roles = { targets: { to: ["a", "b"] }, a: { to: ["c"] }, b: { lists: ["x"] }, c: {} }
  expect(await walk("x", roles)).toEqual({ role: "b", visited: ["targets", "a", "c", "b"] })
})

test("asks nobody after a delegation that ends the search", async () => {
  const roles = { targets: { to: ["a!", "b"] }, a: { to: ["c"] }, b: { lists: ["x"] } }
  expect(await walk("x", roles)).toEqual({ role: undefined, visited: ["targets", "a", "c"] })
})

test("ends in a circle", async () => {
  const roles = { targets: { to: ["a"] }, a: { to: ["b"] }, b: { to: ["a", "b"] } }
  expect(await walk("x", roles)).toEqual({ role: undefined, visited: ["targets", "a", "b"] })
})

test("looks at no more than 32 roles", async () => {
  const chain = Array.from({ length: 40 }, (_, index) => [`r${index}`, { to: [`r${index + 1}`] }])
  const roles = { ...Object.fromEntries(chain), targets: { to: ["r0"] } }
  expect((await walk("x", roles)).visited).toHaveLength(32)
})

test("passes over a role that may not sign the file", async () => {
  const roles = { targets: { to: ["barred", "b"] }, barred: { lists: ["x"] }, b: { lists: ["x"] } }
  expect((await walk("x", roles)).role).toBe("b")
})

test.each(["constructor", "toString", "__proto__"])(
  "finds no %s that nobody lists",
  async (path) => {
    expect((await walk(path, { targets: {} })).role).toBeUndefined()
  },
)
