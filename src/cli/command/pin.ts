/**
 * `sealift pin` and `sealift unpin`: keep images here, whatever the quota says.
 * @module
 */
import { addPlatformOptions, imageRequestOf, withImage } from "../../cli/command/image.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { REPLICAS_MAX } from "../../store/store.ts"

export const pinCommand: CommandSpec = {
  examples: [
    "sealift pin docker.io/library/alpine:3.20",
    "sealift pin quay.io/team/app:1 --name production",
    "sealift pin quay.io/team/app:1 --min-replicas 3",
  ],
  define: (command) =>
    addPlatformOptions(command)
      .option("--name <name>", "name of the pin (default: the reference)")
      .option("--min-replicas <n>", "let it go for want of room while n other nodes have it"),
  async work({ args, options, out, connect }) {
    const minReplicas = replicasOf(options.minReplicas)
    const node = await connect()
    const name = typeof options.name === "string" ? options.name : args[0]!
    await withImage(node, out, imageRequestOf(args[0]!, options), async (image) => {
      const digests = [...image.manifests, ...image.blobs].map(({ digest }) => digest)
      const pin = await node.ask("POST", "/v1/pins", { name, digests, minReplicas })
      out.result(pin, () => `pinned ${name} (${digests.length} blobs)`)
    })
  },
}

function replicasOf(text: unknown): number | undefined {
  if (text === undefined) return undefined
  const count = /^\d{1,4}$/.test(String(text)) ? Number(text) : 0
  if (count >= 1 && count <= REPLICAS_MAX) return count
  const allowed = `a number from 1 to ${REPLICAS_MAX}`
  throw new CliError("USAGE_INVALID", `--min-replicas is "${text}"; allowed: ${allowed}`)
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
