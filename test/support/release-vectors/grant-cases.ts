/** Cases of lists of grants, for ../release-vectors.ts; the tree is RFC 6962's own recursion. */
import { hex, lp, seeded } from "../key-schedule-scene.ts"
import { leafOf, pathOf, rootOf } from "../rfc6962.ts"
import {
  ageText,
  bad,
  base64,
  type Case,
  changed,
  type Fields,
  good,
  hash,
  PEERS,
} from "./scene.ts"

interface Grant {
  readonly to: string
  readonly file: string
}

const APPROVAL = hash("an approval")

function leaf({ to, file }: Grant): Buffer {
  return leafOf(lp("sealift/grant/v1", to, Buffer.from(file, "base64")))
}

/** Sorted: groups of one digit, then a node. */
function grantsOf(count: number): Grant[] {
  const entries = Array.from({ length: count - 1 }, (_, index) => `group:g${index}:4`)
  return [...entries, `node:${PEERS[0]}`].map((to) => ({ to, file: ageText(to) }))
}

const signedBy = (grants: readonly Grant[]) => ({
  root: hex(rootOf(grants.map(leaf))),
  count: grants.length,
})

function roots(): Case[] {
  return [1, 2, 3, 5, 8].map((count) => {
    const grants = grantsOf(count)
    const leaves = grants.map(leaf)
    const proofs = leaves.map((_, index) => pathOf(index, leaves).map(hex))
    const comment = `${count} grants.`
    return good(`grants-${count}`, comment, { grants }, { ...signedBy(grants), proofs })
  })
}

const LIST = { v: 1, approval: APPROVAL, grants: grantsOf(3) }

function inputOf(file: unknown, grants: readonly Grant[] = LIST.grants): Fields {
  const text = typeof file === "string" ? file : JSON.stringify(file)
  return { file: base64(Buffer.from(text)), approval: APPROVAL, ...signedBy(grants) }
}

function lists(): Case[] {
  const wrong = (
    name: string,
    comment: string,
    change: (copy: Fields) => unknown,
    code = "GRANTS_INVALID",
  ) => bad(`list-${name}`, comment, inputOf(changed(LIST, change)), code)
  const notSigned = "GRANT_NOT_SIGNED"
  return [
    good("list-ok", "Three grants.", inputOf(LIST), { to: LIST.grants.map(({ to }) => to) }),
    good("list-empty", "None, as signed.", inputOf({ ...LIST, grants: [] }, []), { to: [] }),
    bad("list-json", "A key stands twice.", inputOf('{"v":1,"v":1}'), "GRANTS_INVALID"),
    bad("list-array", "The grants alone.", inputOf(LIST.grants), "GRANTS_INVALID"),
    wrong("version", "Another version.", (copy) => (copy.v = 2)),
    wrong("approval-missing", "Of no approval.", (copy) => delete copy.approval),
    wrong("grants-missing", "No list.", (copy) => delete copy.grants),
    wrong("unsorted", "Not sorted.", (copy) => copy.grants.reverse()),
    wrong("twice", "An entry twice.", (copy) => (copy.grants[1].to = copy.grants[0].to)),
    wrong("to", "No audience entry.", (copy) => (copy.grants[0].to = "all")),
    wrong("file", "No base64.", (copy) => (copy.grants[0].file = "*")),
    wrong(
      "file-large",
      "16 KiB and a byte.",
      (copy) => (copy.grants[0].file = base64(seeded("x", 16_385))),
    ),
    wrong(
      "approval-other",
      "Of another approval.",
      (copy) => (copy.approval = hash("x")),
      notSigned,
    ),
    wrong("fewer", "One was left out.", (copy) => copy.grants.pop(), notSigned),
    wrong(
      "swapped",
      "Two files change places.",
      (copy) => {
        const [one, other] = copy.grants
        ;[one.file, other.file] = [other.file, one.file]
      },
      notSigned,
    ),
    wrong(
      "to-other",
      "For somebody else.",
      (copy) => (copy.grants[2].to = `node:${PEERS[1]}`),
      notSigned,
    ),
    wrong("file-other", "Another file.", (copy) => (copy.grants[0].file = ageText("x")), notSigned),
  ]
}

function proven(): Case[] {
  const grants = grantsOf(5)
  const leaves = grants.map(leaf)
  const at = (index: number): Fields => {
    const { to, file } = grants[index]!
    return { v: 1, approval: APPROVAL, index, to, file, proof: pathOf(index, leaves).map(hex) }
  }
  const right = (name: string, comment: string, index: number) =>
    good(`proven-${name}`, comment, inputOf(at(index), grants), { to: grants[index]!.to, index })
  const wrong = (
    name: string,
    comment: string,
    change: (copy: Fields) => unknown,
    code = "GRANTS_INVALID",
  ) => bad(`proven-${name}`, comment, inputOf(changed(at(1), change), grants), code)
  const notSigned = "GRANT_NOT_SIGNED"
  return [
    right("first", "The first of five.", 0),
    right("second", "The second.", 1),
    right("last", "The last: a short proof.", 4),
    wrong("version", "Another version.", (copy) => delete copy.v),
    wrong("index-missing", "No place.", (copy) => delete copy.index),
    wrong("index-large", "A place that no list has.", (copy) => (copy.index = 10_000)),
    wrong("proof-missing", "No proof.", (copy) => delete copy.proof),
    wrong(
      "proof-long",
      "15 hashes.",
      (copy) => (copy.proof = Array.from({ length: 15 }, () => hash("x"))),
    ),
    wrong("proof-hash", "31 bytes.", (copy) => (copy.proof[0] = copy.proof[0].slice(2))),
    wrong("proof-number", "A number.", (copy) => (copy.proof[0] = 1)),
    wrong("to", "No audience entry.", (copy) => (copy.to = "")),
    wrong(
      "approval-other",
      "Of another approval.",
      (copy) => (copy.approval = hash("x")),
      notSigned,
    ),
    wrong("index-other", "Another place.", (copy) => (copy.index = 0), notSigned),
    wrong(
      "index-outside",
      "A place that this list has not.",
      (copy) => (copy.index = 5),
      notSigned,
    ),
    wrong("proof-short", "A hash is missing.", (copy) => copy.proof.pop(), notSigned),
    wrong("proof-more", "A hash too many.", (copy) => copy.proof.push(hash("x")), notSigned),
    wrong("proof-other", "Another hash.", (copy) => (copy.proof[1] = hash("x")), notSigned),
    wrong("to-other", "For somebody else.", (copy) => (copy.to = grants[0]!.to), notSigned),
    wrong("file-other", "Another file.", (copy) => (copy.file = ageText("x")), notSigned),
  ]
}

export function grantCases(): Case[] {
  return [...roots(), ...lists(), ...proven()]
}
