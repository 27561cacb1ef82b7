/** `sealift fleet …`: what is asked of the node, what goes to standard output alone, which step comes next. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parseDevicePublic } from "../../../src/fleet/device.ts"
import { FleetError } from "../../../src/fleet/errors.ts"
import { fingerprintOf } from "../../../src/fleet/fingerprint.ts"
import { encodeFleetFiles } from "../../../src/fleet/fleet-files.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import {
  deviceOf,
  GATE_DEVICE,
  OTHER_PEER,
  openReleaseWorld,
  PEER,
  type ReleaseWorld,
} from "../api/release-world.ts"
import { FLEET } from "../release/world.ts"
import { type CommandWorld, openCommandWorld, runSealift } from "./command-world.ts"
import { sealKeyFile } from "./phrase-file.ts"

const KEY = createSigningKey().publicKey

let rooms: ReleaseWorld
let world: CommandWorld
const at = (name: string) => join(world.directory, name)
beforeEach(async () => {
  rooms = await openReleaseWorld()
  world = await openCommandWorld(rooms)
})
afterEach(() => world.close())

async function device(party: string): Promise<string> {
  const { file } = await deviceOf(party)
  const path = at(`${party}-${Math.random()}.pub`)
  await writeFile(path, Buffer.from(file, "base64"))
  return path
}

describe("a fleet whose keys lie elsewhere", () => {
  const init = (...argv: readonly string[]) => world.run("fleet", "init", "--name", "lab", ...argv)
  const digits = "0f".repeat(32)

  test("is drafted of public files and digits, with targets as root where nothing else is said", async () => {
    const alice = await device("alice")
    const { key } = parseDevicePublic(await readFile(alice))
    const root = ["--by", `root=${alice}`, "--by", `root=${KEY}`, "--threshold", "root=1"]
    await init(...root, "-o", at("draft"))
    expect(rooms.calls).toEqual([
      [
        "draft",
        {
          act: "found",
          name: "lab",
          held: [
            { roles: ["root"], keys: [key, KEY], threshold: 1 },
            { roles: ["targets"], keys: [key, KEY], threshold: 1 },
          ],
        },
      ],
    ])
  })

  test("may have other keys of targets, and of plan, which all sign unless told otherwise", async () => {
    const alice = await device("alice")
    const { key } = parseDevicePublic(await readFile(alice))
    const by = ["root", "targets", "plan"].flatMap((role) => ["--by", `${role}=${alice}`])
    await init(...by, "--by", `plan=${KEY}`, "-o", at("draft"))
    expect(rooms.calls[0]).toMatchObject([
      "draft",
      {
        held: [
          { roles: ["root"], keys: [key], threshold: 1 },
          { roles: ["targets"], keys: [key], threshold: 1 },
          { roles: ["plan"], keys: [key, KEY], threshold: 2 },
        ],
      },
    ])
  })

  test.each([
    [["-o", "draft"], "give --by for each"],
    [["--threshold", "root=2"], "give --by for each"],
    [["--by", `root=${digits}`], "[KEY_"],
    [["--by", `root=${KEY}`], "--out is missing"],
    [["--by", `root=${KEY}`, "--threshold", "plan=1", "-o", "draft"], "names plan"],
    [["--by", KEY, "-o", "draft"], "allowed: KEY=VALUE"],
    [["--by", "root=gone.pub", "-o", "draft"], "no such file"],
  ])("is not drafted by %j", async (argv, message) => {
    const { code, stderr } = await init(...argv)
    expect(code).not.toBe(0)
    expect(stderr).toContain(message)
    expect(rooms.calls).toEqual([])
  })
})

describe("what may be piped on stands alone on standard output", () => {
  test.each([
    [["fleet", "init", "--name", "lab"], FLEET, "fleet invite"],
    [["fleet", "invite"], "sealift-invite-1.abc", "fleet join"],
    [["fleet", "join", "sealift-invite-1.abc"], fingerprintOf(FLEET, PEER), "fleet show"],
  ])("%j prints it, and what comes next on standard error", async (argv, text, next) => {
    const { code, stdout, stderr } = await world.run(...argv)
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${text}\n` })
    expect(stderr).toContain(next)
    const quiet = await world.run(...argv, "--quiet")
    expect(quiet).toEqual({ code: 0, stdout: `${text}\n`, stderr: "" })
    const machine = await world.run(...argv, "--json")
    expect(machine.stderr).toBe("")
    expect(JSON.stringify(JSON.parse(machine.stdout))).toContain(text)
  })

  test("init says what a fleet of one node does not protect", async () => {
    const { stderr } = await world.run("fleet", "init", "--name", "lab")
    expect(stderr).toMatch(/only anchor[\s\S]*one machine/)
    expect((await world.run("fleet", "init")).stderr).toContain("--name is missing [USAGE_INVALID]")
  })
})

describe("who belongs to the fleet", () => {
  test.each([
    [
      ["invite", "--group", "edge", "--label", "arch=arm64", "--expires", "2h"],
      ["invite", { group: "edge", labels: { arch: "arm64" }, lifeMs: 7_200_000 }],
    ],
    [
      ["admit", OTHER_PEER, "--group", "edge", "--group", "lab", "--label", "a=b=c", "--anchor"],
      [
        "admit",
        { peer: OTHER_PEER, groups: ["edge", "lab"], labels: { a: "b=c" }, isAnchor: true },
      ],
    ],
    [
      ["revoke", PEER, OTHER_PEER],
      ["revoke", [PEER, OTHER_PEER]],
    ],
    [
      ["group", "add", "edge", PEER, OTHER_PEER],
      ["addToGroup", "edge", [PEER, OTHER_PEER]],
    ],
    [
      ["group", "remove", "edge", PEER],
      ["removeFromGroup", "edge", [PEER]],
    ],
    [["renew"], ["renew"]],
    [["desk", "take"], ["takeDesk"]],
    [
      ["rotate", "access"],
      ["rotate", "access", {}],
    ],
    [
      ["rotate", "plan", "--lost"],
      ["rotate", "plan", { isLost: true }],
    ],
  ])("fleet %j asks for %j", async (argv, call) => {
    const { code, stderr } = await world.run("fleet", ...argv)
    expect(code).toBe(0)
    expect(stderr).toContain("next")
    const reports = argv.includes("--anchor") ? [["report"]] : []
    expect(rooms.calls).toEqual([call, ...reports])
    expect(stderr.includes("WARNING: something lies")).toBe(reports.length > 0)
  })

  test("admit says how the node comes in, and which fingerprint it must have", async () => {
    const { stdout, stderr } = await world.run("fleet", "admit", OTHER_PEER)
    expect(stdout).toContain(`fingerprint ${fingerprintOf(FLEET, OTHER_PEER)}`)
    expect(stderr).toContain(`sealift fleet join ${FLEET}@/ip4/127.0.0.1/tcp/1/p2p/12D3`)
  })

  test.each([
    [["invite", "--label", "arch"], 2, "USAGE_INVALID"],
    [["invite", "--label", "a=1", "--label", "a=2"], 2, "USAGE_INVALID"],
    [["invite", "--expires", "soon"], 2, "USAGE_INVALID"],
    [["revoke"], 2, "USAGE_INVALID"],
    [["group", "add", "edge"], 2, "USAGE_INVALID"],
    [["group", "move"], 2, "USAGE_INVALID"],
    [["policy"], 2, "USAGE_INVALID"],
    [["desk", "leave"], 2, "USAGE_INVALID"],
    [["export"], 2, "USAGE_INVALID"],
    [["import", "/nowhere/lab.fleet"], 2, "USAGE_INVALID"],
  ])("fleet %j exits %i with [%s], in one line", async (argv, code, name) => {
    const ran = await world.run("fleet", ...argv)
    expect(ran.code).toBe(code)
    expect(ran.stderr).toMatch(new RegExp(`^sealift: [^\\n]+ \\[${name}\\]\\n$`))
    expect(rooms.calls).toEqual([])
  })

  test.each([
    ["ROLE_KEY_MISSING", 3],
    ["INVITE_REFUSED", 3],
    ["PEER_INVALID", 2],
    ["GROUP_UNKNOWN", 4],
    ["DESK_CONFLICT", 1],
  ] as const)("what the desk refuses with %s exits %i", async (code, exit) => {
    rooms.faults.set("admit", new FleetError(code, "refused"))
    expect((await world.run("fleet", "admit", OTHER_PEER)).code).toBe(exit)
  })
})

describe("fleet show", () => {
  test("shows nodes, groups, what was revoked and what ends when", async () => {
    const { stdout } = await world.run("fleet", "show")
    for (const part of [FLEET, PEER, fingerprintOf(FLEET, PEER), "root, access", "epoch 4"]) {
      expect(stdout).toContain(part)
    }
    expect(stdout).toMatch(new RegExp(`revoked +${OTHER_PEER}`))
    expect(stdout).toMatch(/timestamp +\d{4}-\d\d-\d\d \d\d:\d\d UTC/)
    const { stdout: json } = await world.run("fleet", "show", "--json")
    expect(JSON.parse(json)).toMatchObject({ fleet: FLEET, peer: PEER })
  })

  test("fails where there is no fleet, and says how to come into one", async () => {
    rooms.faults.set("report", new FleetError("NOT_ENROLLED", "this node is in no fleet"))
    expect((await world.run("fleet", "show")).code).toBe(3)
  })
})

describe("fleet policy", () => {
  test("is set with several devices in a party, thresholds and what is allowed", async () => {
    const [one, two, safety, keeper] = await Promise.all(
      ["owner", "owner", "safety", "keeper"].map(device),
    )
    const { code, stdout } = await world.run(
      ...[
        "fleet",
        "policy",
        "set",
        "acme",
        "--party",
        `owner=${one}`,
        "--party",
        `safety=${safety}`,
      ],
      ...["--party", `owner=${two}`, "--threshold", "owner=2", "--threshold", "gate=1"],
      ...["--gate", keeper!, "--inspector", "age1pq1x", "--allow-no-gate", "--allow-classical"],
    )
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "policy 1 of acme: owner, safety must approve; a gate of 1 device\n",
    })
    expect(rooms.calls).toMatchObject([
      [
        "setPolicy",
        {
          namespace: "acme",
          parties: [
            { name: "owner", threshold: 2, devices: [{ party: "owner" }, { party: "owner" }] },
            { name: "safety", threshold: 1, devices: [{ party: "safety" }] },
          ],
          gate: { threshold: 1, devices: [{ party: "keeper" }] },
          inspectors: ["age1pq1x"],
          allowsNoGate: true,
          allowsClassical: true,
        },
      ],
      ["report"],
    ])
  })

  test("names devices that are kept apart, and says what lies where it should not", async () => {
    const [owner, apart, keeper, spare] = await Promise.all(
      ["owner", "owner", "gate-keeper", "gate-keeper"].map(device),
    )
    const set = ["fleet", "policy", "set", "acme", "--party", `owner=${owner}`]
    const recovery = ["--recovery", `owner=${apart}`, "--recovery", `gate=${spare}`]
    const { stderr } = await world.run(...set, "--gate", keeper!, ...recovery)
    expect(stderr).toContain("WARNING: something lies where it should not")
    const named = (party: string, isRecovery: boolean) =>
      expect.objectContaining({ party, ...(isRecovery && { isRecovery }) })
    expect(rooms.calls[0]).toMatchObject([
      "setPolicy",
      {
        parties: [{ devices: [named("owner", false), named("owner", true)] }],
        gate: { devices: [named("gate-keeper", false), named("gate-keeper", true)] },
      },
    ])
    const alone = await world.run(...set, "--recovery", `gate=${spare}`)
    expect(alone.stderr).toContain('--recovery names "gate", of which no other device is given')
    const other = await world.run(...set, "--recovery", `owner=${spare}`)
    expect(other.stderr).toContain('that device is one of "gate-keeper"')
  })

  test("replaces the one before as a whole, and says who is asked no more and what opens no more", async () => {
    const party = ["--party", `legal=${await device("legal")}`]
    const set = async (...argv: readonly string[]) =>
      (await world.run("fleet", "policy", "set", "acme", ...party, ...argv)).stderr
    const { version, parties } = rooms.policy!.policy
    rooms.policy = { ...rooms.policy!, policy: { ...rooms.policy!.policy, version: version + 1 } }
    const replaced = await set()
    expect(replaced).toContain(`NO LONGER ASKED: ${parties.map(({ name }) => name).join(", ")}`)
    expect(replaced).toContain(`policy ${version + 1} opens no more`)
    expect(await set("--keep-openable")).toContain("opens where it was approved before")
    expect(rooms.calls.at(-2)).toMatchObject(["setPolicy", { keepsOpenable: true }])
    rooms.policy = undefined
    expect(await set()).not.toMatch(/NO LONGER|opens no more/)
  })

  test("refuses what is not a party's file, or a threshold of nobody", async () => {
    const owner = await device("owner")
    await writeFile(at("none.pub"), "{}")
    const set = async (...argv: readonly string[]) =>
      (await world.run("fleet", "policy", "set", "acme", ...argv)).stderr
    expect(await set()).toContain("no party is named")
    expect(await set("--party", owner)).toContain("allowed: KEY=VALUE")
    expect(await set("--party", `safety=${owner}`)).toContain('that device is one of "owner"')
    expect(await set("--party", `owner=${at("none.pub")}`)).toContain("[DEVICE_INVALID]")
    expect(await set("--party", `owner=${at("gone.pub")}`)).toContain("no such file")
    expect(await set("--party", `owner=${owner}`, "--threshold", "safety=1")).toContain("safety")
    expect(await set("--party", `owner=${owner}`, "--threshold", "owner=0")).toContain("from 1")
    expect(rooms.calls).toEqual([])
  })

  test("is shown, and is exit 3 where there is none", async () => {
    const { stdout } = await world.run("fleet", "policy", "show", "acme")
    expect(stdout).toMatch(/party owner +1 of 1 devices/)
    expect(stdout).toMatch(/gate +1 of 1 devices/)
    rooms.policy = undefined
    const none = await world.run("fleet", "policy", "show", "acme")
    expect(none).toMatchObject({ code: 3, stderr: expect.stringContaining("[POLICY_MISSING]") })
  })
})

test("fleet key says who names the key that was made, and of one that counts that it does", async () => {
  const noteOf = async (role: string) => (await world.run("fleet", "key", role)).stderr
  expect(await noteOf("desk")).toContain("where the keys of root are")
  expect(await noteOf("plan")).toContain("where the keys of targets are")
  expect(await noteOf("access")).toContain("the fleet names it for access")
})

test("fleet import gives the node the file's bytes, and refuses a larger one by itself", async () => {
  await writeFile(at("lab.fleet"), '{"v":1,"files":[]}')
  expect((await world.run("fleet", "import", at("lab.fleet"))).stdout).toContain("access list 12")
  expect(rooms.calls.map(([act]) => act)).toEqual(["takeFiles", "report"])
})

describe("without a running node", () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "sealift-own-"))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test("fleet init runs one for its own time, and leaves none behind", async () => {
    const { code, stdout, stderr } = await runSealift([
      ...["fleet", "init", "--name", "lab", "--data", directory],
    ])
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining("for its own time"),
    })
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
    const record = JSON.parse(await readFile(join(directory, "fleet", "fleet.json"), "utf8"))
    expect(`${record.fleet}\n`).toBe(stdout)
    await expect(readFile(join(directory, "node.json"))).rejects.toThrow()
  })

  test("the other commands of the fleet say that none runs", async () => {
    const { code, stderr } = await runSealift(["fleet", "show", "--data", directory])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("[NODE_NOT_RUNNING]"),
    })
  })
})

describe("gate key", () => {
  test("writes the public file of the node's device, and says whose it is", async () => {
    const path = at("keeper.pub")
    const { code, stdout } = await world.run("gate", "key", "--out", path)
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `wrote ${path}: this node's device of the gate, ${GATE_DEVICE.key}\n`,
    })
    expect(parseDevicePublic(await readFile(path)).key).toBe(GATE_DEVICE.key)
    expect(rooms.calls).toEqual([["gateKey"]])
  })

  test("brings one that was made elsewhere, its passphrase opened here", async () => {
    await writeFile(at("phrase.txt"), "one two three")
    const [key, phrase] = [at("spare.key"), ["--passphrase-file", at("phrase.txt")]]
    await world.run("party", "init", "gate-keeper", "--out", key)
    await sealKeyFile(key, "one two three")
    const bring = ["gate", "key", "--import", key, "--out", at("spare.pub")]
    expect((await world.run(...bring)).stderr).toContain("has a passphrase")
    const { code, stderr } = await world.run(...bring, ...phrase)
    expect(code).toBe(0)
    expect(stderr).toContain("destroy it")
    expect(rooms.calls).toEqual([["takeGateKey", expect.anything()]])
  })
})

describe("a site that meets nobody", () => {
  test("joins by the file of the fleet, and its id", async () => {
    await writeFile(at("lab.fleet"), encodeFleetFiles([]))
    const { code, stdout } = await world.run("fleet", "join", FLEET, "--files", at("lab.fleet"))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${fingerprintOf(FLEET, PEER)}\n` })
    expect(rooms.calls).toMatchObject([["joinByFiles", FLEET, []]])
  })

  test("writes its key, and others take it in", async () => {
    const path = at("site.nodekeys")
    const written = await world.run("fleet", "node-key", "export", "--all", "--out", path)
    expect(written.stdout).toBe(`wrote ${path}: keys of one node\n`)
    const taken = await world.run("fleet", "node-key", "import", path)
    expect(taken).toMatchObject({ code: 0, stdout: `${PEER}\n` })
    expect(taken.stderr).toContain("gate grant")
  })
})
