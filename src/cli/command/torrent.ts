/**
 * `sealift torrent REF`: the torrents of an image's or a release's blobs, for any BitTorrent client, and
 * whether this node gives them to everybody.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import type { TorrentReport } from "../../api/api.ts"
import { addPlatformOptions, imageRequestOf } from "../../cli/command/image.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { hexOf } from "../../core/digest.ts"
import { messageOf } from "../../core/errors.ts"
import { makeDirectories } from "../../disk/make-directories.ts"

const DIRECTORY_MODE = 0o755

export const torrentCommand: CommandSpec = {
  examples: [
    "sealift torrent docker.io/library/alpine:3.20",
    "sealift torrent acme/tools@1 --public -o ./torrents",
    "sealift torrent sha256:… --public",
    "sealift torrent docker.io/library/alpine:3.20 --private",
  ],
  define: (command) =>
    addPlatformOptions(command)
      .option("-o, --output <dir>", "directory for the .torrent files")
      .option("--public", "give it to every BitTorrent client from now on, until --private")
      .option("--private", "give it to this node's peers only, as at first"),
  async work({ args, options, out, connect }) {
    const isPublic = publicityOf(options)
    const request = imageRequestOf(args[0]!, options)
    const node = await connect()
    const report =
      isPublic === undefined
        ? await askTorrents(node, request)
        : await node.ask<TorrentReport>("POST", "/v1/torrent", { ...request, isPublic })
    if (typeof options.output === "string") await writeTorrents(report, options.output)
    out.result(report, () => report.torrents.map(({ magnet }) => magnet).join("\n"))
    if (report.torrents.every((torrent) => !torrent.isPublic)) {
      out.note("private: only peers of this node can have it; --public gives it to everybody")
    } else if (report.port !== undefined) {
      out.note(`public: BitTorrent clients have it from port ${report.port} of this machine`)
    }
  },
}

/** @returns undefined when nothing is to change */
function publicityOf(options: Readonly<Record<string, unknown>>): boolean | undefined {
  if (options.public === true && options.private === true) {
    throw new CliError("USAGE_INVALID", "--public and --private exclude each other")
  }
  if (options.public === true) return true
  return options.private === true ? false : undefined
}

async function askTorrents(
  node: ControlClient,
  { ref, platform, allPlatforms }: ReturnType<typeof imageRequestOf>,
): Promise<TorrentReport> {
  const query = new URLSearchParams({ ref, ...(platform === undefined ? {} : { platform }) })
  if (allPlatforms === true) query.set("allPlatforms", "true")
  return await node.ask<TorrentReport>("GET", `/v1/torrent?${query}`)
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
