/**
 * `sealift get REF [-o PATH]`: fetch an image through the node, and write it as an OCI layout.
 * @module
 */
import {
  addPlatformOptions,
  describeImage,
  imageRequestOf,
  withImage,
} from "../../cli/command/image.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { checkLayoutTarget, writeLayout } from "../../cli/oci-layout.ts"

export const getCommand: CommandSpec = {
  examples: [
    "sealift get docker.io/library/alpine:3.20",
    "sealift get docker.io/library/alpine:3.20 -o ./alpine --platform linux/arm64",
  ],
  define: (command) =>
    addPlatformOptions(command).option(
      "-o, --output <path>",
      "directory to write an OCI layout to",
    ),
  async work({ args, options, out, signal, connect }) {
    const target = typeof options.output === "string" ? options.output : undefined
    if (target !== undefined) await checkLayoutTarget(target)
    const node = await connect()
    await withImage(node, out, imageRequestOf(args[0]!, options), async (image) => {
      if (target !== undefined) await writeLayout(node, image, target, { signal })
      const { type: _type, ...got } = image
      const where = target === undefined ? "" : `\nwritten to ${target}`
      out.result({ ...got, ...(target === undefined ? {} : { output: target }) }, () => {
        return describeImage(image) + where
      })
    })
  },
}
