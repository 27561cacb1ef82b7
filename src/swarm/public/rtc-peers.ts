/**
 * WebRTC connections to browsers: offers and answers for a tracker to carry, and the byte stream once
 * two have met. The library is loaded with the first of them.
 * @module
 */
import type { DataChannel, PeerConnection } from "node-datachannel"
import type { Clock } from "../../core/clock.ts"
import { messageOf } from "../../core/errors.ts"
import type { Logger } from "../../core/log.ts"
import { isPublicAddress } from "../../net/public-address.ts"
import { SwarmError } from "../errors.ts"
import { formatAddress } from "./public-listener.ts"
import { closePeer, RtcStream } from "./rtc-stream.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** Connections of this node, those being made included. */
export const RTC_PEERS_MAX = 64
/** Longest session description that is read (RFC 8866), characters. */
export const SDP_CHARS_MAX: number = 16 * 1024
/** Its candidates that are tried. */
const CANDIDATES_MAX = 24
/**
 * RFC 8839: foundation, component, transport, priority, address, port; one space between them. The
 * library would take tabs as well, and so read another address than was looked at here.
 */
const CANDIDATE = /^a=candidate:\S+ \S+ \S+ \S+ (\S+) \S+(?: |$)/
/** Addresses are gathered for at most this time; then those that were found must do. */
const GATHER_MS_MAX = 3_000
/** An offer that nobody answers, and a connection without a data channel, end after this time. */
const CONNECT_MS_MAX = 50_000

type RtcLibrary = typeof import("node-datachannel")

export interface RtcDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface RtcOptions {
  /** STUN servers. */
  readonly stun: readonly PeerAddress[]
  /** Whether strangers may name addresses of this machine and of private networks. */
  readonly reachesPrivate: boolean
}

/** Takes a connection that stands. @param address - `HOST:PORT` of the other side */
export type OnRtcStream = (stream: RtcStream, address: string) => void

/** An offer on its way to somebody. */
export interface RtcOffer {
  readonly sdp: string
  /** Somebody answered. */
  accept(answerSdp: string): void
  close(): void
}

/** All WebRTC connections of a node. */
export class RtcPeers {
  readonly #deps: RtcDeps
  readonly #options: RtcOptions
  /** With each the way to wait no longer for its data channel. */
  readonly #peers = new Map<PeerConnection, () => void>()
  #library: Promise<RtcLibrary> | undefined
  #isStopped = false

  constructor(deps: RtcDeps, options: RtcOptions) {
    this.#deps = deps
    this.#options = options
  }

  get count(): number {
    return this.#peers.size
  }

  /** Makes an offer; undefined when there is no room for one. @throws SwarmError `RTC_FAILED` */
  async offer(onStream: OnRtcStream): Promise<RtcOffer | undefined> {
    const peer = await this.#open()
    if (peer === undefined) return undefined
    const channel = peer.createDataChannel("sealift")
    this.#watch(peer, channel, onStream)
    const sdp = await this.#describe(peer)
    return {
      sdp,
      accept: (answerSdp) => this.#take(peer, answerSdp, "answer"),
      close: () => this.#close(peer),
    }
  }

  /** Answers an offer; undefined when there is no room. @throws SwarmError `RTC_FAILED` */
  async answer(offerSdp: string, onStream: OnRtcStream): Promise<string | undefined> {
    const peer = await this.#open()
    if (peer === undefined) return undefined
    peer.onDataChannel((channel) => this.#watch(peer, channel, onStream))
    if (!this.#take(peer, offerSdp, "offer")) return undefined
    return await this.#describe(peer)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const peer of [...this.#peers.keys()]) this.#close(peer)
    const library = await this.#library?.catch(() => undefined)
    library?.cleanup()
  }

  async #open(): Promise<PeerConnection | undefined> {
    this.#library ??= loadLibrary()
    const { PeerConnection: Connection } = await this.#library
    if (this.#isStopped || this.#peers.size >= RTC_PEERS_MAX) return undefined
    const iceServers = this.#options.stun.map(({ host, port }) => {
      return `stun:${formatAddress(host, port)}`
    })
    const peer = new Connection("sealift", { iceServers })
    // One that stands but brings no data channel is of no use, and nothing else would ever end it.
    const cancel = this.#deps.clock.after(CONNECT_MS_MAX, () => this.#close(peer))
    this.#peers.set(peer, cancel)
    return peer
  }

  #watch(peer: PeerConnection, channel: DataChannel, onStream: OnRtcStream): void {
    const begin = () => {
      this.#peers.get(peer)?.()
      const stream = new RtcStream(peer, channel)
      stream.on("error", () => {
        // The wire learns of it by the stream's end.
      })
      stream.once("close", () => this.#peers.delete(peer))
      onStream(stream, addressOf(peer))
    }
    if (channel.isOpen()) begin()
    else channel.onOpen(begin)
  }

  /** Waits for the addresses of this node, and gives the description with them in it. */
  async #describe(peer: PeerConnection): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#deps.clock.after(GATHER_MS_MAX, resolve)
    peer.onGatheringStateChange((state) => {
      if (state === "complete") resolve()
    })
    if (peer.gatheringState() === "complete") resolve()
    await promise
    cancel()
    const sdp = this.#peers.has(peer) ? peer.localDescription()?.sdp : undefined
    if (sdp !== undefined) return sdp
    this.#close(peer)
    throw new SwarmError("RTC_FAILED", "no description of a WebRTC connection was made")
  }

  /** @returns whether the description could be read */
  #take(peer: PeerConnection, sdp: string, kind: "offer" | "answer"): boolean {
    try {
      const mayBePrivate = this.#options.reachesPrivate
      peer.setRemoteDescription(boundedSdp(sdp, { mayBePrivate }), kind)
      return true
    } catch (error) {
      this.#deps.log.debug({ error: messageOf(error) }, "a WebRTC description was refused")
      this.#close(peer)
      return false
    }
  }

  #close(peer: PeerConnection): void {
    this.#peers.get(peer)?.()
    this.#peers.delete(peer)
    closePeer(peer)
  }
}

/**
 * Leaves of a description from a stranger what may be tried: few candidates, and only addresses that
 * this node may knock at.
 * @throws SwarmError `RTC_FAILED` when it is longer than it may be
 */
export function boundedSdp(sdp: string, options: { mayBePrivate: boolean }): string {
  if (sdp.length > SDP_CHARS_MAX) {
    throw new SwarmError("RTC_FAILED", `a description of ${sdp.length} characters`)
  }
  let count = 0
  const lines = sdp.split(/\r?\n/).filter((line) => {
    if (!line.startsWith("a=candidate:")) return true
    const address = CANDIDATE.exec(line)?.[1]
    if (address === undefined) return false
    const isGood = options.mayBePrivate || isPublicAddress(address)
    return isGood && ++count <= CANDIDATES_MAX
  })
  return lines.join("\r\n")
}

function addressOf(peer: PeerConnection): string {
  const pair = peer.getSelectedCandidatePair()
  return pair === null ? "webrtc:0" : formatAddress(pair.remote.address, pair.remote.port)
}

async function loadLibrary(): Promise<RtcLibrary> {
  try {
    return await import("node-datachannel")
  } catch (cause) {
    const message = `WebRTC is not there on this machine: ${messageOf(cause)}`
    throw new SwarmError("RTC_FAILED", message, { cause })
  }
}
