/**
 * `sealift get REF [-o PATH]`: fetch an image through the node, and write it as an OCI layout; the files
 * of an open release; or the blob of a public torrent, and write it to a file.
 * @module
 */
import { resolve } from "node:path"
import type { OpenLine, ReleaseDetails, StageLine } from "../../api/release-api.ts"
import { getTorrent, isTorrentRef } from "../../cli/command/get-torrent.ts"
import {
  addPlatformOptions,
  describeImage,
  imageRequestOf,
  withImage,
} from "../../cli/command/image.ts"
import { findRelease } from "../../cli/command/reference-kind.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { checkLayoutTarget, writeLayout } from "../../cli/oci-layout.ts"
import { collect } from "../../cli/option.ts"
import { followWork } from "../../cli/progress.ts"
import { humanSize } from "../../daemon/unit.ts"

export const getCommand: CommandSpec = {
  examples: [
    "sealift get docker.io/library/alpine:3.20",
    "sealift get docker.io/library/alpine:3.20 -o ./alpine --platform linux/arm64",
    "sealift get acme/tools@1 -o ./tools",
    "sealift get 'magnet:?xt=urn:btih:…' -o ./model.bin",
    "sealift get ./model.torrent -o ./model.bin --peer 192.0.2.7:7072",
  ],
  define: (command) =>
    addPlatformOptions(command)
      .option(
        "-o, --output <path>",
        "directory for an OCI layout, or for a release's files; file for the blob of a torrent",
      )
      .option(
        "--peer <host:port>",
        "a BitTorrent client that has the torrent; repeatable",
        collect,
      ),
  async work(invocation) {
    if (isTorrentRef(invocation.args[0]!)) return await getTorrent(invocation)
    if (invocation.options.peer !== undefined) {
      throw new CliError("USAGE_INVALID", "--peer is for magnet links and .torrent files")
    }
    const node = await invocation.connect()
    const release = await findRelease(node, invocation.args[0]!)
    if (release === undefined) await getImage(node, invocation)
    else await getRelease(node, release, invocation)
  },
}

/** Of a release that is sealed nothing is written: that is for `open`, which asks for more. */
async function getRelease(
  node: ControlClient,
  { visibility }: ReleaseDetails,
  { args, options, out }: Invocation,
): Promise<void> {
  const ref = args[0]!
  if (options.platform !== undefined || options.allPlatforms === true) {
    throw new CliError("USAGE_INVALID", "--platform and --all-platforms are for images")
  }
  if (visibility === "sealed") {
    const message = `${ref} is sealed: "sealift stage ${ref}" brings it, "sealift open ${ref}" decrypts it`
    throw new CliError("USAGE_INVALID", message)
  }
  const staged = await followWork<StageLine>(node, out, {
    path: "/v1/release/stage",
    body: { ref },
    label: ref,
  })
  if (typeof options.output !== "string") {
    const { files, sizeBytes } = staged
    out.result(staged, () => `${staged.ref} ${files} files, ${humanSize(sizeBytes)}`)
    return
  }
  const opened = await followWork<OpenLine>(node, out, {
    path: "/v1/release/open",
    body: { ref: staged.ref, path: resolve(options.output) },
    label: ref,
  })
  out.result(opened, () => `${opened.path}: ${opened.files} files of ${opened.ref}`)
}

async function getImage(
  node: ControlClient,
  { args, options, out, signal }: Invocation,
): Promise<void> {
  const target = typeof options.output === "string" ? options.output : undefined
  if (target !== undefined) await checkLayoutTarget(target)
  await withImage(node, out, imageRequestOf(args[0]!, options), async (image) => {
    if (target !== undefined) await writeLayout(node, image, target, { signal })
    const { type: _type, ...got } = image
    const where = target === undefined ? "" : `\nwritten to ${target}`
    out.result({ ...got, ...(target === undefined ? {} : { output: target }) }, () => {
      return describeImage(image) + where
    })
  })
}
