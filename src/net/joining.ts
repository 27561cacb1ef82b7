/**
 * The newcomer's side of joining by invite: finds the issuer at one of its addresses and asks it once
 * (protocol/fleet.md §5).
 * @module
 */
import { TLSSocket } from "node:tls"
import type { Clock } from "../core/clock.ts"
import { assert, codeOf } from "../core/errors.ts"
import { type Endpoint, endpointOf, parseAddress } from "./address.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import { HandshakePatience } from "./handshake-patience.ts"
import { askToJoin, inviteRefused } from "./join-exchange.ts"
import { inviteIdentity, parseInviteIdentity } from "./join-message.ts"
import { JOIN_ADDRESSES_MAX, JOIN_EXCHANGE_TIMEOUT_MS, JOIN_REQUEST_BYTES_MAX } from "./limit.ts"
import type { JoinTarget } from "./net.ts"
import { openKeyedSocket } from "./tls-socket.ts"

const CONNECT_TIMEOUT_MS = 5_000
const KEY_BYTES = 32

/**
 * Redeems an invite; see `PeerNetwork.join`. A host that does not prove the key is not the issuer, or
 * the invite is good no more: the next address is tried. From the proof on there is one attempt.
 */
export async function joinByInvite(
  deps: { clock: Clock },
  target: JoinTarget,
  { request, signal }: { request: Uint8Array; signal: AbortSignal },
): Promise<Uint8Array> {
  checkJoin(target, request)
  signal.throwIfAborted()
  let isRefused = false
  for (const endpoint of endpointsOf(target)) {
    const found = await openTo(endpoint, target, { ...deps, signal })
    if (found instanceof TLSSocket) return exchange(found, request, { ...deps, signal })
    isRefused ||= found === "refused"
  }
  throw isRefused ? inviteRefused() : nobodyThere()
}

/** Checks what both adapters are told to join with: an invite was read by who calls them. */
export function checkJoin({ id, key }: JoinTarget, request: Uint8Array): void {
  assert(parseInviteIdentity(inviteIdentity(id)) !== undefined, "an invite's id is 32 hex digits")
  assert(key.length === KEY_BYTES, "an invite's key is 32 bytes")
  const isFit = request.length > 0 && request.length <= JOIN_REQUEST_BYTES_MAX
  assert(isFit, `a request to join is 1 to ${JOIN_REQUEST_BYTES_MAX} bytes`)
}

async function openTo(
  endpoint: Endpoint,
  { id, key }: JoinTarget,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<TLSSocket | "refused" | "silent"> {
  const patience = new HandshakePatience(clock, CONNECT_TIMEOUT_MS, signal)
  try {
    const { socket } = await openKeyedSocket(
      { endpoint, identity: inviteIdentity(id), key },
      {
        signal: patience.signal,
        refusal: inviteRefused,
        onConnect: () => patience.connected(),
      },
    )
    return socket
  } catch (error) {
    signal.throwIfAborted()
    return codeOf(error) === "INVITE_REFUSED" ? "refused" : "silent"
  } finally {
    patience.clear()
  }
}

async function exchange(
  socket: TLSSocket,
  request: Uint8Array,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<Uint8Array> {
  const deadline = startDeadline(clock, JOIN_EXCHANGE_TIMEOUT_MS, signal)
  try {
    return await askToJoin(socket, request, deadline.signal)
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof NetError) throw cause
    throw new NetError("PEER_UNREACHABLE", "the issuer does not answer", { cause })
  } finally {
    deadline.clear()
  }
}

/** What a socket can be opened to; what this version cannot read or reach directly is left out. */
function endpointsOf({ addresses }: JoinTarget): readonly Endpoint[] {
  return addresses.slice(0, JOIN_ADDRESSES_MAX).flatMap((text) => {
    try {
      return endpointOf(parseAddress(text)) ?? []
    } catch {
      // Not a multiaddr: one of the others may be.
      return []
    }
  })
}

/** The error of an invite at none of whose addresses anybody answers. */
export function nobodyThere(): NetError {
  return new NetError("PEER_UNREACHABLE", "nobody answers at the addresses of the invite")
}
