/**
 * The torrent of a blob that is here: file and magnet link (protocol/metainfo.md).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { magnetLink, torrentFile } from "../swarm/metainfo.ts"
import type { PublicSide } from "../swarm/public/public.ts"
import type { TorrentRow } from "./api.ts"
import { ApiError } from "./errors.ts"

/** Makes the torrent of a blob. @throws ApiError `TORRENT_UNKNOWN` unless it is here, whole */
export async function torrentOf(publicSide: PublicSide, digest: Digest): Promise<TorrentRow> {
  const metainfo = await publicSide.torrentOf(digest)
  if (metainfo === undefined) {
    throw new ApiError("TORRENT_UNKNOWN", `${digest} is not here, or not complete`)
  }
  const isPublic = publicSide.isPublic(digest)
  // Trackers are for what is public: a private info-hash is told to nobody.
  const trackers = isPublic ? publicSide.trackers : []
  return {
    digest,
    sizeBytes: metainfo.layout.sizeBytes,
    infoHash: Buffer.from(metainfo.infoHash).toString("hex"),
    magnet: magnetLink(metainfo, trackers),
    torrent: Buffer.from(torrentFile(metainfo, trackers)).toString("base64"),
    isPublic,
  }
}
