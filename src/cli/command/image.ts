/**
 * What `get`, `stage` and `pin` share: asking the node for an image and showing how it comes.
 * @module
 */
import type { Command } from "commander"
import type { ImageLine, ImageRequest, ImageStreamLine } from "../../api/api.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { Output } from "../../cli/output.ts"
import { openProgress, showImageProgress } from "../../cli/progress.ts"
import { humanSize } from "../../daemon/unit.ts"

/** Adds the options that choose platforms. */
export function addPlatformOptions(command: Command): Command {
  return command
    .option("--platform <os/arch>", "platform of an index, such as linux/arm64 (default: this one)")
    .option("--all-platforms", "every platform of an index")
}

/** Makes the request of a reference out of a command's options. */
export function imageRequestOf(
  ref: string,
  options: Readonly<Record<string, unknown>>,
): ImageRequest {
  const { platform, allPlatforms } = options
  if (platform !== undefined && allPlatforms === true) {
    throw new CliError("USAGE_INVALID", "--platform and --all-platforms exclude each other")
  }
  return {
    ref,
    ...(typeof platform === "string" ? { platform } : {}),
    ...(allPlatforms === true ? { allPlatforms: true } : {}),
  }
}

/**
 * Brings an image to the node.
 * @param use - works with what is there; nothing of it is swept meanwhile
 */
export async function withImage(
  node: ControlClient,
  out: Output,
  request: ImageRequest,
  use: (image: ImageLine) => Promise<void>,
): Promise<void> {
  using bar = await openProgress(out, request.ref)
  const wish = { ...request, hold: true }
  for await (const line of node.lines<ImageStreamLine>("POST", "/v1/get", wish)) {
    if (line.type === "progress") showImageProgress(bar, line)
    else {
      bar[Symbol.dispose]()
      // Leaving the loop ends the answer, and with it the hold.
      return await use(line)
    }
  }
}

/** Says in one line what came from where. */
export function describeImage(image: ImageLine): string {
  const { fromPeersBytes, fromOriginBytes } = image
  const sources = [
    fromPeersBytes > 0 ? `${humanSize(fromPeersBytes)} from peers` : "",
    fromOriginBytes > 0 ? `${humanSize(fromOriginBytes)} from the registry` : "",
  ].filter((text) => text !== "")
  const from = sources.length === 0 ? "all here already" : sources.join(", ")
  return `${image.ref} ${image.digest} ${humanSize(image.totalBytes)} (${from})`
}
