/** The files and secrets around a node: node.json, the socket's place, directories, references. */
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import type { NodeConfig } from "../../../src/daemon/config-schema.ts"
import { controlSocketPath } from "../../../src/daemon/control-path.ts"
import { openDirectory } from "../../../src/daemon/node-directory.ts"
import { readNodeFile, removeNodeFile, writeNodeFile } from "../../../src/daemon/node-file.ts"
import { createPeerMemory } from "../../../src/daemon/peer-memory.ts"
import { readUpstreams } from "../../../src/daemon/secret.ts"
import { listenFault, startFault } from "../../../src/daemon/start-fault.ts"
import { makeDirectories } from "../../../src/disk/make-directories.ts"
import { NetError } from "../../../src/net/errors.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealift-daemon-"))
})
afterEach(() => rm(directory, { recursive: true }))

describe("node.json", () => {
  const node = {
    peerId: "12D3",
    http: "http://127.0.0.1:1",
    p2p: ["/ip4/127.0.0.1/tcp/1/p2p/12D3"],
    control: "/x/control.sock",
    pid: 7,
    version: "0.1.0",
  }

  test("is written whole, replaces a stale one, is read back and removed", async () => {
    await writeFile(join(directory, "node.json"), "stale")
    await writeNodeFile(directory, node)
    expect(await readNodeFile(directory)).toEqual(node)
    expect((await stat(join(directory, "node.json"))).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(["node.json"])
    await removeNodeFile(directory)
    await removeNodeFile(directory)
    expect(await readNodeFile(directory)).toBeUndefined()
  })

  test.each(["", "{", "[]", "{}", '{"peerId":5,"http":"x","control":"y"}', "null"])(
    "that holds %j is no node",
    async (text) => {
      await writeFile(join(directory, "node.json"), text)
      expect(await readNodeFile(directory)).toBeUndefined()
    },
  )
})

describe("the control socket", () => {
  const long = `/${"d".repeat(120)}`

  test("lies in the data directory when its path is short enough", async () => {
    expect(await controlSocketPath("/srv/sealift", {})).toBe("/srv/sealift/control.sock")
    const longest = `/${"d".repeat(107 - "//control.sock".length)}`
    expect(await controlSocketPath(longest, {})).toBe(`${longest}/control.sock`)
  })

  test("lies in XDG_RUNTIME_DIR otherwise, one per data directory", async () => {
    const env = { XDG_RUNTIME_DIR: "/run/user/1" }
    const path = await controlSocketPath(long, env)
    expect(path).toMatch(/^\/run\/user\/1\/sealift-[0-9a-f]{24}\.sock$/)
    expect(await controlSocketPath(`${long}x`, env)).not.toBe(path)
  })

  test("lies in a private directory without one; a path that is still too long is refused", async () => {
    const path = await controlSocketPath(long, {})
    expect(Buffer.byteLength(path)).toBeLessThan(108)
    expect((await stat(join(path, ".."))).mode & 0o077).toBe(0)
    await expect(controlSocketPath(long, { XDG_RUNTIME_DIR: long })).rejects.toMatchObject({
      code: "CONTROL_SOCKET_INVALID",
    })
  })
})

describe("directories", () => {
  test("are made one by one, and told", async () => {
    const path = join(directory, "a", "b")
    expect(await makeDirectories(path, 0o700)).toEqual([join(directory, "a"), path])
    expect(await makeDirectories(path, 0o700)).toEqual([])
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  })

  test("that cannot be made are refused with the store's code, and never hang", async () => {
    await writeFile(join(directory, "file"), "")
    for (const path of [join(directory, "file"), join(directory, "file/x"), "/proc/sealift/x"]) {
      await expect(openDirectory(path)).rejects.toMatchObject({ code: "STORE_READ_ONLY" })
    }
  })
})

describe("secrets", () => {
  const config = (upstream: object) => ({ upstreams: { hub: upstream } }) as unknown as NodeConfig
  const ref = (from: string, name: string) => ({ from, name })

  test("are read from variables and files", async () => {
    const path = join(directory, "password")
    await writeFile(path, "from file\n")
    const read = async (password: object) =>
      (await readUpstreams(config({ url: "https://hub", username: "me", password }), { P: "p" }))
        .hub
    expect(await read(ref("env", "P"))).toEqual({
      url: "https://hub",
      credentials: { username: "me", password: "p" },
    })
    expect((await read(ref("file", path)))?.credentials).toMatchObject({ password: "from file" })
    const token = await readUpstreams(config({ token: ref("env", "P") }), { P: "t" })
    expect(token.hub?.credentials).toEqual({ token: "t" })
    expect((await readUpstreams(config({}), {})).hub?.credentials).toBeUndefined()
  })

  test.each([
    [{ username: "me", password: ref("env", "NONE") }, "SECRET_MISSING"],
    [{ username: "me", password: ref("file", "/nonexistent") }, "SECRET_MISSING"],
    [{ username: "me" }, "CONFIG_INVALID"],
    [{ username: "me", token: ref("env", "P") }, "CONFIG_INVALID"],
  ])("that are missing or contradict each other are refused: %j", async (upstream, code) => {
    await expect(readUpstreams(config(upstream), {})).rejects.toMatchObject({ code })
  })
})

describe("the memory of peers", () => {
  test("gives back what was saved, and nothing when that is broken", async () => {
    const kv = createMemoryKv()
    const memory = createPeerMemory({ kv, log: silentLogger })
    expect(await memory.load()).toEqual([])
    await memory.save(["/ip4/127.0.0.1/tcp/1/p2p/12D3"])
    expect(await memory.load()).toEqual(["/ip4/127.0.0.1/tcp/1/p2p/12D3"])
    await kv.put("addresses", Buffer.from("{ broken"))
    expect(await memory.load()).toEqual([])
  })
})

describe("faults of a start", () => {
  const systemError = (code: string) => Object.assign(new Error(code), { code })
  const address = { host: "::1", port: 7070 }

  test("name the address and the way out", () => {
    const taken = listenFault(address, systemError("EADDRINUSE")) as Error
    expect(taken).toMatchObject({ code: "HTTP_ADDRESS_IN_USE" })
    expect(taken.message).toContain("[::1]:7070")
    expect(taken.message).toContain("--http [::1]:0")
    expect(listenFault(address, systemError("EADDRNOTAVAIL"))).toMatchObject({
      code: "HTTP_ADDRESS_INVALID",
    })
  })

  test("of the disk have the store's code, whichever room met them first", () => {
    expect(startFault(systemError("ENOSPC"))).toMatchObject({ code: "DISK_FULL" })
    expect(startFault(systemError("EROFS"))).toMatchObject({ code: "STORE_READ_ONLY" })
    const identity = new NetError("IDENTITY_INVALID", "it cannot be written", {
      cause: systemError("ENOSPC"),
    })
    expect(startFault(identity)).toMatchObject({ code: "DISK_FULL" })
    const loose = new NetError("IDENTITY_INVALID", "others may read it")
    expect(startFault(loose)).toBe(loose)
  })
})

test("a data directory that is there keeps its mode", async () => {
  const path = join(directory, "there")
  await mkdir(path)
  await chmod(path, 0o750)
  await openDirectory(path)
  expect((await stat(path)).mode & 0o777).toBe(0o750)
})
