/**
 * Names: of nodes, and those that a fleet gives to namespaces, parties, groups, rollouts and assets
 * (protocol/fleet.md §4, protocol/policy.md §4, protocol/release.md §4).
 * @module
 */

const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const NAME_CHARACTERS_MAX = 64
/** Longest name of an asset, and most parts of it. */
const SLASHED_NAME_CHARACTERS_MAX = 128
export const SLASHED_NAME_PARTS_MAX = 8
/** The gate holds a share beside the parties: none of them has its name. */
export const GATE = "gate"
/** Stands for every node in rules: no group has this name. */
export const EVERYBODY = "all"

/** libp2p's text of an Ed25519 key: base58btc of its identity multihash. */
const PEER = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/

/** Tells whether a text has the form of a peer id. Whether its key is sound is not looked at. */
export function isPeerId(text: string): boolean {
  return PEER.test(text)
}

/** Tells whether a text may name a namespace. */
export function isName(text: string): boolean {
  return text.length <= NAME_CHARACTERS_MAX && NAME.test(text)
}

/** Tells whether a party can have this name. */
export function isPartyName(text: string): boolean {
  return isName(text) && text !== GATE
}

/** Tells whether a group can have this name. */
export function isGroupName(text: string): boolean {
  return isName(text) && text !== EVERYBODY
}

/** Tells whether a text is parts with `/` between, each of a name's alphabet, as assets have. */
export function isSlashedName(text: string): boolean {
  const parts = text.split("/")
  const isShort = text.length <= SLASHED_NAME_CHARACTERS_MAX
  return isShort && parts.length <= SLASHED_NAME_PARTS_MAX && parts.every((part) => NAME.test(part))
}
