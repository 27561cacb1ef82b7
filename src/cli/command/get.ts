/**
 * `sealift get REF [-o PATH]`: fetch an image through the node, and write it as an OCI layout; or the
 * blob of a public torrent, and write it to a file.
 * @module
 */
import { getTorrent, isTorrentRef } from "../../cli/command/get-torrent.ts"
import {
  addPlatformOptions,
  describeImage,
  imageRequestOf,
  withImage,
} from "../../cli/command/image.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { checkLayoutTarget, writeLayout } from "../../cli/oci-layout.ts"
import { collect } from "../../cli/option.ts"

export const getCommand: CommandSpec = {
  examples: [
    "sealift get docker.io/library/alpine:3.20",
    "sealift get docker.io/library/alpine:3.20 -o ./alpine --platform linux/arm64",
    "sealift get 'magnet:?xt=urn:btih:…' -o ./model.bin",
    "sealift get ./model.torrent -o ./model.bin --peer 192.0.2.7:7072",
  ],
  define: (command) =>
    addPlatformOptions(command)
      .option("-o, --output <path>", "directory for an OCI layout; file for the blob of a torrent")
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
    await getImage(invocation)
  },
}

async function getImage({ args, options, out, signal, connect }: Invocation): Promise<void> {
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
}
