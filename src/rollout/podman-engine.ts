/**
 * The {@link ContainerEngine} of podman and of Docker, which take the same words.
 * @module
 */
import { Readable } from "node:stream"
import { type ContainerEngine, imageNameOf, STOP_GRACE_MS } from "./container-engine.ts"
import type { EngineCommands } from "./engine-commands.ts"
import { RolloutError } from "./errors.ts"
import { imageArchive } from "./image-archive.ts"

/** What is read of `inspect`: both print more. */
interface Inspected {
  readonly Id?: string
  /** Of a container: its image, in hex, with `sha256:` by Docker only. */
  readonly Image?: string
  /** Of podman. */
  readonly ImageDigest?: string
  /** Of Docker on containerd's store. */
  readonly ImageManifestDescriptor?: { readonly digest?: string }
  readonly State?: { readonly Running?: boolean; readonly Health?: { readonly Status?: string } }
}

const STOP_GRACE_S = String(STOP_GRACE_MS / 1_000)

/** Makes the adapter. */
export function createPodmanEngine(commands: EngineCommands): ContainerEngine {
  const inspect = async (type: "image" | "container", name: string) => {
    const printed = await commands.runOn(["inspect", "--type", type, name])
    return printed === undefined ? undefined : firstOf(printed)
  }
  return {
    async bring(layout, container) {
      const name = imageNameOf(container)
      await commands.run(["load", "--quiet"], { input: Readable.from(imageArchive(layout, name)) })
      const id = asDigest((await inspect("image", name))?.Id)
      // What is run is what was brought, whatever else has that name by now.
      if (id !== undefined && layout.names.has(id)) return id
      throw new RolloutError("ACTIVATION_FAILED", `the image of ${container} did not arrive`)
    },
    async start(container, image, { args = [], command = [] }) {
      await commands.run(["run", "--detach", "--name", container, ...args, image, ...command])
    },
    async remove(container) {
      await commands.runOn(["stop", "-t", STOP_GRACE_S, container])
      await commands.runOn(["rm", "--force", container])
    },
    async inspect(container) {
      const found = await inspect("container", container)
      if (found === undefined) return undefined
      const { State, Image, ImageDigest, ImageManifestDescriptor } = found
      const images = [Image, ImageDigest, ImageManifestDescriptor?.digest].map(asDigest)
      return {
        isRunning: State?.Running === true,
        health: State?.Health?.Status || undefined,
        images: images.filter((one) => one !== undefined),
      }
    },
  }
}

function firstOf(printed: string): Inspected {
  try {
    return (JSON.parse(printed) as readonly Inspected[])[0] ?? {}
  } catch (cause) {
    throw new RolloutError("ACTIVATION_FAILED", "inspect prints no JSON", { cause })
  }
}

function asDigest(text: string | undefined): string | undefined {
  return text === undefined || text.includes(":") ? text : `sha256:${text}`
}
