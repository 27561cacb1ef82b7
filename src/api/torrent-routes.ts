/**
 * The public side: torrents of blobs, making them public, fetching public ones.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { type Digest, parseDigest } from "../core/digest.ts"
import { verifyApproved } from "../release/decision.ts"
import { carriedFiles } from "../release/release.ts"
import type { KnownRelease } from "../release/releases.ts"
import { SwarmError } from "../swarm/errors.ts"
import {
  parseMagnet,
  parsePeerAddress,
  parseTorrentFile,
  TORRENT_FILE_BYTES_MAX,
  type TorrentLink,
} from "../swarm/public/torrent-link.ts"
import {
  HOLD_MS_MAX,
  type ImageRequest,
  type PublicReport,
  type TorrentReport,
  type TorrentRow,
  type TorrentStreamLine,
} from "./api.ts"
import { clientSignal } from "./client-signal.ts"
import type { ControlDeps } from "./control.ts"
import { ApiError } from "./errors.ts"
import { ImageLeases } from "./image-leases.ts"
import { findImageParts } from "./image-pull.ts"
import { sendLines } from "./line-stream.ts"
import { releasesOf } from "./release-deps.ts"
import { findNamedRelease, refOf } from "./release-reference.ts"
import { type Fields, fieldsOf, required } from "./request.ts"
import { torrentOf } from "./torrent.ts"
import { pullTorrent } from "./torrent-pull.ts"

/** A `.torrent` file as base64, with room for the other fields. */
const GET_BODY_BYTES_MAX: number = Math.ceil((TORRENT_FILE_BYTES_MAX * 4) / 3) + 64 * 1024
const PEERS_MAX = 64
const POST_FIELDS = {
  ref: "text",
  platform: "text",
  allPlatforms: "boolean",
  isPublic: "boolean",
} as const
const GET_FIELDS = { magnet: "link", torrent: "base64", peers: "texts", hold: "boolean" } as const

/** Adds the routes to a server. */
export function addTorrentRoutes(app: FastifyInstance, deps: ControlDeps): void {
  const { publicSide } = deps
  app.get("/v1/torrent", async (request, reply): Promise<TorrentReport> => {
    const types = { ref: "text", platform: "text", allPlatforms: "text" } as const
    const { allPlatforms, ...fields } = fieldsOf(request.query, types)
    const ref = required(fields.ref, "ref")
    const wish = { ...fields, ref, allPlatforms: allPlatforms === "true" }
    return await report(deps, ref, await digestsOf(deps, wish, { signal: clientSignal(reply) }))
  })
  app.post("/v1/torrent", async (request, reply): Promise<TorrentReport> => {
    const fields = fieldsOf(request.body, POST_FIELDS)
    const ref = required(fields.ref, "ref")
    const isPublic = required(fields.isPublic, "isPublic")
    const signal = clientSignal(reply)
    const digests = await digestsOf(deps, { ...fields, ref }, { signal, isPublic })
    if (isPublic) await publishAll(deps, digests)
    else for (const digest of digests) await publicSide.hide(digest)
    return await report(deps, ref, digests)
  })
  app.get("/v1/public", async (): Promise<PublicReport> => publicReport(deps))
  const options = { bodyLimit: GET_BODY_BYTES_MAX }
  app.post("/v1/torrent/get", options, async (request, reply) => {
    const fields = fieldsOf(request.body, GET_FIELDS)
    const link = linkOf(fields)
    const peers = (fields.peers ?? []).slice(0, PEERS_MAX).map(peerOf)
    return sendLines<TorrentStreamLine>(reply, async (writer) => {
      using leases = new ImageLeases(deps.store)
      const line = await pullTorrent(deps, link, {
        peers,
        signal: writer.signal,
        onProgress: (progress) => writer.tell(progress),
      })
      leases.add(line.digest)
      await writer.write(line)
      if (fields.hold === true) await writer.closed(HOLD_MS_MAX)
    })
  })
}

/** All of them, or none: half an image is of no use to anybody. */
async function publishAll({ publicSide }: ControlDeps, digests: readonly Digest[]): Promise<void> {
  const fresh: Digest[] = []
  try {
    for (const digest of digests) {
      const wasPublic = publicSide.isPublic(digest)
      await publicSide.publish(digest)
      if (!wasPublic) fresh.push(digest)
    }
  } catch (error) {
    for (const digest of fresh) await publicSide.hide(digest)
    throw error
  }
}

async function report(
  { publicSide }: ControlDeps,
  ref: string,
  digests: readonly Digest[],
): Promise<TorrentReport> {
  const torrents: TorrentRow[] = []
  for (const digest of digests) torrents.push(await torrentOf(publicSide, digest))
  const { port } = publicSide
  return { ref, ...(port === undefined ? {} : { port }), torrents }
}

function publicReport({ publicSide }: ControlDeps): PublicReport {
  const { port } = publicSide
  const torrents = publicSide.list().map(({ digest, metainfo }) => {
    if (metainfo === undefined) return { digest, isSeeded: false }
    const infoHash = Buffer.from(metainfo.infoHash).toString("hex")
    return { digest, isSeeded: true, infoHash, sizeBytes: metainfo.layout.sizeBytes }
  })
  return { ...(port === undefined ? {} : { port }), torrents }
}

async function digestsOf(
  deps: ControlDeps,
  wish: ImageRequest,
  { signal, isPublic = false }: { readonly signal: AbortSignal; readonly isPublic?: boolean },
): Promise<readonly Digest[]> {
  if (wish.ref.startsWith("sha256:")) return [parseDigest(wish.ref)]
  const release = await findNamedRelease(deps, wish.ref, { signal })
  if (release !== undefined) {
    if (isPublic) await verifyForEverybody(deps, release, { signal })
    return [...new Set(carriedFiles(release.release.said).map(({ digest }) => digest))]
  }
  const { manifests, blobs } = await findImageParts(deps.images, wish, { signal })
  return [...manifests, ...blobs].map(({ digest }) => digest)
}

/**
 * What is signed for the fleet, or not yet by all, does not go to everybody by its name.
 * @throws SwarmError `PUBLIC_REFUSED`; ReleaseError `APPROVALS_MISSING` and its like
 */
async function verifyForEverybody(
  deps: ControlDeps,
  known: KnownRelease,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const { said } = known.release
  if (said.content.visibility !== "public") {
    const message = `${refOf(known)} was not published with --public, and cannot be made public`
    throw new SwarmError("PUBLIC_REFUSED", message)
  }
  const { book } = await releasesOf(deps, options)
  verifyApproved(said, await book.decide(known))
}

function linkOf({ magnet, torrent }: Fields<typeof GET_FIELDS>): TorrentLink {
  if (magnet !== undefined && torrent === undefined) return parseMagnet(magnet)
  if (torrent !== undefined && magnet === undefined) {
    return parseTorrentFile(Buffer.from(torrent, "base64"))
  }
  throw new ApiError(
    "REQUEST_INVALID",
    "the request is refused: one of magnet and torrent, not both",
  )
}

function peerOf(text: string): { host: string; port: number } {
  const address = parsePeerAddress(text)
  if (address !== undefined) return address
  const shown = JSON.stringify(text.slice(0, 80))
  throw new ApiError("REQUEST_INVALID", `the request is refused: peer ${shown} is not HOST:PORT`)
}
