/** Access lists: vectors, succession, and the size of a large fleet's. */
import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import {
  ACCESS_BYTES_MAX,
  parseAccessList,
  verifySuccessor,
} from "../../../src/fleet/access-list.ts"
import { may, type Verb } from "../../../src/fleet/access-rule.ts"
import { fromBase64, vectorsOf } from "../net/vectors.ts"

const FLEET = "ab".repeat(32)
const RECIPIENT = `age1pq1${"q".repeat(1_900)}`

describe("an access list", () => {
  test.each(vectorsOf("fleet", "access-"))("$case: $comment", ({ input, expect: code, output }) => {
    const read = () => parseAccessList(fromBase64(input.file!), input.fleet!)
    if (code === "ok") {
      const { version, members, groups } = read()
      expect({ version, peers: [...members.keys()], groups: [...groups.keys()] }).toEqual(output)
    } else expect(read).toThrow(expect.objectContaining({ code }))
  })

  test("of 10,000 nodes in 16 groups fits into 2 MiB", () => {
    const file = listFile({ nodesCount: 10_000 })
    expect(file.length).toBeLessThan(ACCESS_BYTES_MAX)
    expect(parseAccessList(file, FLEET).members.size).toBe(10_000)
  })

  test("of more nodes than that is refused", () => {
    const code = expect.objectContaining({ code: "ACCESS_INVALID" })
    expect(() => parseAccessList(listFile({ nodesCount: 10_001 }), FLEET)).toThrow(code)
  })
})

describe("what a node may", () => {
  test.each(vectorsOf("fleet", "may-"))("$case: $comment", ({ input, output }) => {
    const list = parseAccessList(fromBase64(input.file!), input.fleet!)
    const isAllowed = may(list, input.peer!, input.verb as Verb, input.where!)
    expect({ isAllowed }).toEqual(output)
  })

  test("is nothing without a list", () => {
    expect(may(undefined, peerOf(0), "find", "acme")).toBe(false)
  })
})

describe("a list that takes the place of another", () => {
  const accepted = parseAccessList(listFile({ version: 5, epoch: 3 }), FLEET)
  const follow = (fields: Parameters<typeof listFile>[0]) => () =>
    verifySuccessor(accepted, parseAccessList(listFile(fields), FLEET))

  test("is of a higher version", () => {
    expect(follow({ version: 6, epoch: 3 })).not.toThrow()
    expect(follow({ version: 6, epoch: 4 })).not.toThrow()
  })

  test("may be the same once more, and not another of its version", () => {
    expect(follow({ version: 5, epoch: 3 })).not.toThrow()
    const code = expect.objectContaining({ code: "ACCESS_ROLLBACK" })
    expect(follow({ version: 5, epoch: 4 })).toThrow(code)
    expect(follow({ version: 4, epoch: 3 })).toThrow(code)
  })

  test("takes no group back to an earlier epoch", () => {
    const code = expect.objectContaining({ code: "EPOCH_ROLLBACK" })
    expect(follow({ version: 6, epoch: 2 })).toThrow(code)
    expect(follow({ version: 6, epoch: 3, recipient: `${RECIPIENT}p` })).toThrow(code)
  })
})

/** A peer id's form; nobody has its key. */
function peerOf(index: number): string {
  const hex = createHash("sha256").update(`${index}`).digest("hex")
  return `12D3KooW${`${hex.replaceAll("0", "g")}`.slice(0, 44)}`
}

function listFile(
  options: { nodesCount?: number; version?: number; epoch?: number; recipient?: string } = {},
): Uint8Array {
  const { nodesCount = 3, version = 1, epoch = 1, recipient = RECIPIENT } = options
  const groups = Array.from({ length: 16 }, (_, index) => ({
    name: `group-${index}`,
    epoch,
    recipient,
    since: 1_794_000_000_000,
    previous: [],
  }))
  const nodes = Array.from({ length: nodesCount }, (_, index) => ({
    peer: peerOf(index),
    groups: [`group-${index % 16}`],
    labels: { arch: "arm64", gpu: "none", zone: `zone-${index % 40}` },
  }))
  const rules = [{ who: "all", verbs: ["find", "fetch", "seed"], where: ["*"] }]
  const fields = { v: 1, fleet: FLEET, version, issuedAt: 1_795_000_000_000 }
  return Buffer.from(JSON.stringify({ ...fields, nodes, groups, rules, revoked: [] }))
}
