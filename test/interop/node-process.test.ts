/** Real node processes: how they start, what they refuse, how they end. One line and one code each. */
import { existsSync } from "node:fs"
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises"
import { request } from "node:http"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { missingTools, type Outcome, pollUntil, run } from "../support/process.ts"
import { residentBytes, type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const COMMAND = fileURLToPath(new URL("../../bin/sealift.js", import.meta.url))
const EXIT_MS_MAX = 10_000

let workspace: Workspace
beforeAll(() => {
  workspace = openWorkspace("node-process")
})
afterAll(() => workspace.close())

/** Runs a command to its end; a node that should be refused must not stay. */
const sealift = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  run([process.execPath, COMMAND, ...argv], { mayFail: true, timeoutMs: 20_000, env })
const nodeArgs = (data: string, ...more: string[]) => [
  "node",
  "--data",
  data,
  "--p2p",
  "/ip4/127.0.0.1/tcp/0",
  "--log-level",
  "error",
  ...more,
]

function expectRefusal(outcome: Outcome, exit: number, code: string, words: RegExp): void {
  expect(outcome.stdout).toBe("")
  expect(outcome.stderr).toMatch(new RegExp(`^sealift: [^\\n]+ \\[${code}\\]\\n$`))
  expect(outcome.stderr).toMatch(words)
  expect(outcome.code).toBe(exit)
}

describe("a running node", () => {
  let node: SealiftNode
  beforeAll(async () => {
    node = await startNode(workspace, { name: "running" })
  })

  test("describes itself in node.json, readable by its owner alone", async () => {
    const path = join(node.data, "node.json")
    const file = JSON.parse(await readFile(path, "utf8"))
    expect(file).toEqual({
      peerId: node.peerId,
      http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      p2p: [expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3/)],
      control: join(node.data, "control.sock"),
      pid: node.program.pid,
      version: "0.1.0",
    })
    for (const name of ["node.json", "control.sock", "identity"]) {
      expect((await stat(join(node.data, name))).mode & 0o077).toBe(0)
    }
  })

  test("answers health, readiness, metrics, the registry's root and its page", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/v2/", "/ui/"]) {
      expect((await fetch(node.http + path)).status).toBe(200)
    }
    expect(await node.metric("process_resident_memory_bytes")).toBeGreaterThan(30e6)
  })

  test("refuses a foreign Host and a foreign Origin on every page", async () => {
    for (const path of ["/healthz", "/metrics", "/v2/", "/ui/", "/nothing"]) {
      expect(await statusOf(node.http + path, { host: "evil.example" })).toBe(421)
      expect(await statusOf(node.http + path, { origin: "http://evil.example" })).toBe(403)
    }
    expect(
      await statusOf(`${node.http}/v2/`, { host: `localhost:${new URL(node.http).port}` }),
    ).toBe(200)
  })

  test("answers the commands that ask it", async () => {
    const status = JSON.parse((await node.sealift("status", "--json")).stdout)
    expect(status).toMatchObject({ peerId: node.peerId, isReady: true, data: node.data })
    expect((await node.sealift("id")).stdout).toBe(`${[node.peerId, ...node.p2p].join("\n")}\n`)
    expect((await node.sealift("config")).stdout).toMatch(/^http +127\.0\.0\.1:0 +# --http$/m)
    expect((await node.sealift("ls")).code).toBe(0)
    expect((await node.sealift("store", "verify")).code).toBe(0)
    expect((await node.sealift("stage", "nowhere.example/x:1")).code).toBe(3)
  })

  test("keeps its directory: a second node there is refused in one line", async () => {
    const second = await sealift(nodeArgs(node.data, "--http", "127.0.0.1:0"))
    expectRefusal(second, 1, "STORE_LOCKED", /another node runs on/)
    expect((await node.sealift("status")).code).toBe(0)
    expect(existsSync(join(node.data, "node.json"))).toBe(true)
  })

  test("keeps its address: a node on the same one is refused, and leaves nothing running", async () => {
    const data = await workspace.folder("taken")
    const { host } = new URL(node.http)
    const second = await sealift(nodeArgs(data, "--http", host))
    expectRefusal(second, 1, "HTTP_ADDRESS_IN_USE", new RegExp(`${host}.*--http`))
    expect(existsSync(join(data, "node.json"))).toBe(false)
    expect(existsSync(join(data, "control.sock"))).toBe(false)
  })

  test("keeps its memory small while idle", async () => {
    expect(await residentBytes(node.program.pid)).toBeLessThan(250 * 1024 ** 2)
  })

  test("ends with 0 on SIGTERM, soon, and takes node.json and its socket away", async () => {
    const startedMs = performance.now()
    expect(await node.stop()).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(EXIT_MS_MAX)
    expect(existsSync(join(node.data, "node.json"))).toBe(false)
    expect(existsSync(join(node.data, "control.sock"))).toBe(false)
    expect((await node.sealift("status")).stderr).toContain("[NODE_NOT_RUNNING]")
  })
})

describe("a node that ends otherwise", () => {
  test("exits 130 on SIGINT", async () => {
    const node = await startNode(workspace, { name: "interrupted" })
    process.kill(node.program.pid, "SIGINT")
    expect(await node.program.exited).toBe(130)
    expect(existsSync(join(node.data, "node.json"))).toBe(false)
  })

  test("that was killed leaves files that the next one replaces, with the same identity", async () => {
    const killed = await startNode(workspace, { name: "killed" })
    await killed.kill9()
    expect(existsSync(join(killed.data, "node.json"))).toBe(true)
    expect((await killed.sealift("status")).stderr).toContain("[NODE_NOT_RUNNING]")
    const next = await startNode(workspace, { name: "killed" })
    expect(next.peerId).toBe(killed.peerId)
    const file = JSON.parse(await readFile(join(next.data, "node.json"), "utf8"))
    expect(file.pid).toBe(next.program.pid)
    expect((await next.sealift("status")).code).toBe(0)
    await next.stop()
  })

  test("lets an answer that is under way end", async () => {
    const node = await startNode(workspace, { name: "draining" })
    const upload = await fetch(`${node.http}/v2/team/app/blobs/uploads/`, { method: "POST" })
    const location = new URL(upload.headers.get("location")!, node.http)
    const answer = new Promise<number | undefined>((resolve, reject) => {
      const asking = request(location, { method: "PATCH" }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asking.once("error", reject)
      asking.write("the first half, ")
      setTimeout(() => node.stop(), 200)
      setTimeout(() => asking.end("the second half"), 1_000)
    })
    expect(await answer).toBe(202)
    expect(await node.program.exited).toBe(0)
  })
})

describe("a node that cannot start", () => {
  let data: string
  beforeAll(async () => {
    data = await workspace.folder("refused")
  })

  test.each([
    [["--frobnicate"], "USAGE_INVALID", /unknown option '--frobnicate'/],
    [["--http", "7070"], "CONFIG_INVALID", /http is "7070" \(--http\); allowed: HOST:PORT/],
    [["--quota", "lots"], "CONFIG_INVALID", /quota is "lots" \(--quota\); allowed: a size/],
    [["--peer", "nobody"], "CONFIG_INVALID", /peers\[0\] is "nobody" \(--peer\)/],
    [["--config", "/nonexistent.yaml"], "CONFIG_INVALID", /there is no file \/nonexistent.yaml/],
  ])("because of %j", async (flags, code, words) => {
    expectRefusal(await sealift(nodeArgs(data, ...flags)), 2, code, words)
  })

  test.each([
    ["lan: [", /config\.yaml:\d+:\d+ is not valid YAML/],
    ["lan: maybe", /lan is "maybe" \(.*config\.yaml:1\); allowed: true or false/],
    ["\nlanguage: en", /unknown key language \(.*config\.yaml:2\); allowed: http, p2p/],
    ["upstreams: { hub: { password: secret } }", /password is \(not shown\)/],
  ])("because its file says %j", async (text, words) => {
    await writeFile(join(data, "config.yaml"), text)
    expectRefusal(await sealift(nodeArgs(data)), 2, "CONFIG_INVALID", words)
    await writeFile(join(data, "config.yaml"), "")
  })

  test("because a variable is wrong, or a password's variable is not set", async () => {
    const wrong = await sealift(nodeArgs(data), { SEALIFT_QUOTA: "lots" })
    expectRefusal(wrong, 2, "CONFIG_INVALID", /SEALIFT_QUOTA/)
    const file = join(workspace.root, "secret.yaml")
    await writeFile(file, "upstreams: { hub: { username: me, password: env:NOT_SET_ANYWHERE } }")
    const unset = await sealift(nodeArgs(data, "--config", file))
    expectRefusal(unset, 1, "SECRET_MISSING", /env:NOT_SET_ANYWHERE is not set/)
  })

  test("because its peer address is taken", async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as { port: number }
    const args = ["node", "--data", data, "--http", "127.0.0.1:0", "--log-level", "error"]
    const refused = await sealift([...args, "--p2p", `/ip4/127.0.0.1/tcp/${port}`])
    expectRefusal(refused, 1, "ADDRESS_IN_USE", new RegExp(String(port)))
    server.close()
  })

  test("because its directory is a file, or cannot be made", async () => {
    const file = join(workspace.root, "a-file")
    await writeFile(file, "")
    expectRefusal(await sealift(nodeArgs(file)), 1, "STORE_READ_ONLY", /a-file/)
    expectRefusal(await sealift(nodeArgs("/proc/sealift")), 1, "STORE_READ_ONLY", /\/proc\/sealift/)
  })

  test.skipIf(missingTools("root", "mount").length > 0)(
    "because its directory is read-only, or its disk is full",
    async () => {
      const mounted = await workspace.folder("mounted")
      const mount = (...options: string[]) => run(["mount", ...options, mounted])
      await mount("-t", "tmpfs", "-o", "size=16k", "tmpfs")
      const full = await sealift(nodeArgs(mounted, "--http", "127.0.0.1:0"))
      expectRefusal(full, 1, "DISK_FULL", /full/)
      await mount("-o", "remount,ro")
      const readOnly = await sealift(nodeArgs(mounted, "--http", "127.0.0.1:0"))
      expectRefusal(readOnly, 1, "STORE_READ_ONLY", /read-only/)
      await run(["umount", mounted])
    },
  )

  test("because others may read its identity", async () => {
    const loose = await workspace.folder("loose")
    await writeFile(join(loose, "identity"), "x")
    await chmod(join(loose, "identity"), 0o644)
    const refused = await sealift(nodeArgs(loose, "--http", "127.0.0.1:0"))
    expectRefusal(refused, 1, "IDENTITY_INVALID", /chmod 600/)
  })
})

describe("around it", () => {
  test("a long data path puts the control socket elsewhere, and commands find it", async () => {
    const name = "d".repeat(100)
    const runtime = await workspace.folder("runtime")
    const env = { XDG_RUNTIME_DIR: runtime }
    const node = await startNode(workspace, { name, env })
    const file = JSON.parse(await readFile(join(node.data, "node.json"), "utf8"))
    expect(file.control.startsWith(runtime)).toBe(true)
    expect((await node.sealift("status")).code).toBe(0)
    expect(await node.stop()).toBe(0)
    expect(existsSync(file.control)).toBe(false)
  })

  test("a node needs no configuration: XDG_DATA_HOME is enough, and npm start tells what is next", async () => {
    const home = await workspace.folder("home")
    await mkdir(join(home, "sealift"))
    await writeFile(
      join(home, "sealift", "config.yaml"),
      "http: 127.0.0.1:0\np2p: [/ip4/127.0.0.1/tcp/0]\n",
    )
    const child = run([process.execPath, COMMAND, "node", "--log-level", "silent"], {
      env: { XDG_DATA_HOME: home, npm_lifecycle_event: "start" },
    })
    const path = join(home, "sealift", "node.json")
    expect(await pollUntil(() => existsSync(path), 20_000)).toBe(true)
    const { pid, http } = JSON.parse(await readFile(path, "utf8"))
    process.kill(pid, "SIGTERM")
    const { stdout } = await child
    expect(stdout).toContain(`dashboard   ${http}/ui/`)
    expect(stdout.match(/npx --no-install sealift/g)).toHaveLength(3)
  })
})

/** Asks with headers that fetch does not let a program set. */
function statusOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asking.once("error", reject).end()
  })
}
