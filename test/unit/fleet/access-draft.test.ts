/** Access lists as they are written: what is read back is what was meant. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  encodeAccess,
  encodeFitting,
  firstAccess,
  withMember,
  withoutMembers,
} from "../../../src/fleet/access-draft.ts"
import { ACCESS_BYTES_MAX, parseAccessList } from "../../../src/fleet/access-list.ts"
import { createIdentity } from "../../../src/net/identity.ts"

const FLEET = "ab".repeat(32)
const HEAD = { fleet: FLEET, version: 3, issuedAtMs: 5 }
const PEERS: readonly string[] = Array.from({ length: 8 }, () => createIdentity().id)
const RECIPIENT = `age1pq1${"q".repeat(1_950)}`
const groupOf = (name: string, chain = 0) => ({
  ...{ name, epoch: 20, recipient: RECIPIENT, sinceMs: 7 },
  previous: Array.from({ length: chain }, (_, index) =>
    Buffer.alloc(2_000, index).toString("base64"),
  ),
})
const GROUPS = new Map(
  ["edge", "lab"].map((name) => [name, { ...groupOf(name), previous: ["AAAA"] }]),
)

const member = fc.record({
  peer: fc.constantFrom(...PEERS),
  groups: fc.uniqueArray(fc.constantFrom("edge", "lab")),
  labels: fc.dictionary(fc.constantFrom("a", "__proto__", "x.Y-0_"), fc.constantFrom("a", "1.b")),
  isAnchor: fc.boolean(),
  minCounter: fc.nat(9),
})
const draft = fc
  .record({
    members: fc.uniqueArray(member, { selector: ({ peer }) => peer }),
    revoked: fc.uniqueArray(fc.constantFrom(...PEERS)),
  })
  .map(({ members, revoked }) => ({
    ...{ groups: GROUPS, rules: firstAccess(PEERS[0]!).rules },
    members: new Map(members.map((one) => [one.peer, one])),
    revoked: new Set(revoked.filter((peer) => !members.some((one) => one.peer === peer))),
  }))

describe("a list", () => {
  test("reads as it was meant", () => {
    fc.assert(
      fc.property(draft, (written) => {
        const { digest: _, ...read } = parseAccessList(encodeAccess(written, HEAD), FLEET)
        expect(read).toEqual({ ...HEAD, ...written })
      }),
      { numRuns: 50 },
    )
  })

  test("with a node let in and another left out is always one", () => {
    fc.assert(
      fc.property(draft, member, fc.subarray([...PEERS]), (before, added, gone) => {
        const next = withoutMembers(withMember(before, added), gone)
        const read = parseAccessList(encodeAccess(next, HEAD), FLEET)
        expect(gone.some((peer) => read.members.has(peer))).toBe(false)
        expect(gone.every((peer) => read.revoked.has(peer))).toBe(true)
        expect(read.members.has(added.peer)).toBe(!gone.includes(added.peer))
      }),
      { numRuns: 50 },
    )
  })

  test("that is too large carries fewer earlier epochs, the oldest of them first", () => {
    const names = Array.from({ length: 200 }, (_, index) => `group-${index}`)
    const groups = new Map(names.map((name) => [name, groupOf(name, 16)]))
    const large = { ...firstAccess(PEERS[0]!), groups }
    expect(encodeAccess(large, HEAD).length).toBeGreaterThan(ACCESS_BYTES_MAX)
    const read = parseAccessList(encodeFitting(large, HEAD), FLEET)
    const { previous } = read.groups.get("group-7")!
    expect(previous.length).toBeGreaterThan(1)
    expect(previous).toEqual(groups.get("group-7")!.previous.slice(0, previous.length))
  })
})
