/**
 * `sealift ls`: images, blobs or pins of this node.
 * @module
 */
import type { BlobLine, BlobRow, ImagesReport, PinsReport, PublicReport } from "../../api/api.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns, type Output } from "../../cli/output.ts"
import { humanSize } from "../../daemon/unit.ts"

export const lsCommand: CommandSpec = {
  examples: ["sealift ls", "sealift ls --blobs --json", "sealift ls --pins", "sealift ls --public"],
  define: (command) =>
    command
      .option("--blobs", "list blobs, whole and partial")
      .option("--pins", "list pins")
      .option("--public", "list what any BitTorrent client may have"),
  async work({ options, out, connect }) {
    const chosen = ["blobs", "pins", "public"].filter((name) => options[name] === true)
    if (chosen.length > 1) {
      throw new CliError("USAGE_INVALID", "--blobs, --pins and --public exclude each other")
    }
    const node = await connect()
    if (options.blobs === true) return await listBlobs(node, out)
    if (options.pins === true) {
      const report = await node.ask<PinsReport>("GET", "/v1/pins")
      const rows = report.pins.map(({ name, digests, minReplicas }) => {
        const replicas = minReplicas === undefined ? "" : `while fewer than ${minReplicas} others`
        return [name, `${digests.length} blobs`, replicas]
      })
      return out.result(report, () => columns(rows))
    }
    if (options.public === true) return await listPublic(node, out)
    const report = await node.ask<ImagesReport>("GET", "/v1/images")
    out.result(report, () => columns(report.images.map(imageCells)))
    if (report.isTruncated) out.note("there are more images than are listed")
  },
}

function imageCells(image: ImagesReport["images"][number]): string[] {
  const mark = image.isPinned ? "pinned" : ""
  return [image.ref, image.digest, humanSize(image.presentBytes), mark]
}

async function listPublic(node: ControlClient, out: Output): Promise<void> {
  const report = await node.ask<PublicReport>("GET", "/v1/public")
  const rows = report.torrents.map(({ digest, infoHash, sizeBytes }) => {
    return infoHash === undefined
      ? [digest, "not seeded: it is not here, not whole, or must stay here"]
      : [digest, humanSize(sizeBytes ?? 0), infoHash]
  })
  out.result(report, () => columns(rows))
  if (report.port !== undefined) out.note(`served on port ${report.port}`)
}

async function listBlobs(node: ControlClient, out: Output): Promise<void> {
  for await (const line of node.lines<BlobLine>("GET", "/v1/blobs")) {
    if (line.type === "blob") {
      const { type: _type, ...row } = line
      out.result(row, () => blobCells(row).join("  "))
    } else {
      out.note(`${line.blobCount} blobs, ${humanSize(line.usedBytes)} used`)
    }
  }
}

function blobCells(row: BlobRow): string[] {
  const state = row.isComplete ? "complete" : `${row.pieceCount}/${row.pieceTotal} pieces`
  const marks = [row.isPinned ? "pinned" : "", row.isShared ? "" : "kept here"]
  return [row.digest, humanSize(row.sizeBytes), state, ...marks.filter((mark) => mark !== "")]
}
