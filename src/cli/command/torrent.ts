/**
 * `sealift torrent REF`: the torrents of an image's blobs, for any BitTorrent client.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import type { TorrentReport } from "../../api/api.ts"
import { addPlatformOptions, imageRequestOf } from "../../cli/command/image.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { hexOf } from "../../core/digest.ts"
import { messageOf } from "../../core/errors.ts"
import { makeDirectories } from "../../daemon/make-directories.ts"

const DIRECTORY_MODE = 0o755

export const torrentCommand: CommandSpec = {
  examples: [
    "sealift torrent docker.io/library/alpine:3.20",
    "sealift torrent sha256:… -o ./torrents",
  ],
  define: (command) =>
    addPlatformOptions(command).option("-o, --output <dir>", "directory for the .torrent files"),
  async work({ args, options, out, connect }) {
    const { ref, platform, allPlatforms } = imageRequestOf(args[0]!, options)
    const query = new URLSearchParams({ ref, ...(platform === undefined ? {} : { platform }) })
    if (allPlatforms === true) query.set("allPlatforms", "true")
    const node = await connect()
    const report = await node.ask<TorrentReport>("GET", `/v1/torrent?${query}`)
    if (typeof options.output === "string") await writeTorrents(report, options.output)
    out.result(report, () => report.torrents.map(({ magnet }) => magnet).join("\n"))
  },
}

async function writeTorrents(report: TorrentReport, directory: string): Promise<void> {
  try {
    await makeDirectories(resolve(directory), DIRECTORY_MODE)
    for (const { digest, torrent } of report.torrents) {
      const path = join(directory, `${hexOf(digest)}.torrent`)
      await writeFile(path, Buffer.from(torrent, "base64"))
    }
  } catch (error) {
    const message = `cannot write torrents to ${directory}: ${messageOf(error)}`
    throw new CliError("OUTPUT_UNWRITABLE", message, { cause: error })
  }
}
