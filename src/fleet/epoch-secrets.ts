/**
 * The secrets of groups' epochs on a node: kept, opened from the chain of a later epoch, or asked of an
 * anchor; the adapter of {@link EpochSecrets} (protocol/fleet.md §5, having the secret of an epoch).
 * @module
 */
import { parseBase64 } from "../core/byte-text.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { PeerId } from "../net/net.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import type { Group } from "./access-list.ts"
import { openEpoch } from "./epoch-document.ts"
import {
  EpochExchange,
  type EpochExchangeDeps,
  isAnchorIn,
  refusedEpoch,
} from "./epoch-exchange.ts"
import { type EpochHome, eraseEpoch, keepEpoch, keptEpochs, readEpoch } from "./epoch-home.ts"
import { FleetError } from "./errors.ts"
import type { CurrentAccess, Membership } from "./fleet.ts"
import type { EpochNeeds, EpochSecrets } from "./node-key-port.ts"

/** Anchors that are asked for one secret. */
const ANCHORS_ASKED_MAX = 8
/** Where anchors stand among others: those without a round trip yet, and those without a connection. */
const UNMEASURED_MS = 1e6
const UNREACHED_MS = 1e9

/** Nobody publishes by a list that was succeeded so long ago: a timestamp lives for half of it. */
const SETTLED_MS: number = 2 * 86_400_000

/** Whose list says what an epoch is, and where secrets are kept. */
interface Place {
  readonly membership: Membership
  readonly access: CurrentAccess
  readonly home: EpochHome
}

export class FleetEpochSecrets implements EpochSecrets {
  readonly #deps: EpochExchangeDeps
  readonly #folder: string
  readonly #exchange: EpochExchange
  #needs: EpochNeeds | undefined
  /** The list of whose groups every secret was here. */
  #gathered: Digest | undefined

  /** @param options.folder - `DATA/fleet` */
  constructor(deps: EpochExchangeDeps, options: { readonly folder: string }) {
    this.#deps = deps
    this.#folder = options.folder
    this.#exchange = new EpochExchange(deps)
  }

  /** Begins to answer peers; only an anchor gives anything. */
  start(): void {
    this.#exchange.serve(async (group, epoch) => {
      const place = this.#place()
      const listed = place.access.list.groups.get(group)
      return listed === undefined ? undefined : await local(place, listed, epoch)
    })
  }

  async of(
    group: string,
    epoch: number,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<AgeIdentity> {
    const place = this.#place()
    const listed = place.access.list.groups.get(group)
    if (listed === undefined) throw refusedEpoch(`group ${group} is not listed`)
    const here = await local(place, listed, epoch)
    if (here !== undefined) return here
    // A later one than the list's is of a list that has not come yet: its recipient is not known.
    if (epoch > listed.epoch) throw refusedEpoch(`${group} is at epoch ${listed.epoch}`)
    if (epoch < listed.epoch) await this.#fetch(place, listed, listed.epoch, signal)
    const found =
      (await local(place, listed, epoch)) ?? (await this.#fetch(place, listed, epoch, signal))
    if (found !== undefined) return found
    throw refusedEpoch(`no anchor gives epoch ${epoch} of ${group}`)
  }

  /**
   * An anchor's part after each new list: has the secrets of all groups' present epochs, so that members
   * find them here. @returns the groups whose secret could not be had
   */
  async gather({ signal }: { readonly signal: AbortSignal }): Promise<readonly string[]> {
    const place = this.#place()
    const { list } = place.access
    if (list.digest === this.#gathered || !isAnchorIn(list, place.membership.peer)) return []
    const missing: string[] = []
    for (const group of list.groups.values()) {
      const found =
        (await local(place, group, group.epoch)) ??
        (await this.#fetch(place, group, group.epoch, signal))
      if (found === undefined) missing.push(group.name)
    }
    if (missing.length === 0) this.#gathered = list.digest
    return missing
  }

  /** From now on it is known what earlier secrets are needed for; until then none is erased. */
  useNeeds(needs: EpochNeeds): void {
    this.#needs = needs
  }

  /**
   * Erases the secrets of earlier epochs that nothing needs any more: of an anchor, which keeps them
   * for late joiners, what no release that may be opened anywhere does; of another node, what no
   * release does that it has not opened.
   * @throws Error when it cannot be told what is needed: then all stay
   */
  async eraseUnneeded({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { membership, access, home } = this.#place()
    const { list, isStale } = access
    // By an old list, or a clock that is far ahead, more would seem to be over than is.
    if (this.#needs === undefined || isStale) return
    const whose = isAnchorIn(list, membership.peer) ? "all" : "own"
    const needs = await this.#needs.earliest(whose, { signal })
    for (const { name, epoch: present, sinceMs } of list.groups.values()) {
      // A release for the epoch before may have been published meanwhile, by an older list.
      if (membership.nowMs() - sinceMs < SETTLED_MS) continue
      await this.#erase(home, name, Math.min(needs.get(name) ?? present, present))
    }
  }

  async #erase(home: EpochHome, group: string, belowEpoch: number): Promise<void> {
    for (const epoch of await keptEpochs(home, group)) {
      if (epoch >= belowEpoch) continue
      await eraseEpoch(home, group, epoch)
      this.#deps.log.info({ group, epoch }, "erased the secret of an epoch that nothing needs")
    }
  }

  /** Asks anchors in turn. What the access list cannot vouch for is used, and not kept. */
  async #fetch(
    place: Place,
    { name: group, epoch: present, recipient }: Group,
    epoch: number,
    signal: AbortSignal,
  ): Promise<AgeIdentity | undefined> {
    const name = { fleet: place.membership.fleet, group, epoch }
    for (const anchor of this.#anchors(place)) {
      const found = await this.#ask(anchor, name, signal)
      if (found === undefined) continue
      if (epoch !== present) return found
      if (found.recipient === recipient) {
        await keepEpoch(place.home, name, found)
        return found
      }
      this.#deps.log.warn({ anchor, group, epoch }, "an anchor gave the secret of something else")
    }
    return undefined
  }

  async #ask(
    anchor: PeerId,
    name: Parameters<EpochExchange["ask"]>[1],
    signal: AbortSignal,
  ): Promise<AgeIdentity | undefined> {
    try {
      return await this.#exchange.ask(anchor, name, { signal })
    } catch (error) {
      signal.throwIfAborted()
      // The next anchor may give it.
      this.#deps.log.debug({ anchor, code: codeOf(error) }, "no secret of an epoch")
      return undefined
    }
  }

  /** Anchors of the newest list: connected ones first, nearest first. */
  #anchors({ access, membership }: Place): readonly PeerId[] {
    const { net } = this.#deps
    const distance = (peer: PeerId) => {
      const connected = net.peer(peer)
      return connected === undefined ? UNREACHED_MS : (connected.roundTripMs ?? UNMEASURED_MS)
    }
    return [...access.list.members.values()]
      .filter(({ peer, isAnchor }) => isAnchor && peer !== membership.peer)
      .map(({ peer }) => ({ peer, distance: distance(peer) }))
      .sort((left, right) => left.distance - right.distance)
      .slice(0, ANCHORS_ASKED_MAX)
      .map(({ peer }) => peer)
  }

  #place(): Place {
    const membership = this.#membership()
    const access = membership.access()
    if (access === undefined) throw refusedEpoch("there is no access list yet")
    return { membership, access, home: this.#homeOf(membership) }
  }

  #membership(): Membership {
    const { membership } = this.#deps.fleet
    if (membership !== undefined) return membership
    throw new FleetError("NOT_ENROLLED", "this node is in no fleet")
  }

  #homeOf({ fleet }: Membership): EpochHome {
    return { folder: this.#folder, fleet }
  }
}

/** Gives a secret that is kept, or that the chain of a later one has. */
async function local(
  { home }: Place,
  group: Group,
  epoch: number,
): Promise<AgeIdentity | undefined> {
  const kept = await readEpoch(home, group.name, epoch)
  // One epoch is one key: another recipient is of an epoch that was begun here and never listed.
  if (kept !== undefined && (epoch !== group.epoch || kept.recipient === group.recipient)) {
    return kept
  }
  return await fromChain(home, group, epoch)
}

/** Opens the chain from the earliest later secret that is kept down to an epoch. */
async function fromChain(
  home: EpochHome,
  { name: group, epoch: present, previous }: Group,
  epoch: number,
): Promise<AgeIdentity | undefined> {
  // `previous[0]` is of the present epoch − 1.
  if (epoch >= present || present - epoch > previous.length) return undefined
  for (let from = epoch + 1; from <= present; from++) {
    // One that no list names opens nothing of the chain.
    let identity = await readEpoch(home, group, from)
    for (let at = from - 1; at >= epoch && identity !== undefined; at--) {
      const file = parseBase64(previous[present - 1 - at] ?? "")
      if (file === undefined) return undefined
      identity = await openEpoch(file, identity.secret, { fleet: home.fleet, group, epoch: at })
    }
    if (identity !== undefined) return identity
  }
  return undefined
}
