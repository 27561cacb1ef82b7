/**
 * `sealift get magnet:…` and `sealift get FILE.torrent`: fetch the blob of a public torrent from any
 * BitTorrent clients, and write it to a file.
 * @module
 */
import { open, stat } from "node:fs/promises"
import type { TorrentGetRequest, TorrentLine, TorrentStreamLine } from "../../api/api.ts"
import { checkFileTarget, writeBlobFile } from "../../cli/blob-file.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { Invocation } from "../../cli/invocation.ts"
import { openProgress } from "../../cli/progress.ts"
import { messageOf } from "../../core/errors.ts"
import { humanSize } from "../../daemon/unit.ts"
import { TORRENT_FILE_BYTES_MAX } from "../../swarm/public/torrent-link.ts"

/** Tells whether a REF is a torrent: a magnet link, or a path that ends in `.torrent`. */
export function isTorrentRef(ref: string): boolean {
  return /^magnet:\?/i.test(ref) || ref.endsWith(".torrent")
}

/** Fetches it. @throws what the node reports; CliError for the output */
export async function getTorrent({
  args,
  options,
  out,
  signal,
  connect,
}: Invocation): Promise<void> {
  const ref = args[0]!
  const target = typeof options.output === "string" ? options.output : undefined
  if (target !== undefined) await checkFileTarget(target)
  const request: TorrentGetRequest = {
    ...(ref.endsWith(".torrent") ? { torrent: await readTorrent(ref) } : { magnet: ref }),
    ...(options.peer === undefined ? {} : { peers: options.peer as string[] }),
    hold: true,
  }
  const node = await connect()
  await withTorrent(node, request, { out, label: ref }, async (got) => {
    if (target !== undefined) await writeBlobFile(node, got.digest, target, { signal })
    const { type: _type, ...told } = got
    const where = target === undefined ? "" : `\nwritten to ${target}`
    out.result({ ...told, ...(target === undefined ? {} : { output: target }) }, () => {
      return `${got.digest} ${humanSize(got.sizeBytes)}${where}`
    })
  })
}

/** @param use - works with the blob, which is not swept meanwhile */
async function withTorrent(
  node: ControlClient,
  request: TorrentGetRequest,
  { out, label }: { out: Invocation["out"]; label: string },
  use: (line: TorrentLine) => Promise<void>,
): Promise<void> {
  using bar = await openProgress(out, label)
  for await (const line of node.lines<TorrentStreamLine>("POST", "/v1/torrent/get", request)) {
    if (line.type === "progress") {
      bar.update(line.doneBytes, line.totalBytes, `clients ${line.clientCount}`)
      continue
    }
    bar[Symbol.dispose]()
    // Leaving the loop ends the answer, and with it the hold.
    return await use(line)
  }
}

async function readTorrent(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > TORRENT_FILE_BYTES_MAX) throw new Error(`${size} bytes are too many`)
    await using file = await open(path, "r")
    return (await file.readFile()).toString("base64")
  } catch (error) {
    const message = `cannot read ${path}: ${messageOf(error)}`
    throw new CliError("USAGE_INVALID", message, { cause: error })
  }
}
