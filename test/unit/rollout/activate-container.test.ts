/** Containers by what their runtime is told, in which order; real runtimes: interop/rollout-containers. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { Activator } from "../../../src/rollout/activation.ts"
import { createActivator } from "../../../src/rollout/activator.ts"
import { ALLOW_NOTHING, type ContainerRule } from "../../../src/rollout/allowing.ts"
import type { RunProgram } from "../../../src/rollout/bounded-program.ts"
import type { Activation } from "../../../src/rollout/plan.ts"
import { createProber } from "../../../src/rollout/prober.ts"
import {
  type LayoutFiles,
  OWN_ARCHITECTURE,
  writeLayoutFiles,
} from "../../support/image-layout-files.ts"
import { releaseAt } from "../../support/opened-release.ts"

const options = { signal: new AbortController().signal }
const podman = { kind: "podman", container: "web", timeoutMs: 60_000 } as const

let folder: string
let image: LayoutFiles
let clock: VirtualClock
let commands: string[]
/** What programs answer, by the beginning of their words; an Error's message is how they fail. */
let answers: Record<string, string | Error>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-container-"))
  image = await writeLayoutFiles(folder, { architectures: [OWN_ARCHITECTURE], content: "one" })
  clock = new VirtualClock()
  commands = []
  answers = { "podman inspect --type image": JSON.stringify([{ Id: configOf(image).slice(7) }]) }
})
afterEach(() => rm(folder, { recursive: true }))

const configOf = ({ manifests }: LayoutFiles) => manifests[OWN_ARCHITECTURE]!.config

const run: RunProgram = async (argv, { input }) => {
  const line = argv.join(" ")
  commands.push(line)
  if (input !== undefined) await input.toArray()
  const key = Object.keys(answers).find((one) => line.startsWith(one))
  const answer = key === undefined ? "" : answers[key]!
  if (typeof answer === "string") return { fault: undefined, stdout: answer, tail: "" }
  return { fault: "it ended with 1", stdout: "", tail: answer.message }
}

function depsWith(rule: ContainerRule) {
  const allow = () => ({ ...ALLOW_NOTHING, containers: { web: rule } })
  return { node: "n", clock, allow, openedFolder: "/", run }
}
const activatorWith = (rule: ContainerRule): Activator => createActivator(depsWith(rule))
const target = () => releaseAt(folder, 1)
const containerOf = (state: object) => JSON.stringify([state])

describe("a container of podman", () => {
  test("is stopped once its image is here, and run by digest with the node's words", async () => {
    const rule = { args: ["--network", "host"], command: ["serve", "-v"] }
    await activatorWith(rule).activate(podman, target(), options)
    expect(commands).toEqual([
      "podman load --quiet",
      "podman inspect --type image localhost/sealift/web:current",
      "podman stop -t 10 web",
      "podman rm --force web",
      `podman run --detach --name web --network host ${configOf(image)} serve -v`,
    ])
  })

  test("stays when its image cannot be brought", async () => {
    answers["podman load"] = new Error("no space left on device")
    const activating = activatorWith({}).activate(podman, target(), options)
    await expect(activating).rejects.toMatchObject({
      code: "ACTIVATION_FAILED",
      message: "podman load: it ended with 1: no space left on device",
    })
    expect(commands).toEqual(["podman load --quiet"])
  })

  test("stays when what arrived under its name is another image", async () => {
    answers["podman inspect --type image"] = JSON.stringify([{ Id: "ab".repeat(32) }])
    const activating = activatorWith({}).activate(podman, target(), options)
    await expect(activating).rejects.toMatchObject({ code: "ACTIVATION_FAILED" })
    expect(commands).toHaveLength(2)
  })

  test("is refused before anything runs", async () => {
    const activator = activatorWith({ runtime: "docker" })
    const refused = { code: "ACTIVATION_REFUSED" }
    await expect(activator.activate(podman, target(), options)).rejects.toMatchObject(refused)
    const other: Activation = { ...podman, container: "db" }
    await expect(activator.activate(other, target(), options)).rejects.toMatchObject(refused)
    await expect(activator.deactivate(other, options)).rejects.toMatchObject(refused)
    expect(commands).toEqual([])
  })

  test("need not be there to be replaced or taken away", async () => {
    answers["podman stop"] = new Error(
      'Error: no container with name or ID "web" found: no such container',
    )
    answers["podman rm"] = new Error("Error: No such container: web")
    await activatorWith({}).activate(podman, target(), options)
    await activatorWith({}).deactivate(podman, options)
    expect(commands.slice(-2)).toEqual(["podman stop -t 10 web", "podman rm --force web"])
    answers["podman rm"] = new Error("permission denied")
    await expect(activatorWith({}).deactivate(podman, options)).rejects.toMatchObject({
      code: "ACTIVATION_FAILED",
    })
  })
})

describe("whether a container runs", () => {
  const running = () => activatorWith({}).isRunning(podman, target(), options)
  const answer = (state: object | Error) => {
    const isFault = state instanceof Error
    answers["podman inspect --type container"] = isFault ? state : containerOf(state)
  }

  test("is asked by digest: its image's, or its manifest's", async () => {
    answer({ Image: configOf(image).slice(7), State: { Running: true } })
    expect(await running()).toBe("yes")
    answer({ Image: configOf(image), State: { Running: true } })
    expect(await running()).toBe("yes")
    answer({ Image: "ab".repeat(32), ImageDigest: image.digest, State: { Running: true } })
    expect(await running()).toBe("yes")
    answer({ Image: "ab".repeat(32), State: { Running: true } })
    expect(await running()).toBe("no")
  })

  test("is no when it has stopped or is not there, and unknown when nobody answers", async () => {
    answer({ Image: configOf(image), State: { Running: false } })
    expect(await running()).toBe("no")
    answer(new Error("Error: no such object: web"))
    expect(await running()).toBe("no")
    answer(new Error("cannot connect to the Docker daemon"))
    expect(await running()).toBe("unknown")
    answers["podman inspect --type container"] = "not JSON"
    expect(await running()).toBe("unknown")
    answer({ Image: configOf(image), State: { Running: true } })
    await rm(join(folder, "index.json"))
    expect(await running()).toBe("unknown")
  })

  test("is probed with what its own check says", async () => {
    const prober = createProber({ ...depsWith({}), activator: activatorWith({}) })
    const check = { kind: "container", container: "web" } as const
    const probe = (activation: Activation | undefined) =>
      prober.probe(
        { check, timeoutMs: 1_000, retries: 0, intervalMs: 0 },
        { activation, target: target() },
        options,
      )
    answer({ State: { Running: true, Health: { Status: "" } } })
    expect(await probe(podman)).toEqual({ isHealthy: true })
    answer({ State: { Running: true, Health: { Status: "healthy" } } })
    expect(await probe(podman)).toEqual({ isHealthy: true })
    answer({ State: { Running: true, Health: { Status: "starting" } } })
    expect(await probe(podman)).toMatchObject({ reason: expect.stringContaining("starting") })
    answer({ State: { Running: false } })
    expect(await probe(podman)).toMatchObject({ reason: "the container web does not run" })
    expect(await probe(undefined)).toMatchObject({
      reason: expect.stringContaining("set rollout.allow.containers.web.runtime"),
    })
  })
})

describe("a systemd unit", () => {
  const rule = { unit: "web.service" }

  test("is restarted once its image is here", async () => {
    await activatorWith(rule).activate(podman, target(), options)
    expect(commands.slice(2)).toEqual(["systemctl restart web.service"])
    await activatorWith(rule).deactivate(podman, options)
    expect(commands.slice(3)).toEqual(["systemctl stop web.service"])
  })

  test("that gives its container another name is unknown while it is active", async () => {
    answers["podman inspect --type container"] = new Error("no such container")
    answers["systemctl show"] = "ActiveState=active\n"
    const running = () => activatorWith(rule).isRunning(podman, target(), options)
    expect(await running()).toBe("unknown")
    answers["systemctl show"] = "ActiveState=failed\n"
    expect(await running()).toBe("no")
  })
})

describe("a container of containerd", () => {
  const containerd = { ...podman, kind: "containerd" } as const
  const rule = { program: ["ctr", "-n", "edge"], args: ["--net-host"] }
  const activator = () => activatorWith(rule)

  test("carries its image's digest, and prints to nobody unless it is told where", async () => {
    await activator().activate(containerd, target(), options)
    const label = `--label sealift.image=${image.digest}`
    const name = "localhost/sealift/web:current web"
    expect(commands[0]).toBe("ctr -n edge images import -")
    expect(commands.at(-1)).toBe(`ctr -n edge run --detach --null-io ${label} --net-host ${name}`)
    const logged = activatorWith({ args: ["--log-uri", "file:///var/log/web"] })
    await logged.activate(containerd, target(), options)
    expect(commands.at(-1)).not.toContain("--null-io")
  })

  test("has time to end by itself before it is killed", async () => {
    answers["ctr -n edge tasks ls"] = "TASK  PID  STATUS\nweb   7    RUNNING\n"
    const deactivating = activator().deactivate(containerd, options)
    await clock.advance(9_900)
    expect(commands).not.toContain("ctr -n edge tasks delete --force web")
    await clock.advance(200)
    await deactivating
    expect(commands.slice(-2)).toEqual([
      "ctr -n edge tasks delete --force web",
      "ctr -n edge containers delete web",
    ])
  })

  test("runs by its label and its task", async () => {
    answers["ctr -n edge containers info"] = JSON.stringify({
      Labels: { "sealift.image": image.digest },
    })
    expect(await activator().isRunning(containerd, target(), options)).toBe("no")
    answers["ctr -n edge tasks ls"] = "TASK  PID  STATUS\nweb   7    RUNNING\n"
    expect(await activator().isRunning(containerd, target(), options)).toBe("yes")
    answers["ctr -n edge containers info"] = "{}"
    expect(await activator().isRunning(containerd, target(), options)).toBe("no")
  })
})

test("all commands of one activation share its time", async () => {
  const times: number[] = []
  const slow: RunProgram = async (argv, more) => {
    times.push(more.timeoutMs)
    await clock.advance(20_000)
    return await run(argv, more)
  }
  const activator = createActivator({ ...depsWith({}), run: slow })
  await activator.activate(podman, target(), options)
  expect(times).toEqual([60_000, 40_000, 20_000, 0, 0])
})
