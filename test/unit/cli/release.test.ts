/** Commands of releases: what is asked of the node, what is printed, and with what each ends. */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { openingText } from "../../../src/cli/command/release-text.ts"
import { CliError } from "../../../src/cli/errors.ts"
import { ReleaseError } from "../../../src/release/errors.ts"
import { deviceOf, OTHER_PEER, openReleaseWorld, type ReleaseWorld } from "../api/release-world.ts"
import { PLAIN } from "../release/world.ts"
import { type CommandWorld, openCommandWorld, runSealift } from "./command-world.ts"

const REF = "acme/model@5"
let rooms: ReleaseWorld
let world: CommandWorld
const at = (name: string) => join(world.directory, name)
beforeEach(async () => {
  rooms = await openReleaseWorld()
  world = await openCommandWorld(rooms)
  await rooms.arrive(5)
})
afterEach(() => world.close())

const asked = () => rooms.calls.filter(([act]) => act !== "refresh")

describe("publish", () => {
  const BASE = { namespace: "acme", name: "model", paths: ["/srv/model"], slots: {} }
  test.each([
    [["/srv/model"], { ...BASE, visibility: "fleet", audience: [], gate: "open" }],
    [["/srv/model", "--public"], { ...BASE, visibility: "public", audience: [], gate: "open" }],
    [
      ["/srv/model", "--seal", "--audience", "edge", "--audience", "lab", "--hold"],
      { ...BASE, visibility: "sealed", audience: ["edge", "lab"], gate: "hold" },
    ],
    [
      ["/srv/model", "--seal", "--audience", `node:${OTHER_PEER}`, "--no-gate"],
      { ...BASE, visibility: "sealed", audience: [`node:${OTHER_PEER}`], gate: "none" },
    ],
    [
      ["/srv/model", "--life", "90d", "--floor", "2", "--slot", "arch=arm64"],
      {
        ...{ ...BASE, visibility: "fleet", audience: [], gate: "open" },
        ...{ lifeMs: 7_776_000_000, floor: 2, slots: { arch: "arm64" } },
      },
    ],
    [
      ["/srv/model", "--requires", "acme/base@3", "--requires", "acme/lib/x@1"],
      {
        ...{ ...BASE, visibility: "fleet", audience: [], gate: "open" },
        requires: [
          { namespace: "acme", name: "base", sequence: 3 },
          { namespace: "acme", name: "lib/x", sequence: 1 },
        ],
      },
    ],
    [
      ["/srv/common", ...["--variant", "arch=arm64,zone=lab:/srv/arm"], "--variant", ":/srv/any"],
      {
        ...{ namespace: "acme", name: "model", paths: ["/srv/common"], visibility: "fleet" },
        ...{ audience: [], gate: "open" },
        variants: [
          { slots: { arch: "arm64", zone: "lab" }, paths: ["/srv/arm"] },
          { slots: {}, paths: ["/srv/any"] },
        ],
      },
    ],
    [
      ["--variant", "a=1,b=2:/x", "--variant", "b=2,a=1:/y:z"],
      {
        ...{ namespace: "acme", name: "model", paths: [], visibility: "fleet" },
        ...{ audience: [], gate: "open" },
        variants: [{ slots: { a: "1", b: "2" }, paths: ["/x", "/y:z"] }],
      },
    ],
    [
      ["oci:registry.example/team/app:1"],
      {
        ...{ ...BASE, visibility: "fleet", audience: [], gate: "open" },
        ...{ paths: [], image: "registry.example/team/app:1" },
      },
    ],
    [
      ["/srv/model", "--unpack"],
      { ...BASE, visibility: "fleet", audience: [], gate: "open", unpack: true },
    ],
    [
      ["--reissue", "1"],
      { ...BASE, paths: [], visibility: "sealed", audience: [], gate: "open", reissues: 1 },
    ],
  ])("%j asks for %j", async (argv, request) => {
    const { code, stdout, stderr } = await world.run("publish", "acme/model", ...argv)
    expect({ code, stdout }).toEqual({ code: 0, stdout: "acme/model@1\n" })
    expect(stderr).toContain("sealift inspect acme/model@1")
    expect(asked()).toEqual([["publish", request]])
  })

  test("takes an activation from a file, of YAML or JSON", async () => {
    for (const text of ["files: /srv/web\n", '{"files": {"path": "/srv/web"}}']) {
      await writeFile(at("how.yaml"), text)
      const argv = ["publish", "acme/model", "/srv/model", "--activation", at("how.yaml")]
      const { code, stderr } = await world.run(...argv)
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringContaining("no plan says otherwise"),
      })
    }
    const activation = { kind: "files", path: "/srv/web" }
    expect(asked()).toMatchObject([
      ["publish", { activation }],
      ["publish", { activation }],
    ])
  })

  test.each([
    ["files: [", /how\.yaml:1:\d+ is not valid YAML/],
    ["files: web", /cannot use the activation: files: "web" is not allowed/],
  ])("refuses an activation that is %j", async (text, message) => {
    await writeFile(at("how.yaml"), text)
    const argv = ["publish", "acme/model", "/srv/model", "--activation", at("how.yaml")]
    const { code, stderr } = await world.run(...argv)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) })
    expect(stderr).toContain("[PLAN_INVALID]")
    expect(asked()).toEqual([])
  })

  test("says loudly what a release gives up", async () => {
    const noteOf = async (...argv: readonly string[]) =>
      (await world.run("publish", "acme/model", "/srv/model", ...argv)).stderr
    expect(await noteOf("--public")).toContain("PUBLIC")
    expect(await noteOf("--seal", "--audience", "edge", "--no-gate")).toContain("NO GATE")
    expect(await noteOf("--seal", "--audience", "edge", "--hold")).toContain("held")
    expect(await noteOf("--seal", "--audience", "edge", "--inspector", "age1pq1x")).toContain(
      "1 INSPECTORS",
    )
  })

  test("writes the policy of a namespace that has none, and prints it", async () => {
    rooms.policy = undefined
    const { file } = await deviceOf("owner")
    await writeFile(at("owner.pub"), Buffer.from(file, "base64"))
    const argv = ["publish", "acme/model", "/srv/model", "--party", `owner=${at("owner.pub")}`]
    const { code, stdout, stderr } = await world.run(...argv)
    expect({ code, stdout }).toEqual({ code: 0, stdout: "acme/model@1\n" })
    expect(stderr).toContain("policy 1 of acme: owner must approve")
    rooms.policy = (await openReleaseWorld()).policy
    const refused = await world.run(...argv)
    expect(refused).toMatchObject({ code: 3, stdout: "" })
    expect(refused.stderr).toContain("[POLICY_MISMATCH]")
    expect(asked().map(([act]) => act)).toEqual(["setPolicy", "publish"])
  })

  test.each([
    [["acme/model"], "USAGE_INVALID"],
    [["model", "/srv/model"], "REFERENCE_INVALID"],
    [["acme/model", "/srv/model", "oci:a:1"], "USAGE_INVALID"],
    [["acme/model", "/a", "--seal", "--public"], "USAGE_INVALID"],
    [["acme/model", "/a", "--seal", "--hold", "--no-gate"], "USAGE_INVALID"],
    [["acme/model", "/a", "--audience", "edge"], "USAGE_INVALID"],
    [["acme/model", "/a", "--no-gate"], "USAGE_INVALID"],
    [["acme/model", "/a", "--life", "long"], "USAGE_INVALID"],
    [["acme/model", "/a", "--floor", "0"], "USAGE_INVALID"],
    [["acme/model", "/a", "--reissue", "1"], "USAGE_INVALID"],
    [["acme/model", "--variant", "arch=arm64"], "USAGE_INVALID"],
    [["acme/model", "--variant", "arch=arm64:"], "USAGE_INVALID"],
    [["acme/model", "--variant", "arch:/a"], "USAGE_INVALID"],
    [["acme/model", "--variant", "a=1,a=2:/a"], "USAGE_INVALID"],
    [["acme/model", "/a", "--variant", "a=1:/b", "--slot", "a=1"], "USAGE_INVALID"],
    [["acme/model", "oci:a:1", "--variant", "a=1:/b"], "USAGE_INVALID"],
    [["acme/model", "--reissue", "1", "--variant", "a=1:/b"], "USAGE_INVALID"],
  ])("%j is refused with %s and exit 2", async (argv, name) => {
    const { code, stderr } = await world.run("publish", ...argv)
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(new RegExp(`^sealift: [^\\n]+ \\[${name}\\]\\n$`)),
    })
    expect(asked()).toEqual([])
  })
})

test("Ctrl-C ends the work on the node, and the command with 130", async () => {
  const working = Promise.withResolvers<AbortSignal>()
  const publisher = {
    ...rooms.releases.publisher,
    publish: (_: unknown, { signal }: { signal: AbortSignal }) => {
      working.resolve(signal)
      return new Promise<never>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
      })
    },
  }
  const own = await openCommandWorld({ ...rooms, releases: { ...rooms.releases, publisher } })
  const interrupt = new AbortController()
  const argv = ["publish", "acme/model", "/srv/model", "--data", own.directory]
  const ran = runSealift(argv, { signal: interrupt.signal })
  const work = await working.promise
  expect(work.aborted).toBe(false)
  interrupt.abort(new CliError("INTERRUPTED", "interrupted"))
  expect(await ran).toEqual({
    ...{ code: 130, stdout: "" },
    stderr: "sealift: interrupted [INTERRUPTED]\n",
  })
  await expect.poll(() => work.aborted).toBe(true)
  await own.close()
})

test("publish --seal asks for an audience, and --reissue keeps the one that was", async () => {
  const { code, stderr } = await world.run("publish", "acme/model", "/a", "--seal")
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("--audience GROUP") })
  expect((await world.run("publish", "acme/model", "--reissue", "1")).code).toBe(0)
})

test("what is approved is opened by hand, and what is held by a plan", () => {
  expect(openingText({ ref: REF, gate: "open" })).toContain(`"sealift open ${REF}"`)
  expect(openingText({ ref: REF, gate: "hold" })).toContain('"sealift rollout create plan.yaml"')
})

describe("what releases are", () => {
  test("is listed, each in one line with who is missing", async () => {
    const { stdout } = await world.run("releases")
    expect(stdout).toMatch(/^acme\/model@5 +announced +approved 1\/2, waiting for safety /)
    expect((await world.run("releases", "acme/other")).stdout).toBe("no releases\n")
    const machine = await world.run("releases", "--json")
    expect(JSON.parse(machine.stdout)).toMatchObject({ releases: [{ ref: REF }] })
  })

  test("says what can be done next with the newest: sign it, or open it", async () => {
    expect((await world.run("releases")).stderr).toContain(`"sealift inspect ${REF}"`)
    rooms.decision = { kind: "approved", devices: new Set() }
    expect((await world.run("releases")).stderr).toContain(`"sealift open ${REF}"`)
  })

  test("says why none of them is opened now, as does the status", async () => {
    rooms.blocked = { code: "NODE_CLONED", message: "another node is this one" }
    expect((await world.run("releases")).stderr).toMatch(
      /^this node opens none of them now: another node is this one \[NODE_CLONED\]$/m,
    )
    const machine = await world.run("releases", "--json")
    expect(JSON.parse(machine.stdout)).toMatchObject({ blocked: [{ code: "NODE_CLONED" }] })
    const { stdout } = await world.run("status")
    expect(stdout).toMatch(/^blocked +another node is this one \[NODE_CLONED\]$/m)
    rooms.blocked = undefined
    expect((await world.run("status")).stdout).not.toMatch(/^blocked/m)
  })

  test("inspect prints all that a party signs, even with --quiet", async () => {
    const { stdout, stderr } = await world.run("inspect", REF)
    for (const part of [
      /release +acme\/model@5/,
      /audience +group:edge:4/,
      /policy +3 /,
      /access list +12, made /,
      /gate +open, 1 of 1 devices/,
      /post-quantum +yes/,
      /inspectors +none/,
      /party +owner: approved/,
      /party +safety: not yet/,
      /1 files, 48 B/,
    ]) {
      expect(stdout).toMatch(part)
    }
    expect(stderr).toContain("by safety")
    expect((await world.run("inspect", REF, "--quiet")).stdout).toBe(stdout)
    expect((await world.run("inspect")).code).toBe(2)
  })
})

describe("an activation", () => {
  const argv = ["/bin/run", "a\u202eb\u009b31m", "x".repeat(4_000)]

  test("is shown to who signs it, as it stands there", async () => {
    await rooms.arrive(6, { activation: { kind: "podman", container: "web", timeoutMs: 1_000 } })
    const { stdout } = await world.run("inspect", "acme/model@6")
    expect(stdout).toContain('activation    {"kind":"podman","container":"web","timeoutMs":1000}\n')
  })

  test("that is long is cut, and does nothing to a terminal", async () => {
    await rooms.arrive(6, { activation: { kind: "exec", argv, timeoutMs: 1_000 } })
    const { stdout } = await world.run("inspect", "acme/model@6")
    expect(stdout).toContain(String.raw`"a\u{202e}b\u{9b}31m"`)
    expect(stdout).toMatch(/x… \(--json shows all\)\n/)
    const machine = await world.run("inspect", "acme/model@6", "--json")
    expect(JSON.parse(machine.stdout)).toMatchObject({ activation: { argv } })
  })
})

describe("stage", () => {
  test("takes a release by its number, and a bare name that is one", async () => {
    for (const ref of [REF, "acme/model", "release:acme/model"]) {
      const { code, stdout } = await world.run("stage", ref)
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: `${REF} 1 files, 48 B staged; approved 1/2, waiting for safety\n`,
      })
    }
    expect(asked()).toEqual([
      ["stage", 5],
      ["stage", 5],
      ["stage", 5],
    ])
  })

  test("takes images as before: tagged, forced, or of a bare name that is no release", async () => {
    await world.putImage("team/app", ["one"])
    for (const ref of ["registry.example/team/app:latest", "oci:registry.example/team/app"]) {
      expect((await world.run("stage", ref)).code).toBe(0)
    }
    expect((await world.run("stage", "registry.example/team/app")).code).toBe(0)
    expect(asked()).toEqual([])
  })
})

describe("get", () => {
  const OPEN = "acme/model@6"
  beforeEach(() => rooms.arrive(6, { content: PLAIN }))

  test("brings an open release, and writes its files where it is told", async () => {
    expect(await world.run("get", OPEN)).toMatchObject({
      code: 0,
      stdout: `${OPEN} 1 files, 48 B\n`,
    })
    expect(await world.run("get", OPEN, "-o", at("out"))).toMatchObject({
      code: 0,
      stdout: `${at("out")}: 1 files of ${OPEN}\n`,
    })
    expect(asked()).toEqual([
      ["stage", 6],
      ["stage", 6],
      ["open", at("out")],
    ])
  })

  test("writes nothing that is sealed: that is for open", async () => {
    const { code, stderr } = await world.run("get", REF, "-o", at("out"))
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("sealift open") })
    expect(asked()).toEqual([])
  })

  test("has no platforms of a release", async () => {
    expect((await world.run("get", OPEN, "--platform", "linux/arm64")).code).toBe(2)
    expect(asked()).toEqual([])
  })
})

describe("torrent", () => {
  const digest = PLAIN.files[0]!.digest
  const isPublic = () => world.deps.publicSide.isPublic(digest)
  beforeEach(async () => {
    await rooms.arrive(6, { content: { ...PLAIN, visibility: "public" } })
    await world.store.ingest(once(Buffer.from("a")), { expected: digest })
    rooms.decision = { kind: "approved", devices: new Set() }
  })

  test("of a release are its files', by its number or its bare name", async () => {
    for (const ref of ["acme/model@6", "acme/model"]) {
      const { code, stdout } = await world.run("torrent", ref)
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/^magnet:\?\S+\n$/),
      })
    }
    expect(isPublic()).toBe(false)
  })

  test("goes to everybody once all have approved what was published for everybody", async () => {
    rooms.decision = { kind: "missing", parties: ["safety"] }
    const early = await world.run("torrent", "acme/model@6", "--public")
    expect(early).toMatchObject({ code: 5, stderr: expect.stringContaining("APPROVALS_MISSING") })
    expect(isPublic()).toBe(false)
    rooms.decision = { kind: "approved", devices: new Set() }
    expect((await world.run("torrent", "acme/model@6", "--public")).code).toBe(0)
    expect(isPublic()).toBe(true)
    expect((await world.run("torrent", "acme/model@6", "--private")).code).toBe(0)
    expect(isPublic()).toBe(false)
  })

  test("stays in the fleet where the release is for the fleet", async () => {
    await rooms.arrive(7, { content: PLAIN })
    const { code, stderr } = await world.run("torrent", "acme/model@7", "--public")
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("PUBLIC_REFUSED") })
    expect(isPublic()).toBe(false)
  })
})

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

describe("open", () => {
  test("opens where it was told, seen from here, or in the data directory", async () => {
    await mkdir(at("sub"))
    expect((await world.run("open", REF, "-o", at("out"))).stdout).toContain(at("out"))
    const { stdout } = await world.run("open", REF)
    const folder = at("opened/acme/model/5")
    expect(stdout).toBe(`${folder}: 1 files of ${REF}\n`)
    expect(asked()).toEqual([
      ["open", at("out")],
      ["open", folder],
    ])
  })

  test("unpacks what was published so, or every archive, or none", async () => {
    for (const flags of [[], ["--unpack"], ["--no-unpack"]]) await world.run("open", REF, ...flags)
    expect(asked().map(([, , unpack]) => unpack)).toEqual([undefined, true, false])
  })

  test("is for a group that is named, and says what is closed to it on the way", async () => {
    const { stdout, stderr } = await world.run("open", REF, "-o", at("out"), "--group", "inference")
    expect(asked()).toEqual([["open", at("out"), "inference"]])
    expect(stdout).toBe(`${at("out")}: 1 files of ${REF}\n`)
    expect(stderr).toContain("the group inference cannot reach it: /home/me is closed to it")
  })

  test.each([
    ["OPENED_GROUP_INVALID", 2],
    ["APPROVALS_MISSING", 5],
    ["NOT_IN_AUDIENCE", 3],
    ["NOT_GRANTED", 3],
    ["GATE_MISSING", 3],
    ["GATE_REFUSED", 3],
    ["RELEASE_WITHDRAWN", 3],
    ["RELEASE_EXPIRED", 3],
    ["POLICY_NOT_CURRENT", 3],
    ["OUTPUT_EXISTS", 1],
    ["NO_VARIANT", 4],
  ] as const)("that is refused with %s exits %i, in one line", async (code, exit) => {
    rooms.faults.set("open", new ReleaseError(code, "so it is"))
    const ran = await world.run("open", REF)
    expect(ran).toEqual({
      ...{ code: exit, stdout: "" },
      stderr: `sealift: cannot open ${REF}: so it is [${code}]\n`,
    })
  })

  test("of what is unknown exits 4", async () => {
    rooms.isEnrolled = false
    const { code, stderr } = await world.run("open", "acme/none@1")
    expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining("in no fleet") })
  })
})

describe("verify", () => {
  const verify = () => world.run("verify", REF, "--deep")

  test("prints each rule, and exits 0 when all are met", async () => {
    rooms.decision = { kind: "approved", devices: new Set() }
    const { code, stdout } = await verify()
    expect(code).toBe(0)
    expect(stdout).toContain("every party approved")
    expect(asked()).toEqual([["verify", true]])
  })

  test("leads from signatures to contents, and from there to opening", async () => {
    rooms.decision = { kind: "approved", devices: new Set() }
    expect((await world.run("verify", REF)).stderr).toContain(`"sealift verify ${REF} --deep"`)
    expect((await verify()).stderr).toContain(`next: "sealift open ${REF}"`)
  })

  test.each([
    [{ kind: "missing", parties: ["safety"] }, 5, "APPROVALS_MISSING"],
    [{ kind: "withdrawn", by: { kind: "targets" }, reason: "so" }, 3, "RELEASE_WITHDRAWN"],
    [{ kind: "expired" }, 3, "RELEASE_EXPIRED"],
    [{ kind: "policy-not-current" }, 3, "POLICY_NOT_CURRENT"],
  ] as const)("of a release that is %j exits %i after the report", async (decision, exit, name) => {
    rooms.decision = decision
    const { code, stdout, stderr } = await verify()
    expect(code).toBe(exit)
    expect(stdout).toContain("every party approved")
    expect(stderr).toContain(`[${name}]`)
  })
})

describe("by file", () => {
  test("a release goes out, and never over what is there", async () => {
    expect((await world.run("release", "export", REF, "--out", at("m.release"))).code).toBe(0)
    expect([...(await readFile(at("m.release")))]).toEqual([4, 5, 6])
    const again = await world.run("release", "export", REF, "--out", at("m.release"))
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("[OUTPUT_EXISTS]") })
    const nowhere = await world.run("release", "export", REF, "--out", at("none/m.release"))
    expect(nowhere.stderr).toContain("no such file or folder")
    expect((await world.run("release", "export", REF)).stderr).toContain("--out is missing")
  })

  test("a release comes in, and its name is printed", async () => {
    await writeFile(at("m.release"), "bundle")
    const { stdout } = await world.run("release", "import", at("m.release"))
    expect(stdout).toBe(`${REF}\n`)
    expect(asked()).toEqual([["import", Buffer.from("bundle")]])
  })

  test("the gate's share goes to one node", async () => {
    const argv = ["gate", "grant", REF, "--node", OTHER_PEER, "--out", at("gate.grant")]
    expect((await world.run(...argv)).stderr).toContain(`on ${OTHER_PEER}`)
    expect((await world.run("gate", "import", at("gate.grant"))).stdout).toBe(`${REF}\n`)
    expect(asked()).toEqual([
      ["grantGate", OTHER_PEER],
      ["takeGateGrant", Buffer.from([1, 2, 3])],
    ])
    expect((await world.run("gate", "grant", REF, "--out", at("x"))).code).toBe(2)
  })
})

describe("withdraw", () => {
  test("by the node's own role needs a reason alone", async () => {
    const { code } = await world.run("withdraw", REF, "--reason", "a wrong licence")
    expect(code).toBe(0)
    expect(asked()).toEqual([["withdraw", 5, "a wrong licence", undefined]])
    expect((await world.run("withdraw", REF)).stderr).toContain("--reason is missing")
  })
})
