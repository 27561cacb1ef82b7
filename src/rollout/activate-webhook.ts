/**
 * Activating by a POST to a server that the node's owner allows. It answers 200 … 299 when the release
 * runs; whether it still does, it is not asked.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId } from "../net/net.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import { allowedUrl, type RolloutAllow } from "./allowing.ts"
import { RolloutError } from "./errors.ts"
import { fillingOf, fillText, STAND_IN } from "./filled-text.ts"
import type { KindActivator } from "./kind-activator.ts"
import { reasonWith } from "./output-tail.ts"
import type { Activation } from "./plan.ts"
import { askWeb } from "./web-asking.ts"

export type WebhookActivation = Extract<Activation, { kind: "webhook" }>

/** What a server is sent, as JSON. */
export interface WebhookMessage {
  readonly v: 1
  readonly act: "activate" | "deactivate"
  /** Id of the peer that asks. */
  readonly node: PeerId
  /** `NAMESPACE/NAME@SEQUENCE`; absent, as the next two, when what runs is to be taken away. */
  readonly release?: string
  /** Of the release's statement. */
  readonly digest?: string
  /** The absolute folder on the node with the opened files. */
  readonly path?: string
}

/** Makes the adapter. */
export function webhookActivator(deps: {
  readonly node: PeerId
  readonly clock: Clock
  readonly allow: () => RolloutAllow
}): KindActivator<WebhookActivation> {
  const { node, clock, allow } = deps
  const post = async (
    url: URL,
    message: WebhookMessage,
    timeoutMs: number,
    signal: AbortSignal,
  ) => {
    const deadline = startDeadline(clock, timeoutMs, signal)
    const body = JSON.stringify(message)
    const answer = await askWeb(url, { method: "POST", body, signal: deadline.signal })
    deadline.clear()
    signal.throwIfAborted()
    if (answer.fault === undefined) return
    throw new RolloutError(
      "ACTIVATION_FAILED",
      reasonWith(`${url.origin}: ${answer.fault}`, answer.tail),
    )
  }
  return {
    async activate(activation, target, { signal }) {
      const filling = fillingOf(node, target)
      const url = allowedUrl(allow(), fillText(activation.url, filling, encodeURIComponent))
      const { asset, digest } = target.release
      const release = formatAssetVersion(asset)
      const message = { v: 1, act: "activate", node, release, digest, path: target.path } as const
      await post(url, message, activation.timeoutMs, signal)
    },
    async isRunning() {
      return "unknown"
    },
    async deactivate(activation, { signal }) {
      const filling = { ...STAND_IN, node, release: "", path: "" }
      const url = allowedUrl(allow(), fillText(activation.url, filling, encodeURIComponent))
      await post(url, { v: 1, act: "deactivate", node }, activation.timeoutMs, signal)
    },
  }
}
