/**
 * `${node}`, `${release}` and `${path}` in the texts of a plan, filled in on the node
 * (protocol/rollout.md §5, activating).
 * @module
 */
import type { PeerId } from "../net/net.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type { ActivationTarget } from "./activation.ts"

/** What a text is filled with. */
export interface Filling {
  readonly node: string
  /** `NAMESPACE/NAME@SEQUENCE`. */
  readonly release: string
  /** The absolute folder with the opened files. */
  readonly path: string
}

/** Fills a text where only its form is looked at. */
export const STAND_IN: Filling = { node: "node", release: "release", path: "/path" }

/** How the values stand in a text. */
export const PLACE: Filling = {
  node: `\${node}`,
  release: `\${release}`,
  path: `\${path}`,
}
const PLACES = /\$\{(node|release|path)\}/g

/** Gives what the texts about one release are filled with on a node. */
export function fillingOf(node: PeerId, { release, path }: ActivationTarget): Filling {
  return { node, release: formatAssetVersion(release.asset), path }
}

/**
 * Fills a text, once: what was filled in is not looked at again. Other `${…}` stay, for programs that
 * have a meaning for them.
 * @param encode - writes a value as the text needs it, such as percent-encoded
 */
export function fillText(
  text: string,
  filling: Filling,
  encode: (value: string) => string = (value) => value,
): string {
  return text.replace(PLACES, (_, name: keyof Filling) => encode(filling[name]))
}
