/**
 * `sealift stage REF…`: pull only; bring and verify images and releases, open nothing.
 * @module
 */
import type { StageLine } from "../../api/release-api.ts"
import {
  addPlatformOptions,
  describeImage,
  imageRequestOf,
  withImage,
} from "../../cli/command/image.ts"
import { isRelease } from "../../cli/command/reference-kind.ts"
import { approvalText } from "../../cli/command/release-text.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { followWork } from "../../cli/progress.ts"
import { humanSize } from "../../daemon/unit.ts"

export const stageCommand: CommandSpec = {
  examples: [
    "sealift stage docker.io/library/alpine:3.20",
    "sealift stage --platform linux/arm64 quay.io/team/app:1 quay.io/team/db:2",
    "sealift stage acme/model@1",
  ],
  define: addPlatformOptions,
  async work(invocation) {
    const node = await invocation.connect()
    for (const ref of invocation.args) {
      if (await isRelease(node, ref)) await stageRelease(node, ref, invocation)
      else await stageImage(node, ref, invocation)
    }
  },
}

async function stageImage(
  node: ControlClient,
  ref: string,
  { options, out }: Invocation,
): Promise<void> {
  await withImage(node, out, imageRequestOf(ref, options), async (image) => {
    const { type: _type, ...staged } = image
    out.result(staged, () => describeImage(image))
  })
}

async function stageRelease(node: ControlClient, ref: string, { out }: Invocation): Promise<void> {
  const staged = await followWork<StageLine>(node, out, {
    path: "/v1/release/stage",
    body: { ref },
    label: ref,
  })
  const { files, sizeBytes, visibility } = staged
  out.result(staged, () => {
    return `${staged.ref} ${files} files, ${humanSize(sizeBytes)} staged; ${approvalText(staged)}`
  })
  const act =
    visibility === "sealed" ? "decrypts it once every party has approved" : "writes it out"
  out.note(`next: "sealift open ${staged.ref}" ${act}`)
}
