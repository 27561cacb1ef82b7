/**
 * Brings the blob of a public torrent here: clients are found, they tell what it is, delivery fetches
 * it from them and proves it by its SHA-256.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { BlobStore } from "../store/store.ts"
import type { Metainfo } from "../swarm/metainfo.ts"
import type { PublicSide, Seek } from "../swarm/public/public.ts"
import type { PeerAddress, TorrentLink } from "../swarm/public/torrent-link.ts"
import type { TorrentLine, TorrentStreamLine } from "./api.ts"
import { ApiError } from "./errors.ts"

/** Without a client, or without progress, it is given up after this time. */
const SILENCE_MS_MAX = 60_000
/** Between two tries to fetch. */
const PAUSE_MS = 500
/** What delivery says when nobody has the blob now; somebody may be found later. */
const NOBODY: readonly string[] = ["BLOB_UNKNOWN", "BLOB_UNAVAILABLE"]

export interface TorrentPullDeps {
  readonly publicSide: PublicSide
  readonly delivery: Delivery
  readonly store: BlobStore
  readonly clock: Clock
}

/**
 * Brings the blob here.
 * @throws ApiError `TORRENT_UNAVAILABLE`; SwarmError `METAINFO_INVALID` for a torrent of another form
 */
export async function pullTorrent(
  deps: TorrentPullDeps,
  link: TorrentLink,
  options: {
    readonly peers: readonly PeerAddress[]
    readonly signal: AbortSignal
    readonly onProgress: (line: TorrentStreamLine) => void
  },
): Promise<TorrentLine> {
  // What is here needs no client, and nobody need learn that it is wanted.
  if (link.metainfo !== undefined && isHere(deps, link.metainfo)) return lineOf(link.metainfo)
  using seek = deps.publicSide.seek(link)
  for (const peer of options.peers) seek.addPeer(peer)
  const { signal, onProgress } = options
  const tell = (metainfo: Metainfo | undefined, doneBytes: number) => {
    const { clientCount } = seek
    const known = metainfo === undefined ? {} : { digest: metainfo.digest }
    const totalBytes = metainfo?.layout.sizeBytes ?? 0
    onProgress({ type: "progress", ...known, doneBytes, totalBytes, clientCount })
  }
  tell(undefined, 0)
  const metainfo = await metainfoOf(deps, seek, link, signal)
  await fetchBlob(deps, metainfo, { seek, signal, tell: (bytes) => tell(metainfo, bytes) })
  return lineOf(metainfo)
}

function isHere({ store }: TorrentPullDeps, { digest }: Metainfo): boolean {
  return store.stat(digest)?.isComplete === true
}

function lineOf({ digest, layout, infoHash }: Metainfo): TorrentLine {
  return { type: "result", digest, sizeBytes: layout.sizeBytes, infoHash: hexOf(infoHash) }
}

async function metainfoOf(
  { clock }: TorrentPullDeps,
  seek: Seek,
  link: TorrentLink,
  signal: AbortSignal,
): Promise<Metainfo> {
  const ended = new AbortController()
  const waiting = clock.sleep(SILENCE_MS_MAX, {
    signal: AbortSignal.any([signal, ended.signal]),
  })
  const silence = waiting.then(() => {
    throw unavailable(link.infoHash, seek)
  })
  try {
    return await Promise.race([seek.metainfo, silence])
  } finally {
    silence.catch(() => undefined)
    ended.abort()
  }
}

async function fetchBlob(
  { delivery, store, clock }: TorrentPullDeps,
  metainfo: Metainfo,
  options: { seek: Seek; signal: AbortSignal; tell: (doneBytes: number) => void },
): Promise<void> {
  const { digest, layout } = metainfo
  const wish = { digest, sizeBytes: layout.sizeBytes }
  let pieceCount = -1
  let movedAtMs = clock.monotonicMs()
  for (;;) {
    const nowCount = store.stat(digest)?.pieceCount ?? 0
    if (nowCount !== pieceCount) {
      pieceCount = nowCount
      movedAtMs = clock.monotonicMs()
    }
    try {
      const onProgress = ({ haveBytes }: { haveBytes: number }) => options.tell(haveBytes)
      await delivery.ensure(wish, { signal: options.signal, onProgress })
      return
    } catch (error) {
      if (!NOBODY.includes(codeOf(error) ?? "")) throw error
      const silentMs = clock.monotonicMs() - movedAtMs
      if (silentMs > SILENCE_MS_MAX) throw unavailable(metainfo.infoHash, options.seek, error)
    }
    await clock.sleep(PAUSE_MS, { signal: options.signal })
  }
}

function unavailable(infoHash: Uint8Array, seek: Seek, cause?: unknown): ApiError {
  const hash = hexOf(infoHash)
  const message = `no client gives the torrent ${hash}: ${seek.clientCount} are connected, and nothing came for ${SILENCE_MS_MAX / 1000} s; name one by --peer HOST:PORT, or a tracker in the link`
  return new ApiError("TORRENT_UNAVAILABLE", message, { cause, details: { infoHash: hash } })
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
