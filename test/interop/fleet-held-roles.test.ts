/**
 * Root and targets of a fleet of processes, held by keys away from every node: by files, and by a program
 * that signs as one for hardware does.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto"
import { existsSync } from "node:fs"
import { chmod, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { pollUntil } from "../support/process.ts"
import { apart, done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const HEARD_MS = 15_000

let workspace: Workspace
let fleet: ReleaseFleet
let edge: SealiftNode
/** A program that signs, and the key that it says it has. */
let program: string
let programKey: string

beforeAll(async () => {
  workspace = openWorkspace("fleet-held-roles")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  for (const name of ["alice", "bob"]) await fleet.makeParty(name)
  edge = await fleet.join("edge")
  program = await writeSigner()
}, 120_000)
afterAll(() => workspace.close())

/** Writes a program as the guide describes it. It is Node's own Ed25519, and knows nothing of Sealift. */
async function writeSigner(): Promise<string> {
  const { privateKey } = generateKeyPairSync("ed25519")
  const pem = privateKey.export({ type: "pkcs8", format: "pem" })
  const raw = createPublicKey(createPrivateKey(pem)).export({ type: "spki", format: "der" })
  programKey = raw.subarray(-32).toString("hex")
  const path = join(await workspace.folder("signer"), "sign")
  const source = [
    `#!${process.execPath}`,
    `const { createPrivateKey, sign } = require("node:crypto")`,
    `const { readFileSync } = require("node:fs")`,
    `if (process.argv[2] === "public") console.log("${programKey}")`,
    `else console.log(sign(null, Buffer.from(readFileSync(0, "utf8"), "base64"), createPrivateKey(${JSON.stringify(pem)})).toString("base64"))`,
  ]
  await writeFile(path, source.join("\n"))
  await chmod(path, 0o700)
  return path
}

const fleetId = async () =>
  JSON.parse(await done(fleet.anchor.sealift("fleet", "show", "--json"))).fleet as string
const signBy = async (name: string, draft: string, out: string) =>
  apart(
    ...["fleet", "sign", fleet.path(draft), "--key", fleet.keyOf(name)],
    ...["--fleet", await fleetId(), "-o", fleet.path(out), "--quiet"],
  )
const signOutside = async (draft: string, out: string) =>
  apart(
    ...["fleet", "sign", fleet.path(draft), "--signer", program, "--fleet", await fleetId()],
    ...["--state", fleet.path("signer.state"), "-o", fleet.path(out)],
  )
const submit = (...drafts: string[]) =>
  fleet.anchor.sealift("fleet", "submit", ...drafts.map((draft) => fleet.path(draft)))

describe("root and targets that two of three hold", () => {
  test("are handed over by a draft, signed by a file and by a program", async () => {
    const { anchor } = fleet
    const holders = ["alice", "bob"].flatMap((name) => ["--by", `${fleet.keyOf(name)}.pub`])
    const who = [...holders, "--by", programKey, "--threshold", "2", "-o", fleet.path("held")]
    await done(anchor.sealift("fleet", "hold", "root", "targets", ...who))
    const shown = await done(apart("fleet", "sign", fleet.path("held"), "--dry-run"))
    expect(shown).toContain("role root: 2 of 3 keys must sign, before 1 of 1")
    expect(shown).toContain(`${programKey}  NEW`)
    await refused(submit("held"), "TUF_SIGNATURES_MISSING")
    await done(signBy("alice", "held", "held.alice"))
    const line = await refused(submit("held.alice"), "TUF_SIGNATURES_MISSING")
    expect(line).toContain(programKey)
    await done(signOutside("held", "held.program"))
    await done(submit("held.alice", "held.program"))
    for (const role of ["root", "targets"]) {
      expect(existsSync(join(anchor.data, "fleet", "keys", `${role}.key`))).toBe(false)
    }
    const { holders: rows } = JSON.parse(await done(anchor.sealift("fleet", "show", "--json")))
    expect(rows.slice(0, 2)).toMatchObject([
      { role: "root", threshold: 2, here: 0 },
      { role: "targets", threshold: 2, here: 0 },
    ])
    expect(await done(anchor.sealift("fleet", "show"))).toMatch(/root +2 of 3 keys, 0 here/)
  })

  test("set a policy by a draft, which the others of the fleet follow", async () => {
    const { anchor } = fleet
    const party = ["--party", `owner=${fleet.keyOf("owner")}.pub`]
    await refused(anchor.sealift("fleet", "policy", "set", "other", ...party), "ROLE_KEY_MISSING")
    const draft = ["--draft", fleet.path("policy")]
    await done(anchor.sealift("fleet", "policy", "set", "other", ...party, ...draft))
    await done(signBy("bob", "policy", "policy.bob"))
    await done(
      apart(
        ...["fleet", "sign", fleet.path("policy.bob"), "--signer", program],
        ...["--state", fleet.path("signer.state"), "-o", fleet.path("policy.both")],
      ),
    )
    await done(submit("policy.both"))
    const isThere = await pollUntil(async () => {
      const { code } = await edge.sealift("fleet", "policy", "show", "other")
      return code === 0
    }, HEARD_MS)
    expect(isThere).toBe(true)
    // Nodes that join now follow the roots, and who is revoked is cut, without any of these keys.
    const late = await fleet.join("late")
    await done(late.sealift("fleet", "policy", "show", "other"))
    await done(anchor.sealift("fleet", "revoke", late.peerId))
  })

  test("are refused to who is none of them, to a stranger's fleet, and to a program that fails", async () => {
    const { anchor } = fleet
    await done(anchor.sealift("fleet", "renew", "--draft", fleet.path("next")))
    await refused(signBy("owner", "next", "next.owner"), "ROLE_KEY_MISSING")
    const key = ["--key", fleet.keyOf("bob"), "-o", fleet.path("next.wrong")]
    const wrong = ["--fleet", "0".repeat(64), ...key]
    await refused(apart("fleet", "sign", fleet.path("next"), ...wrong), "FLEET_WRONG")
    const state = ["--state", fleet.path("false.state"), "-o", fleet.path("next.false")]
    const failing = ["--signer", "/bin/false", "--fleet", await fleetId(), ...state]
    await refused(apart("fleet", "sign", fleet.path("next"), ...failing), "SIGNER_FAILED")
    for (const name of ["next.owner", "next.wrong", "next.false"]) {
      expect(existsSync(fleet.path(name))).toBe(false)
    }
    await done(signBy("bob", "next", "next.bob"))
    await done(signOutside("next.bob", "next.both"))
    await done(submit("next.both"))
    await refused(submit("next.both"), "DRAFT_OUTDATED")
  })
})
