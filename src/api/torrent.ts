/**
 * The torrent of a blob that is here: file and magnet link (protocol/metainfo.md).
 * @module
 */
import { createHash } from "node:crypto"
import type { Digest } from "../core/digest.ts"
import { pieceRange } from "../core/piece.ts"
import type { BlobStore } from "../store/store.ts"
import { magnetLink, metainfoOf, torrentFile } from "../swarm/metainfo.ts"
import type { TorrentRow } from "./api.ts"
import { ApiError } from "./errors.ts"

/** Makes the torrent of a blob. @throws ApiError `TORRENT_UNKNOWN` unless it is here, whole */
export async function torrentOf(store: BlobStore, digest: Digest): Promise<TorrentRow> {
  const reader = store.open(digest)
  try {
    if (reader === undefined || !reader.isComplete) {
      throw new ApiError("TORRENT_UNKNOWN", `${digest} is not here, or not complete`)
    }
    const { layout } = reader
    const hashes: Uint8Array[] = []
    for (let index = 0; index < layout.count; index++) {
      const bytes = await reader.read(pieceRange(layout, index))
      hashes.push(createHash("sha1").update(bytes).digest())
    }
    const metainfo = metainfoOf(digest, layout, Buffer.concat(hashes))
    return {
      digest,
      sizeBytes: layout.sizeBytes,
      infoHash: Buffer.from(metainfo.infoHash).toString("hex"),
      magnet: magnetLink(metainfo),
      torrent: Buffer.from(torrentFile(metainfo)).toString("base64"),
    }
  } finally {
    reader?.release()
  }
}
