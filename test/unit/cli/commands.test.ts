/** Commands against a control API over rooms in memory: what they print, write and exit with. */
import { createHash } from "node:crypto"
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { CliError } from "../../../src/cli/errors.ts"
import { type CommandWorld, openCommandWorld, runSealift } from "./command-world.ts"

const REF = "registry.example/team/app:latest"
let world: CommandWorld
let digests: readonly string[]
beforeEach(async () => {
  world = await openCommandWorld()
  digests = await world.putImage("team/app", ["one", "two", "three"])
})
afterEach(() => world.close())

const json = async (...argv: string[]) => {
  const { code, stdout, stderr } = await world.run(...argv, "--json")
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
}

describe("status, peers, id, config", () => {
  test("print one JSON document each, or text for people", async () => {
    const peerId = world.deps.net.id
    expect(await json("status")).toMatchObject([{ peerId, peerCount: 0 }])
    expect(await json("peers")).toEqual([{ peers: [], bans: [] }])
    expect(await json("id")).toMatchObject([{ peerId }])
    expect(await json("config")).toMatchObject([{ running: true, entries: [{ key: "lan" }] }])
    expect((await world.run("status")).stdout).toContain(peerId)
    expect((await world.run("peers")).stdout).toBe("no peers\n")
    expect((await world.run("id", "--quiet")).stdout.split("\n")[0]).toBe(peerId)
    expect((await world.run("config")).stdout).toMatch(/^lan +false +# default$/m)
  })

  test("config shows what flags would mean, with their source", async () => {
    const [report] = await json("config", "--lan", "--http", "127.0.0.1:0")
    expect(report.running).toBe(false)
    const http = report.entries.find((entry: { key: string }) => entry.key === "http")
    expect(http).toEqual({ key: "http", value: "127.0.0.1:0", source: "--http" })
  })
})

describe("stage and get", () => {
  test("bring an image and say what came from where", async () => {
    const { code, stdout, stderr } = await world.run("stage", REF)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toBe(`${REF} ${digests[0]} 13 B (13 B from the registry)\n`)
    const [report] = await json("stage", REF)
    expect(report).toMatchObject({ digest: digests[0], totalBytes: 13 })
  })

  test("stage several references, one document each", async () => {
    await world.putImage("b", ["four"])
    expect(await json("stage", REF, "registry.example/b")).toHaveLength(2)
  })

  test("leave nothing held: what was staged can be removed", async () => {
    await world.run("stage", REF)
    await expect.poll(async () => (await world.run("rm", digests[1]!)).code).toBe(0)
  })

  test("verify says whose word the name is, and finds what is missing or wrong", async () => {
    const early = await world.run("verify", REF)
    expect({ code: early.code, stderr: early.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("VERIFY_FAILED"),
    })
    expect(early.stdout).toContain(`MISSING  ${digests[1]}`)
    await world.run("stage", REF)
    const [right] = await json("verify", REF)
    expect(right).toMatchObject({
      parts: 5,
      namedBy: "upstream",
      missing: [],
      wrong: [],
      isWhole: true,
    })
    const named = await world.run("verify", `registry.example/team/app@${digests[0]}`)
    expect(named).toMatchObject({ code: 0, stdout: expect.stringContaining("by its digest") })
    world.store.flipBit(digests[2] as never, 0)
    const damaged = await world.run("verify", REF)
    expect(damaged).toMatchObject({ code: 1, stdout: expect.stringContaining(digests[2]!) })
    expect(damaged.stdout).toContain("WRONG")
    expect((await world.run("verify", REF, "--deep")).code).toBe(2)
    expect((await world.run("verify", "registry.example/none:latest")).code).toBe(4)
  })

  test("show a bar on a terminal, on standard error only", async () => {
    const argv = ["stage", REF, "--data", world.directory]
    const shown = await runSealift(argv, { isTerminal: true })
    expect(shown.stdout).toBe(`${REF} ${digests[0]} 13 B (13 B from the registry)\n`)
    expect(shown.stderr).not.toBe("")
    expect((await runSealift([...argv, "--quiet"], { isTerminal: true })).stderr).toBe("")
  })

  test("get writes an OCI layout whose every file has the digest of its name", async () => {
    const output = join(world.directory, "out", "app")
    expect((await world.run("get", REF, "-o", output)).stdout).toContain(`written to ${output}`)
    expect(JSON.parse(await readFile(join(output, "oci-layout"), "utf8"))).toEqual({
      imageLayoutVersion: "1.0.0",
    })
    const index = JSON.parse(await readFile(join(output, "index.json"), "utf8"))
    expect(index.manifests[0].digest).toBe(digests[0])
    expect(index.manifests[0].annotations["org.opencontainers.image.ref.name"]).toBe("latest")
    const names = await readdir(join(output, "blobs", "sha256"))
    expect(new Set(names.map((name) => `sha256:${name}`))).toEqual(new Set(digests))
    for (const name of names) {
      const bytes = await readFile(join(output, "blobs", "sha256", name))
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(name)
    }
    expect(await readdir(join(world.directory, "out"))).toEqual(["app"])
  })

  test("get writes only the chosen platform, and names it", async () => {
    const [amd] = await world.putImage("multi", ["amd layer"], "amd")
    const [arm] = await world.putImage("multi", ["arm layer"], "arm")
    const whole = await world.putIndex("multi", [
      ["linux/amd64", amd as never],
      ["linux/arm64", arm as never],
    ])
    const ref = "registry.example/multi:latest"
    const output = join(world.directory, "multi")
    await json("get", ref, "-o", output, "--platform", "linux/arm64")
    const index = JSON.parse(await readFile(join(output, "index.json"), "utf8"))
    expect(index.manifests).toHaveLength(1)
    expect(index.manifests[0]).toMatchObject({
      digest: arm,
      platform: { os: "linux", architecture: "arm64" },
    })
    const all = join(world.directory, "all")
    await json("get", ref, "-o", all, "--all-platforms")
    const allIndex = JSON.parse(await readFile(join(all, "index.json"), "utf8"))
    expect(allIndex.manifests[0].digest).toBe(whole)
    expect(await readdir(join(all, "blobs", "sha256"))).toHaveLength(6)
  })

  test("get refuses a directory that is not empty, and takes an empty one", async () => {
    const output = join(world.directory, "full")
    await mkdir(output)
    await writeFile(join(output, "mine"), "")
    const refused = await world.run("get", REF, "-o", output)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("[OUTPUT_EXISTS]")
    expect(await readdir(output)).toEqual(["mine"])
    const empty = join(world.directory, "empty")
    await mkdir(empty)
    expect((await world.run("get", REF, "-o", empty)).code).toBe(0)
  })

  test("get leaves nothing behind when it fails", async () => {
    const refused = await world.run("get", REF, "-o", "/proc/sealift/app")
    expect(refused.stderr).toContain("[OUTPUT_UNWRITABLE]")
    world.lose(digests[3] as never)
    const output = join(world.directory, "broken")
    const failed = await world.run("get", "registry.example/team/app", "-o", output)
    expect(failed.code === 0 || failed.code === 4).toBe(true)
    const names = await readdir(world.directory)
    expect(names.filter((name) => name.startsWith(".broken"))).toEqual([])
  })
})

describe("limits", () => {
  test("are shown, set in part, lifted and taken back", async () => {
    expect(await json("limits")).toMatchObject([{ inForce: { up: 5_000_000, metered: false } }])
    const [set] = await json("limits", "--down", "2MiB/s", "--wan-up", "500KB/s", "--metered")
    expect(set).toMatchObject({
      inForce: { up: 5_000_000, down: 2_097_152, wanUp: 500_000, metered: true },
      override: { down: 2_097_152 },
    })
    expect((await world.run("limits")).stdout).toMatch(
      /in all +5MB\/s +2MiB\/s\nLAN +unlimited +unlimited\nbeyond +500KB\/s/,
    )
    expect(await json("limits", "--up", "unlimited", "--no-metered")).toMatchObject([
      { inForce: { up: 0, down: 2_097_152, metered: false } },
    ])
    const [after] = await json("limits", "--reset")
    expect(after).toMatchObject({ inForce: { up: 5_000_000, metered: false } })
    expect(after).not.toHaveProperty("override")
  })
})

describe("ls, pin, unpin, rm, gc, store verify, torrent", () => {
  beforeEach(() => world.run("stage", REF))

  test("list images, blobs and pins", async () => {
    expect(await json("ls")).toMatchObject([{ images: [{ ref: REF, digest: digests[0] }] }])
    const blobs = await json("ls", "--blobs")
    expect(new Set(blobs.map((blob) => blob.digest))).toEqual(new Set(digests))
    expect((await world.run("ls")).stdout).toContain(REF)
    await json("pin", REF, "--name", "production")
    expect((await world.run("ls", "--pins")).stdout).toBe("production  5 blobs\n")
    expect((await world.run("ls", "--pins", "--blobs")).code).toBe(2)
  })

  test("keep what is pinned until it is unpinned", async () => {
    expect((await world.run("pin", REF)).stdout).toBe(`pinned ${REF} (5 blobs)\n`)
    expect(await json("gc", "--to", "0B")).toMatchObject([{ removed: [] }])
    expect((await world.run("rm", digests[1]!)).stderr).toContain("[BLOB_IN_USE]")
    expect((await world.run("rm", REF)).stderr).toContain(`"sealift unpin ${REF}" [BLOB_IN_USE]`)
    expect((await world.run("unpin", REF)).stdout).toBe(`unpinned ${REF}\n`)
    expect((await world.run("unpin", REF)).code).toBe(4)
    const [report] = await json("gc", "--to", "0B")
    expect(new Set(report.removed)).toEqual(new Set(digests))
  })

  test("remove an image and say what that freed", async () => {
    expect((await world.run("rm", REF)).stdout).toContain(`removed ${REF}: 5 blobs, `)
    expect((await world.run("rm", REF)).code).toBe(4)
  })

  test("verify the store: exit 1 with faults, 0 once they are repaired", async () => {
    expect((await world.run("store", "verify")).stdout).toContain("5 blobs, ")
    world.store.flipBit(digests[2] as never, 0)
    const found = await world.run("store", "verify")
    expect(found.code).toBe(1)
    expect(found.stdout).toContain(`${digests[2]} corrupt`)
    expect(found.stderr).toContain("[STORE_CORRUPT]")
    const repaired = await world.run("store", "verify", "--repair")
    expect(repaired.code).toBe(0)
    expect(repaired.stdout).toContain("1 faults, repaired")
  })

  test("give torrents of an image's blobs", async () => {
    const output = join(world.directory, "torrents")
    const magnets = (await world.run("torrent", REF, "-o", output)).stdout.trim().split("\n")
    expect(magnets).toHaveLength(5)
    expect(magnets[0]).toMatch(/^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=/)
    expect(await readdir(output)).toHaveLength(5)
  })

  test("make an image public, list it, and take it back", async () => {
    const made = await world.run("torrent", REF, "--public")
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining("from port ") })
    expect((await json("ls", "--public"))[0].torrents).toHaveLength(5)
    expect((await world.run("ls", "--public")).stdout).toContain(digests[0])
    const hidden = await world.run("torrent", REF, "--private")
    expect(hidden.stderr).toContain("private: ")
    expect(await json("ls", "--public")).toEqual([{ torrents: [] }])
    expect((await world.run("torrent", REF, "--public", "--private")).code).toBe(2)
    expect((await world.run("ls", "--public", "--pins")).code).toBe(2)
  })

  test("of what must stay here are refused with exit 3", async () => {
    await world.store.share(digests[1] as never, false)
    const refused = await world.run("torrent", digests[1]!, "--public")
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining("[PUBLIC_REFUSED]") })
  })

  test("are fetched from a file, and the blob is written whole or not at all", async () => {
    const folder = join(world.directory, "torrents")
    await world.run("torrent", digests[1]!, "-o", folder)
    const [name] = await readdir(folder)
    const target = join(world.directory, "taken")
    const [got] = await json("get", join(folder, name!), "-o", target)
    expect(got).toMatchObject({ digest: digests[1], output: target })
    const hash = createHash("sha256").update(await readFile(target))
    expect(`sha256:${hash.digest("hex")}`).toBe(digests[1])
    const again = await world.run("get", join(folder, name!), "-o", target)
    expect(again.stderr).toContain("[OUTPUT_EXISTS]")
    expect((await world.run("get", join(folder, "none.torrent"))).code).toBe(2)
    expect((await world.run("get", REF, "--peer", "192.0.2.7:1")).code).toBe(2)
    expect((await world.run("get", "magnet:?xt=urn:btih:12")).code).toBe(2)
  })
})

describe("faults", () => {
  test.each([
    [["stage", "registry.example/no:1"], 4, "IMAGE_UNKNOWN"],
    [["stage", "UPPER:1"], 2, "REFERENCE_INVALID"],
    [["stage", "acme/model@1"], 4, "RELEASE_UNKNOWN"],
    [["rm", "sha256:12"], 2, "DIGEST_INVALID"],
    [["stage", "registry.example/x:1", "--platform", "arm"], 2, "REQUEST_INVALID"],
    [["gc", "--to", "much"], 2, "USAGE_INVALID"],
    [["limits", "--up", "10MiB"], 2, "USAGE_INVALID"],
    [["pin", "a", "--min-replicas", "0"], 2, "USAGE_INVALID"],
    [["limits", "--up", "1KiB/s"], 2, "USAGE_INVALID"],
    [["limits", "--up", "10MiB/s", "--reset"], 2, "USAGE_INVALID"],
    [["setup", "emacs"], 2, "USAGE_INVALID"],
    [["get", "a", "b"], 2, "USAGE_INVALID"],
    [["get"], 2, "USAGE_INVALID"],
    [["nothing"], 2, "USAGE_INVALID"],
    [["status", "--unknown"], 2, "USAGE_INVALID"],
    [["node", "--http", "nowhere"], 2, "CONFIG_INVALID"],
  ])("%j exits %i with [%s], in one line and as JSON", async (argv, code, name) => {
    const plain = await world.run(...argv)
    expect(plain.code).toBe(code)
    expect(plain.stdout).toBe("")
    expect(plain.stderr).toMatch(new RegExp(`^sealift: [^\\n]+ \\[${name}\\]\\n$`))
    const machine = await world.run(...argv, "--json")
    expect(machine.code).toBe(code)
    expect(machine.stderr).toBe("")
    expect(JSON.parse(machine.stdout)).toMatchObject({ error: { code: name } })
  })

  test("say how to start a node when none runs, also after it was killed", async () => {
    const none = await runSealift(["status", "--data", join(world.directory, "none")])
    expect(none.code).toBe(1)
    expect(none.stderr).toContain('start one with "sealift node --data ')
    expect(none.stderr).toContain("[NODE_NOT_RUNNING]")
    const path = join(world.directory, "node.json")
    const file = JSON.parse(await readFile(path, "utf8"))
    await writeFile(path, JSON.stringify({ ...file, control: `${file.control}.gone` }))
    expect((await world.run("status")).stderr).toContain("[NODE_NOT_RUNNING]")
    await writeFile(path, "{ half")
    expect((await world.run("status")).stderr).toContain("[NODE_NOT_RUNNING]")
    await chmod(path, 0o600)
  })

  test("exit 130 on Ctrl-C", async () => {
    const interrupt = new AbortController()
    interrupt.abort(new CliError("INTERRUPTED", "interrupted"))
    const argv = ["stage", REF, "--data", world.directory]
    const ran = await runSealift(argv, { signal: interrupt.signal })
    expect(ran).toEqual({ code: 130, stdout: "", stderr: "sealift: interrupted [INTERRUPTED]\n" })
  })

  test("show a stack trace only when SEALIFT_DEBUG=1", async () => {
    const argv = ["status", "--data", "/nonexistent"]
    expect((await runSealift(argv)).stderr).not.toContain("    at ")
    expect((await runSealift(argv, { env: { SEALIFT_DEBUG: "1" } })).stderr).toContain("    at ")
  })
})
