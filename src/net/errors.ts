/**
 * What can go wrong between nodes.
 * @module
 */
import { CodedError, codeOf } from "../core/errors.ts"

/** Codes of the network. */
export type NetErrorCode =
  /** An address to listen on is taken. */
  | "ADDRESS_IN_USE"
  /** A multiaddr that cannot be read or used. */
  | "ADDRESS_INVALID"
  /** The identity file is broken or readable by others. */
  | "IDENTITY_INVALID"
  /** No connection to that peer can be made. */
  | "PEER_UNREACHABLE"
  /** The peer is banned. */
  | "PEER_BANNED"
  /** The peer answered with an error; its code is in `details.code`. */
  | "REQUEST_REFUSED"
  /** The peer sent what the protocol does not allow. */
  | "PROTOCOL_VIOLATION"
  /** A data-channel ticket is unknown, used or expired. */
  | "TICKET_INVALID"
  /** The issuer of an invite refuses it: unknown, used, expired, or not what it asks. */
  | "INVITE_REFUSED"
  /** A relay does nothing for this peer, or no more than it does already. */
  | "RELAY_REFUSED"
  /** No hole could be punched: no relay sees both peers, or their gateways let none through. */
  | "PUNCH_FAILED"
  /** The network is stopped. */
  | "NETWORK_STOPPED"

export class NetError extends CodedError<NetErrorCode> {}

/** Makes the error of a request that the peer refused. */
export function requestRefused(code: string): NetError {
  return new NetError("REQUEST_REFUSED", `the peer refused: ${code}`, { details: { code } })
}

/**
 * Gives the code that a peer refused with, or that of whatever else went wrong.
 * @returns undefined when it has none
 */
export function refusalCode(error: unknown): string | undefined {
  const code = codeOf(error)
  if (code !== "REQUEST_REFUSED" || !(error instanceof CodedError)) return code
  const refused = error.details?.code
  return typeof refused === "string" ? refused : code
}

/** The error of whoever waits for a peer that went. */
export function peerGone(peer: string): NetError {
  return new NetError("PEER_UNREACHABLE", `${peer} is no longer connected`)
}
