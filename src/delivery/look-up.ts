/**
 * Looking for holders beyond the connected peers, once per flight.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { untilAborted } from "../core/until-aborted.ts"
import type { Holder } from "../swarm/swarm.ts"
import type { DeliveryDeps } from "./limit.ts"

/** A look-up takes at most this long. */
const LOOK_UP_MS_MAX = 3_000
/** Holders found by a look-up that are dialled. */
const DIALS_MAX = 4

/** Finds holders and connects to them; what it does not find, somebody else may bring. */
export async function lookUp(
  deps: DeliveryDeps,
  digest: Digest,
  options: { readonly signal: AbortSignal; readonly onHolder: (holder: Holder) => void },
): Promise<void> {
  const { clock, swarm, net, log } = deps
  const timeout = new AbortController()
  const cancel = clock.after(LOOK_UP_MS_MAX, () => timeout.abort())
  const signal = AbortSignal.any([timeout.signal, options.signal])
  const found = swarm.findHolders(digest, { signal })[Symbol.asyncIterator]()
  try {
    for (let dials = 0; dials < DIALS_MAX; ) {
      const { value: holder, done } = await untilAborted(found.next(), signal)
      if (done === true) return
      options.onHolder(holder)
      if (net.peer(holder.peer) !== undefined) continue
      dials++
      await net.dial(holder.peer, { signal })
    }
  } catch (error) {
    log.debug({ digest, error: messageOf(error) }, "a look-up ended early")
  } finally {
    cancel()
    timeout.abort()
    void found.return?.()?.catch(() => {})
  }
}
