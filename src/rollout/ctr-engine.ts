/**
 * The {@link ContainerEngine} of containerd, by `ctr`. It has no names of images for what runs once a
 * name has moved on, so a container carries its image's digest as a label.
 * @module
 */
import { Readable } from "node:stream"
import { type ContainerEngine, imageNameOf, STOP_GRACE_MS } from "./container-engine.ts"
import type { EngineCommands } from "./engine-commands.ts"
import { RolloutError } from "./errors.ts"
import { imageArchive } from "./image-archive.ts"

const LABEL = "sealift.image"
const POLL_MS = 200

interface ContainerInfo {
  readonly Labels?: Readonly<Record<string, string>>
}

/** Makes the adapter. */
export function createCtrEngine(commands: EngineCommands): ContainerEngine {
  const names = new Map<string, string>()
  /** Gives how the container's process is, such as `RUNNING`; undefined when there is none. */
  const statusOf = async (container: string) => {
    const lines = (await commands.run(["tasks", "ls"])).split("\n").map((line) => line.split(/\s+/))
    return lines.find(([name]) => name === container)?.[2]
  }
  /** `ctr` waits for no process to end. */
  const stop = async (container: string) => {
    const { clock, signal } = commands
    const killed = await commands.runOn(["tasks", "kill", "--signal", "SIGTERM", container])
    const endMs = clock.monotonicMs() + STOP_GRACE_MS
    while (killed !== undefined && clock.monotonicMs() < endMs) {
      if ((await statusOf(container)) !== "RUNNING") return
      await clock.sleep(POLL_MS, { signal })
    }
  }
  return {
    async bring(layout, container) {
      const name = imageNameOf(container)
      const input = Readable.from(imageArchive(layout, name))
      await commands.run(["images", "import", "-"], { input })
      names.set(name, layout.top.digest)
      return name
    },
    async start(container, image, { args = [], command = [] }) {
      const label = ["--label", `${LABEL}=${names.get(image)}`]
      // Without a reader a container that prints much would stand still.
      const isLogged = args.some((arg) => arg.startsWith("--log-uri"))
      const output = isLogged ? [] : ["--null-io"]
      const words = ["run", "--detach", ...output, ...label, ...args]
      await commands.run([...words, image, container, ...command])
    },
    async remove(container) {
      await stop(container)
      await commands.runOn(["tasks", "delete", "--force", container])
      await commands.runOn(["containers", "delete", container])
    },
    async inspect(container) {
      const printed = await commands.runOn(["containers", "info", container])
      if (printed === undefined) return undefined
      const image = labelsOf(printed)[LABEL]
      const isRunning = (await statusOf(container)) === "RUNNING"
      return { isRunning, health: undefined, images: image === undefined ? [] : [image] }
    },
  }
}

function labelsOf(printed: string): Readonly<Record<string, string>> {
  try {
    return (JSON.parse(printed) as ContainerInfo).Labels ?? {}
  } catch (cause) {
    throw new RolloutError("ACTIVATION_FAILED", "ctr prints no JSON", { cause })
  }
}
