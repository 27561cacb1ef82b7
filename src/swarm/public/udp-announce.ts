/**
 * Announces to a UDP tracker (BEP 15): a connect that proves the own address, then the announcement.
 * @module
 */
import { randomBytes } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import { promises as dns, type LookupAddress } from "node:dns"
import { once } from "node:events"
import { isIP } from "node:net"
import { isPublicAddress } from "../../net/public-address.ts"
import { SwarmError } from "../errors.ts"
import { ADDRESSES_WANTED, type AnnounceAnswer, type Announcement } from "./announce-tracker.ts"
import { parseCompact } from "./peer-exchange.ts"

/** BEP 15: the constant that begins a connect. */
const PROTOCOL_ID = 0x41727101980n
const CONNECT = 0
const ANNOUNCE = 1
const FAILURE = 3
/** A request that is not answered is sent again after this time (BEP 15 has 15 s and longer). */
const RESEND_MS = 4_000
const EVENTS = { started: 2, stopped: 3, none: 0 } as const
const HEAD_BYTES = 20
const REASON_BYTES_MAX = 200

/** Tells a tracker and reads its answer. @throws SwarmError `TRACKER_FAILED`, or the socket's error */
export async function announceByUdp(
  url: string,
  announcement: Announcement,
  { mayBePrivate, signal }: { readonly mayBePrivate: boolean; readonly signal: AbortSignal },
): Promise<AnnounceAnswer> {
  const { hostname, port } = new URL(url)
  const { address, family } = await resolve(hostname, mayBePrivate)
  const socket = createSocket(family === 6 ? "udp6" : "udp4")
  try {
    // Connected, so that the system passes on what the tracker sends, and nobody else.
    socket.connect(Number(port), address)
    await once(socket, "connect", { signal })
    const head = Buffer.alloc(16)
    head.writeBigUInt64BE(PROTOCOL_ID)
    const connected = await ask(socket, head, { action: CONNECT, bytesMin: 16, signal })
    const request = encodeAnnounce(announcement, connected.subarray(8, 16))
    const answer = await ask(socket, request, { action: ANNOUNCE, bytesMin: HEAD_BYTES, signal })
    return parseUdpAnswer(answer, family === 6 ? 18 : 6)
  } finally {
    socket.close()
  }
}

/** Reads an announce answer of at least 20 bytes. */
export function parseUdpAnswer(answer: Uint8Array, eachBytes: 6 | 18): AnnounceAnswer {
  const intervalSeconds = Buffer.from(answer).readUInt32BE(8)
  const list = answer.subarray(HEAD_BYTES)
  const whole = list.subarray(0, list.length - (list.length % eachBytes))
  return { intervalSeconds, addresses: parseCompact(whole, eachBytes) }
}

function encodeAnnounce(announcement: Announcement, connection: Uint8Array): Buffer {
  const { infoHash, wirePeerId, leftBytes, event, port } = announcement
  const request = Buffer.alloc(98)
  request.set(connection, 0)
  request.writeUInt32BE(ANNOUNCE, 8)
  request.set(infoHash, 16)
  request.set(wirePeerId, 36)
  request.writeBigUInt64BE(BigInt(leftBytes), 64)
  request.writeUInt32BE(EVENTS[event ?? "none"], 80)
  request.set(randomBytes(4), 88)
  request.writeInt32BE(ADDRESSES_WANTED, 92)
  request.writeUInt16BE(port, 96)
  return request
}

/** Sends a request until its answer comes; the transaction's number is filled in here. */
async function ask(
  socket: Socket,
  request: Buffer,
  { action, bytesMin, signal }: { action: number; bytesMin: number; signal: AbortSignal },
): Promise<Buffer> {
  const transaction = randomBytes(4)
  request.set(transaction, 12)
  const send = () => socket.send(request)
  const timer = setInterval(send, RESEND_MS)
  try {
    send()
    for (;;) {
      const [answer] = (await once(socket, "message", { signal })) as [Buffer]
      if (answer.length < 8 || !answer.subarray(4, 8).equals(transaction)) continue
      if (answer.readUInt32BE(0) === FAILURE) throw failed(reasonOf(answer))
      if (answer.readUInt32BE(0) === action && answer.length >= bytesMin) return answer
    }
  } finally {
    clearInterval(timer)
  }
}

function reasonOf(answer: Buffer): string {
  return answer.subarray(8, 8 + REASON_BYTES_MAX).toString("utf8")
}

async function resolve(hostname: string, mayBePrivate: boolean): Promise<LookupAddress> {
  const host = hostname.replace(/^\[|\]$/g, "")
  const family = isIP(host)
  const all = family === 0 ? await dns.lookup(host, { all: true }) : [{ address: host, family }]
  const good = all.find(({ address }) => mayBePrivate || isPublicAddress(address))
  if (good === undefined) throw failed(`${host} is an address inside a network`)
  return good
}

function failed(why: string): SwarmError {
  return new SwarmError("TRACKER_FAILED", why)
}
