/** `sealift setup` below a root of its own: what it writes, that it is idempotent, exact undo. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parse } from "yaml"
import { runSealift } from "./command-world.ts"

const HOSTS_TOML = "etc/containerd/certs.d/_default/hosts.toml"
const DAEMON_JSON = "etc/docker/daemon.json"
const PODMAN_CONF = "etc/containers/registries.conf.d/050-sealift-podman.conf"

let root: string
let data: string
beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), "sealift-setup-"))
  root = join(directory, "root")
  data = join(directory, "data")
  await mkdir(root)
  await mkdir(data)
})
afterEach(() => rm(dirname(root), { recursive: true }))

const setup = (...argv: string[]) =>
  runSealift(["setup", ...argv, "--root", root, "--data", data, "--http", "127.0.0.1:7070"])
const read = (path: string) => readFile(join(root, path), "utf8")
async function put(path: string, text: string) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
}
/** All files and directories with content and mode, to compare a whole tree. */
async function snapshot(directory: string) {
  const names = (await readdir(directory, { recursive: true })).sort()
  const entries = names.map(async (name) => {
    const path = join(directory, name)
    const found = await stat(path)
    const text = found.isFile() ? await readFile(path, "utf8") : undefined
    return [name, found.mode, text] as const
  })
  return await Promise.all(entries)
}

describe("containerd", () => {
  test("gets a default mirror, and is told about config_path", async () => {
    const { code, stdout, stderr } = await setup("containerd")
    expect(code).toBe(0)
    expect(stdout).toBe(`written: ${join(root, HOSTS_TOML)}\n`)
    expect(stderr).toContain("config_path")
    expect(await read(HOSTS_TOML)).toContain('[host."http://127.0.0.1:7070"]')
    await put("etc/containerd/config.toml", 'config_path = "/etc/containerd/certs.d"\n')
    expect((await setup("containerd")).stderr).not.toContain("config_path")
  })

  test("keeps the hosts that were there, after the node and after the file's own keys", async () => {
    const before = 'server = "https://mirror.example"\n\n[host."https://mirror.example"]\n'
    await put(HOSTS_TOML, before)
    await setup("containerd")
    const text = await read(HOSTS_TOML)
    const at = ["server =", '[host."http://127.0.0.1:7070"]', '[host."https://mirror'].map((part) =>
      text.indexOf(part),
    )
    expect(at.every((place) => place >= 0)).toBe(true)
    expect(at).toEqual([...at].sort((a, b) => a - b))
  })

  test("is told which registries have hosts of their own", async () => {
    await put("etc/containerd/certs.d/docker.io/hosts.toml", "")
    expect((await setup("containerd")).stderr).toContain("which win: docker.io")
  })
})

describe("docker", () => {
  test("gets a mirror beside what its file holds, and the node a default upstream", async () => {
    await put(DAEMON_JSON, '{"debug": true, "registry-mirrors": ["https://other.example"]}')
    await writeFile(join(data, "config.yaml"), "# mine\nlan: true")
    expect((await setup("docker")).code).toBe(0)
    expect(JSON.parse(await read(DAEMON_JSON))).toEqual({
      debug: true,
      "registry-mirrors": ["http://127.0.0.1:7070", "https://other.example"],
    })
    const config = await readFile(join(data, "config.yaml"), "utf8")
    expect(config).toContain("# mine")
    expect(parse(config)).toEqual({ lan: true, defaultUpstream: "docker.io" })
  })

  test("leaves a default upstream that is set", async () => {
    await writeFile(join(data, "config.yaml"), "defaultUpstream: quay.io\n")
    await setup("docker")
    expect(await readFile(join(data, "config.yaml"), "utf8")).toBe("defaultUpstream: quay.io\n")
  })

  test.each(["{ broken", "[]"])("refuses a daemon.json that is %j, and leaves it", async (text) => {
    await put(DAEMON_JSON, text)
    const { code, stderr } = await setup("docker")
    expect(code).toBe(1)
    expect(stderr).toContain("[SETUP_FAILED]")
    expect(await read(DAEMON_JSON)).toBe(text)
  })
})

describe("podman and CRI-O", () => {
  test("get a mirror per registry whose path names the registry", async () => {
    await setup("podman", "--registry", "quay.io", "--registry", "registry.example")
    const text = await read(PODMAN_CONF)
    expect(text.match(/^\[\[registry\]\]$/gm)).toHaveLength(2)
    expect(text).toContain('prefix = "quay.io"\nlocation = "quay.io"')
    expect(text).toContain('location = "127.0.0.1:7070/quay.io"\n')
    expect((await setup("crio")).code).toBe(0)
    expect(await readdir(join(root, dirname(PODMAN_CONF)))).toContain("050-sealift-crio.conf")
  })

  test("refuse a registry with a port, which no image path can carry", async () => {
    const { code, stderr } = await setup("podman", "--registry", "registry.example:5000")
    expect(code).toBe(2)
    expect(stderr).toContain("[USAGE_INVALID]")
  })
})

describe("huggingface", () => {
  test("is printed, but not written for a node without a hub", async () => {
    expect((await setup("huggingface", "--print")).stdout).toContain(
      "export HF_ENDPOINT=http://127.0.0.1:7070",
    )
    const argv = ["setup", "huggingface", "--root", root, "--http", "127.0.0.1:1"]
    expect((await runSealift(argv)).stderr).toContain("no node answers at http://127.0.0.1:1")
    expect(await readdir(root)).toEqual([])
  })
})

describe.each(["containerd", "docker", "podman", "crio"])("setup %s", (client) => {
  test("twice changes nothing the second time", async () => {
    await setup(client)
    const first = await snapshot(dirname(root))
    expect((await setup(client)).stdout).toMatch(/^unchanged: /)
    expect(await snapshot(dirname(root))).toEqual(first)
  })

  test("--undo restores a machine that had no such file, directories included", async () => {
    const before = await snapshot(dirname(root))
    await setup(client)
    expect((await setup(client, "--undo")).stdout).toMatch(/^removed: /)
    expect(await snapshot(dirname(root))).toEqual(before)
    expect((await setup(client, "--undo")).stdout).toMatch(/^nothing to undo: /)
  })

  test("--undo restores the very bytes and the mode, also after two different set-ups", async () => {
    const files = {
      [HOSTS_TOML]: '[host."x"]\n\n',
      [DAEMON_JSON]: '{ "debug":true }',
      [PODMAN_CONF]: "#",
    }
    for (const [path, text] of Object.entries(files)) await put(path, text)
    await chmod(join(root, DAEMON_JSON), 0o640)
    const before = await snapshot(dirname(root))
    await setup(client)
    await runSealift(["setup", client, "--root", root, "--data", data, "--http", "127.0.0.1:8080"])
    await setup(client, "--undo")
    expect(await snapshot(dirname(root))).toEqual(before)
  })

  test("--print writes nothing", async () => {
    const { code, stdout } = await setup(client, "--print")
    expect(code).toBe(0)
    expect(stdout).toContain("127.0.0.1:7070")
    expect(await readdir(root)).toEqual([])
  })
})

test("undo refuses to overwrite what somebody changed since", async () => {
  await setup("containerd")
  await writeFile(join(root, HOSTS_TOML), `${await read(HOSTS_TOML)}# my own line\n`)
  const { code, stderr } = await setup("containerd", "--undo")
  expect(code).toBe(1)
  expect(stderr).toContain("was changed since it was set up")
  expect(await read(HOSTS_TOML)).toContain("# my own line")
})
