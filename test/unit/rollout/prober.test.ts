/** Probes: as many tries as the probe says, each within its time, and the reason of the last. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { RunningAnswer } from "../../../src/rollout/activation.ts"
import { ALLOW_NOTHING, type RolloutAllow } from "../../../src/rollout/allowing.ts"
import { programRunner, type RunProgram } from "../../../src/rollout/bounded-program.ts"
import { MemoryActivator } from "../../../src/rollout/memory-activator.ts"
import type { Activation, Probe } from "../../../src/rollout/plan.ts"
import { createProber } from "../../../src/rollout/prober.ts"
import { releaseAt } from "../../support/opened-release.ts"

const target = releaseAt("/opened/model", 3)
const options = { signal: new AbortController().signal }
const files: Activation = { kind: "files", path: "/srv/current" }
const once = { timeoutMs: 1_000, retries: 0, intervalMs: 0 }

let clock: VirtualClock
beforeEach(() => {
  clock = new VirtualClock()
})

function proberWith(
  allow: Partial<RolloutAllow>,
  run: RunProgram = programRunner(clock, process.env),
) {
  const activator = new MemoryActivator(clock)
  const deps = { node: "12D3KooWNode", clock, openedFolder: "/opened", run, activator }
  return createProber({ ...deps, allow: () => ({ ...ALLOW_NOTHING, ...allow }) })
}

describe("tries", () => {
  const probe: Probe = {
    check: { kind: "exec", argv: ["/check"] },
    ...{ timeoutMs: 1_000, retries: 2, intervalMs: 30_000 },
  }
  let faults: (string | undefined)[]
  let atMs: number[]
  const run: RunProgram = async () => {
    atMs.push(clock.monotonicMs())
    return { fault: faults.shift(), stdout: "", tail: "the last words" }
  }
  const probing = () =>
    proberWith({ exec: "plan" }, run).probe(probe, { activation: undefined, target }, options)

  beforeEach(() => {
    atMs = []
  })

  test("end with the first one that is well", async () => {
    faults = ["it ended with 1", undefined]
    const answer = probing()
    await clock.advance(120_000)
    expect(await answer).toEqual({ isHealthy: true })
    expect(atMs).toEqual([0, 30_000])
  })

  test("are as many as are said, and the last one's output is the reason", async () => {
    faults = ["it ended with 1", "it ended with 2", "it ended with 3"]
    const answer = probing()
    await clock.advance(120_000)
    expect(await answer).toEqual({
      isHealthy: false,
      reason: "/check: it ended with 3: the last words",
    })
    expect(atMs).toEqual([0, 30_000, 60_000])
  })

  test("end when the signal is aborted, with its reason", async () => {
    faults = ["it ended with 1"]
    const controller = new AbortController()
    const reason = new Error("enough")
    const answer = proberWith({ exec: "plan" }, run).probe(
      probe,
      { activation: undefined, target },
      { signal: controller.signal },
    )
    await clock.advance(1_000)
    controller.abort(reason)
    await expect(answer).rejects.toBe(reason)
    expect(atMs).toEqual([0])
  })

  test("find what is no longer allowed unwell, and run nothing", async () => {
    const answer = proberWith({}, run).probe(
      { ...probe, retries: 0 },
      { activation: undefined, target },
      options,
    )
    expect(await answer).toMatchObject({
      isHealthy: false,
      reason: expect.stringContaining("rollout.allow.exec"),
    })
    expect(atMs).toEqual([])
  })
})

describe("a probe by a program", () => {
  test("is told of release and path, by words and by the environment", async () => {
    const script = `test "$1 $SEALIFT_RELEASE" = "/opened/model acme/model@3" || { echo "$1"; exit 4; }`
    const listed = { check: ["/bin/sh", "-c", script, "sh", `\${path}`] }
    const run = programRunner(systemClock, process.env)
    const prober = proberWith({ exec: "listed", listed }, run)
    const probe: Probe = { check: { kind: "listed", name: "check" }, ...once, timeoutMs: 20_000 }
    prober.verifyAllowed(probe)
    const subject = { activation: undefined, target }
    expect(await prober.probe(probe, subject, options)).toEqual({ isHealthy: true })
    const other = { activation: undefined, target: releaseAt("/opened/\u001b[2J", 3) }
    expect(await prober.probe(probe, other, options)).toEqual({
      isHealthy: false,
      reason: "/bin/sh: it ended with 4: /opened/\ufffd[2J",
    })
  })
})

describe("a probe by a GET", () => {
  let server: Server
  let origin: string
  let status: number | undefined
  let onAsked: () => void
  beforeEach(async () => {
    onAsked = () => {}
    server = createServer((request, response) => {
      if (status !== undefined) response.writeHead(status, { location: "/ok" }).end(request.url)
      onAsked()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const probing = () =>
    proberWith({ webhook: [origin] }).probe(
      { check: { kind: "http", url: `${origin}/\${release}` }, ...once },
      { activation: undefined, target },
      options,
    )

  test("is well for 200 to 299, and nothing else", async () => {
    for (status of [200, 204, 299]) expect(await probing()).toEqual({ isHealthy: true })
    for (status of [301, 404, 503]) {
      expect(await probing()).toEqual({
        isHealthy: false,
        reason: `${origin}: it answered ${status}: /acme%2Fmodel%403`,
      })
    }
  })

  test("is late after its time", async () => {
    status = undefined
    const asked = new Promise<void>((resolve) => {
      onAsked = resolve
    })
    const answer = probing()
    await asked
    await clock.advance(1_000)
    expect(await answer).toMatchObject({
      isHealthy: false,
      reason: `${origin}: it gave no answer (not done within 1000 ms)`,
    })
  })
})

describe("a probe of what runs", () => {
  const probing = async (activation: Activation | undefined, says: RunningAnswer) => {
    const activator = new MemoryActivator(clock)
    activator.isRunning = async () => says
    const deps = {
      node: "n",
      clock,
      openedFolder: "/opened",
      activator,
      allow: () => ALLOW_NOTHING,
    }
    const run: RunProgram = async () => ({ fault: undefined, stdout: "", tail: "" })
    const prober = createProber({ ...deps, run })
    const subject = { activation, target }
    return (await prober.probe({ check: { kind: "running" }, ...once }, subject, options)).isHealthy
  }
  const exec: Activation = { kind: "exec", argv: ["/bin/true"], timeoutMs: 1_000 }

  test("is well when it is what was activated", async () => {
    expect(await probing(files, "yes")).toBe(true)
    expect(await probing(files, "no")).toBe(false)
    expect(await probing(files, "unknown")).toBe(false)
  })

  test("is well where nobody can be asked, and where nothing was to be activated", async () => {
    expect(await probing(exec, "unknown")).toBe(true)
    expect(await probing(undefined, "no")).toBe(true)
  })
})
