/**
 * `sealift pin` and `sealift unpin`: keep images here, whatever the quota says.
 * @module
 */
import { addPlatformOptions, imageRequestOf, withImage } from "../../cli/command/image.ts"
import type { CommandSpec } from "../../cli/invocation.ts"

export const pinCommand: CommandSpec = {
  examples: [
    "sealift pin docker.io/library/alpine:3.20",
    "sealift pin quay.io/team/app:1 --name production",
  ],
  define: (command) =>
    addPlatformOptions(command).option("--name <name>", "name of the pin (default: the reference)"),
  async work({ args, options, out, connect }) {
    const node = await connect()
    const name = typeof options.name === "string" ? options.name : args[0]!
    await withImage(node, out, imageRequestOf(args[0]!, options), async (image) => {
      const digests = [...image.manifests, ...image.blobs].map(({ digest }) => digest)
      const pin = await node.ask("POST", "/v1/pins", { name, digests })
      out.result(pin, () => `pinned ${name} (${digests.length} blobs)`)
    })
  },
}

export const unpinCommand: CommandSpec = {
  examples: ["sealift unpin docker.io/library/alpine:3.20", "sealift unpin production"],
  async work({ args, out, connect }) {
    const node = await connect()
    const name = args[0]!
    const gone = await node.ask("DELETE", `/v1/pins/${encodeURIComponent(name)}`)
    out.result(gone, () => `unpinned ${name}`)
  },
}
