/**
 * `sealift stage REF…`: pull only; bring and verify, open nothing.
 * @module
 */
import {
  addPlatformOptions,
  describeImage,
  imageRequestOf,
  withImage,
} from "../../cli/command/image.ts"
import type { CommandSpec } from "../../cli/invocation.ts"

export const stageCommand: CommandSpec = {
  examples: [
    "sealift stage docker.io/library/alpine:3.20",
    "sealift stage --platform linux/arm64 quay.io/team/app:1 quay.io/team/db:2",
  ],
  define: addPlatformOptions,
  async work({ args, options, out, connect }) {
    const node = await connect()
    for (const ref of args) {
      await withImage(node, out, imageRequestOf(ref, options), async (image) => {
        const { type: _type, ...staged } = image
        out.result(staged, () => describeImage(image))
      })
    }
  },
}
