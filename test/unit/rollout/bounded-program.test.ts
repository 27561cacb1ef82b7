/** Programs that run without a shell, for so long, and with an output that is bounded. */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { KILL_GRACE_MS, programRunner } from "../../../src/rollout/bounded-program.ts"
import { pollUntil } from "../../support/process.ts"

const HOUR_MS = 3_600_000
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-program-"))
})
afterEach(() => rm(folder, { recursive: true }))

const signal = new AbortController().signal
const sh = (script: string, ...args: string[]) => ["/bin/sh", "-c", script, ...args]
const runner = programRunner(systemClock, process.env)
const run = (argv: readonly string[], more = {}) =>
  runner(argv, { timeoutMs: HOUR_MS, signal, ...more })

/** Waits until a script has written the id of a process; gives the id. */
async function pidIn(name: string): Promise<number> {
  let text = ""
  const path = join(folder, name)
  const isThere = await pollUntil(async () => {
    text = await readFile(path, "utf8").catch(() => "")
    return text.endsWith("\n")
  }, 10_000)
  expect(isThere).toBe(true)
  return Number(text)
}

const isGone = (pid: number) =>
  pollUntil(async () => {
    try {
      process.kill(pid, 0)
    } catch (error) {
      return codeOf(error) === "ESRCH"
    }
    // A child of nobody may wait for a while to be reaped.
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z")
    return state.includes(") Z")
  }, 10_000)

describe("a program", () => {
  test("gets its words as they are, and no shell reads them", async () => {
    const words = ["$(id)", "a b", "*", "`id`", "; id", `\${HOME}`]
    const { fault, stdout } = await run(["/usr/bin/printf", "%s\\n", ...words])
    expect(fault).toBeUndefined()
    expect(stdout.trimEnd().split("\n")).toEqual(words)
  })

  test("sees of the node's environment what is named, and no secret", async () => {
    const own = { PATH: "/usr/bin:/bin", HOME: "/root", LANG: "C", SEALIFT_SECRET: "x", TOKEN: "x" }
    const env = { SEALIFT_NODE: "n", SEALIFT_RELEASE: "a/b@1", SEALIFT_PATH: "/p" }
    const { stdout } = await programRunner(systemClock, own)(["env"], {
      ...{ env, timeoutMs: HOUR_MS, signal },
    })
    expect(stdout.trim().split("\n").sort()).toEqual([
      "HOME=/root",
      "LANG=C",
      "PATH=/usr/bin:/bin",
      "SEALIFT_NODE=n",
      "SEALIFT_PATH=/p",
      "SEALIFT_RELEASE=a/b@1",
    ])
  })

  test("that fails says with what, and what it printed last on both outputs", async () => {
    const script = "echo out; echo err >&2; exit 3"
    const { fault, tail } = await run(sh(script))
    expect(fault).toBe("it ended with 3")
    expect(tail.split(" | ").sort()).toEqual(["err", "out"])
    expect((await run(sh("kill -9 $$"))).fault).toBe("it ended with SIGKILL")
  })

  test.each([
    [["/no/such/program"], "ENOENT"],
    [["/etc/passwd"], "EACCES"],
    [[""], "it cannot be run"],
    [["/bin/echo", "a\0b"], "it cannot be run"],
    [[], "it cannot be run"],
  ])("that cannot be run is a fault like others: %j", async (argv, expected) => {
    expect((await run(argv)).fault).toContain(expected)
  })

  test("reads what it is given, and may end before it was read", async () => {
    const input = () => Readable.from(["a\n", "b\n", "x".repeat(1_000_000)])
    expect((await run(["/usr/bin/head", "-n2"], { input: input() })).stdout).toBe("a\nb\n")
    expect((await run(["/bin/true"], { input: input() })).fault).toBeUndefined()
    const endless = new Readable({ read: () => {} })
    expect((await run(["/bin/true"], { input: endless })).fault).toBeUndefined()
  })

  test("is stopped when what it reads fails: half is no whole", async () => {
    async function* broken() {
      yield "half"
      throw new Error("the disk is gone")
    }
    const { fault } = await run(["/bin/cat"], { input: Readable.from(broken()) })
    expect(fault).toBe("its input failed (the disk is gone)")
  })
})

describe("what a program prints", () => {
  test("is read and dropped but for a bounded part, however much it is", async () => {
    const { fault, stdout, tail } = await run(
      sh("head -c 20000000 /dev/zero | tr '\\0' x; echo end"),
    )
    expect(fault).toBeUndefined()
    expect(stdout.length).toBe(256 * 1024)
    expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(2_052)
    expect(tail).toMatch(/^x+ \| end$|^x+end$/)
  })

  test("is waited for no longer when a service that it started holds it open", async () => {
    const clock = new VirtualClock()
    const pid = join(folder, "pid")
    const running = programRunner(clock, process.env)(
      sh('sleep 3600 & echo $! > "$0"; echo started', pid),
      { timeoutMs: HOUR_MS, signal },
    )
    const service = await pidIn("pid")
    let outcome: Awaited<typeof running> | undefined
    running.then((value) => {
      outcome = value
    })
    const isDone = await pollUntil(async () => {
      await clock.advance(500)
      return outcome !== undefined
    }, 10_000)
    expect(isDone).toBe(true)
    expect(outcome).toMatchObject({ fault: undefined, stdout: "started\n" })
    // The service stays.
    process.kill(service, "SIGKILL")
  })
})

describe("the time of a program", () => {
  test("ends all that it has started, even what does not want to end", async () => {
    const clock = new VirtualClock()
    const stubborn = `trap '' TERM; sh -c 'trap "" TERM; echo $$ > "$0"; sleep 3600' "$0" & wait; wait`
    const running = programRunner(clock, process.env)(sh(stubborn, join(folder, "inner")), {
      ...{ timeoutMs: 5_000, signal },
    })
    const inner = await pidIn("inner")
    await clock.advance(5_000)
    await clock.advance(KILL_GRACE_MS)
    expect((await running).fault).toBe("it was not done within 5000 ms")
    expect(await isGone(inner)).toBe(true)
  })

  test("is over when the signal is aborted, and its reason is thrown", async () => {
    const controller = new AbortController()
    const running = run(sh('echo $$ > "$0"; exec sleep 3600', join(folder, "pid")), {
      signal: controller.signal,
    })
    const pid = await pidIn("pid")
    const reason = new Error("enough")
    controller.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(await isGone(pid)).toBe(true)
  })

  test("does not begin when the signal was aborted before", async () => {
    const aborted = AbortSignal.abort(new Error("no"))
    const writing = run(sh('echo 1 > "$0"', join(folder, "ran")), { signal: aborted })
    await expect(writing).rejects.toThrow("no")
    await expect(readFile(join(folder, "ran"))).rejects.toMatchObject({ code: "ENOENT" })
  })
})
