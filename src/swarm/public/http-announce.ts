/**
 * Announces to an HTTP tracker (BEP 3, compact answers as in BEP 23 and BEP 7).
 * @module
 */
import { once } from "node:events"
import { get as getPlain, type IncomingMessage } from "node:http"
import { get as getSecure } from "node:https"
import { readBoundedBody } from "../../core/bounded-body.ts"
import { parseBencode } from "../bencode.ts"
import { SwarmError } from "../errors.ts"
import { ADDRESSES_WANTED, type AnnounceAnswer, type Announcement } from "./announce-tracker.ts"
import { checkHost, lookupFor } from "./guarded-lookup.ts"
import { parseCompact } from "./peer-exchange.ts"

/** Longest answer of a tracker. */
const ANSWER_BYTES_MAX = 256 * 1024
const REASON_CHARS_MAX = 200

/** Tells a tracker and reads its answer. @throws SwarmError `TRACKER_FAILED`, or the socket's error */
export async function announceByHttp(
  url: string,
  announcement: Announcement,
  { mayBePrivate, signal }: { readonly mayBePrivate: boolean; readonly signal: AbortSignal },
): Promise<AnnounceAnswer> {
  const target = new URL(url)
  checkHost(target.hostname, mayBePrivate)
  // Written by hand: the bytes of the info-hash are escaped as they are, not as UTF-8.
  const search = target.search === "" ? "?" : `${target.search}&`
  const get = target.protocol === "https:" ? getSecure : getPlain
  const asking = get(`${target.origin}${target.pathname}${search}${queryOf(announcement)}`, {
    lookup: lookupFor(mayBePrivate),
    signal,
    headers: { "user-agent": "Sealift", "accept-encoding": "identity" },
    agent: false,
  })
  const [answer] = (await once(asking, "response", { signal })) as [IncomingMessage]
  try {
    if (answer.statusCode !== 200) throw failed(`it answers ${answer.statusCode}`)
    return parseHttpAnswer(
      await readBoundedBody(answer, ANSWER_BYTES_MAX, () => failed("its answer is too long")),
    )
  } finally {
    answer.destroy()
  }
}

/** Reads the body of a tracker's answer. @throws SwarmError `TRACKER_FAILED`, `BENCODE_INVALID` */
export function parseHttpAnswer(body: Uint8Array): AnnounceAnswer {
  const answer = parseBencode(body)
  if (!(answer instanceof Map)) throw failed("its answer is no dictionary")
  const reason: unknown = answer.get("failure reason")
  if (reason instanceof Uint8Array) {
    throw failed(Buffer.from(reason).toString("utf8").slice(0, REASON_CHARS_MAX))
  }
  const interval: unknown = answer.get("interval")
  const four = parseCompact(answer.get("peers"), 6)
  return {
    intervalSeconds: typeof interval === "number" ? interval : 0,
    addresses: [...four, ...parseCompact(answer.get("peers6"), 18)],
  }
}

function queryOf(announcement: Announcement): string {
  const { infoHash, wirePeerId, port, leftBytes, event } = announcement
  const fields = [
    `info_hash=${escapeBytes(infoHash)}`,
    `peer_id=${escapeBytes(wirePeerId)}`,
    `port=${port}`,
    "uploaded=0&downloaded=0",
    `left=${leftBytes}`,
    `compact=1&numwant=${ADDRESSES_WANTED}`,
  ]
  if (event !== undefined) fields.push(`event=${event}`)
  return fields.join("&")
}

function escapeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex").replace(/../g, "%$&")
}

function failed(why: string): SwarmError {
  return new SwarmError("TRACKER_FAILED", why)
}
