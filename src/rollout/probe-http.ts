/**
 * Probing by a GET: 200 … 299 is well. Redirects are not followed.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { ActivationTarget } from "./activation.ts"
import { allowedUrl, type RolloutAllow } from "./allowing.ts"
import { fillingOf, fillText } from "./filled-text.ts"
import { reasonWith } from "./output-tail.ts"
import type { Probe } from "./plan.ts"
import { askWeb } from "./web-asking.ts"

/** Tries once. @returns what is wrong, undefined when it is well */
export async function probeByWeb(
  deps: { readonly node: PeerId; readonly allow: () => RolloutAllow },
  check: Extract<Probe["check"], { kind: "http" }>,
  { target, signal }: { readonly target: ActivationTarget; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const filling = fillingOf(deps.node, target)
  const url = allowedUrl(deps.allow(), fillText(check.url, filling, encodeURIComponent))
  const { fault, tail } = await askWeb(url, { method: "GET", signal })
  return fault === undefined ? undefined : reasonWith(`${url.origin}: ${fault}`, tail)
}
