/**
 * The log of this node, and what goes into it (protocol/audit-log.md).
 * @module
 */
import { join } from "node:path"
import { logOfOrigin, parseCheckpoint } from "../audit/checkpoint.ts"
import type { Event } from "../audit/event.ts"
import { type LogOwner, lastIncarnation } from "../audit/incarnation.ts"
import { LogFiles } from "../audit/log-files.ts"
import { NodeLog, type NodeLogDeps } from "../audit/node-log.ts"
import { encodeHex } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { assert, codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { FleetHolder } from "../fleet/fleet-holder.ts"
import type { OwnLog } from "../fleet/own-log.ts"
import { publicKeyOfPeer } from "../fleet/peer-signer.ts"
import { type Identity, isSigned } from "../net/identity.ts"
import type { PeerId } from "../net/net.ts"
import { readVersion } from "./version.ts"

interface World {
  readonly clock: Clock
  readonly log: Logger
  readonly undo: AsyncDisposableStack
}

/**
 * Opens the log. One that is broken is put aside, as evidence, and the next one says so.
 * @throws Error a fault of the file system, with its code
 */
export async function openAudit(
  { clock, log, undo }: World,
  options: { readonly data: string; readonly identity: Identity; readonly quotaBytes: number },
): Promise<NodeLog> {
  const { data, identity, quotaBytes } = options
  const { id: peer, publicKey } = identity
  const signer = {
    peer,
    publicKey,
    sign: async (bytes: Uint8Array) => identity.sign(bytes),
    verify: async (bytes: Uint8Array, signature: Uint8Array) =>
      isSigned(publicKey, bytes, signature),
  }
  const deps: NodeLogDeps = { clock, log, signer }
  const audit = await openOrBegin(deps, { folder: join(data, "log"), quotaBytes })
  audit.note({ event: "node.started", facts: { version: readVersion() } })
  undo.defer(async () => {
    audit.note({ event: "node.stopped", facts: {} })
    await audit.close()
  })
  return audit
}

async function openOrBegin(
  deps: NodeLogDeps,
  options: { readonly folder: string; readonly quotaBytes: number },
): Promise<NodeLog> {
  const { folder } = options
  const owner = ownerOf(deps.signer.peer)
  const open = async () => {
    const incarnation = 1 + (await lastIncarnation(folder, owner))
    return await NodeLog.open(deps, { ...options, incarnation })
  }
  try {
    const audit = await open()
    return audit.size === 0 ? await begun(audit, "nothing") : audit
  } catch (error) {
    const code = codeOf(error) ?? ""
    if (!["LOG_CORRUPT", "LOG_CHECKPOINT_INVALID"].includes(code)) throw error
    const aside = `${folder}.broken-${deps.clock.now()}`
    await new LogFiles(folder).putAside(aside)
    const fields = { code, error: messageOf(error), aside }
    deps.log.error(fields, "the log is not what this node signed: it was put aside")
    return await begun(await open(), code)
  }
}

/** Which one it is must be known before anybody is told of it. */
async function begun(audit: NodeLog, after: string): Promise<NodeLog> {
  const { incarnation } = logNamed(audit.origin)
  const facts = incarnation === 1 ? { after } : { after, incarnation }
  audit.note({ event: "log.begun", facts })
  await audit.close()
  return audit
}

function ownerOf(peer: PeerId): LogOwner {
  return { peer, key: publicKeyOfPeer(peer) }
}

function logNamed(origin: string): NonNullable<ReturnType<typeof logOfOrigin>> {
  const named = logOfOrigin(origin)
  assert(named !== undefined, "a node's log bears the name of one")
  return named
}

/**
 * Gives the log as far as this node tells its peers of it.
 * @param options.folder - the log's
 */
export function ownLogOf(
  audit: NodeLog,
  { clock, folder }: { readonly clock: Clock; readonly folder: string },
): OwnLog {
  return {
    place: async () => {
      const { origin, size, root } = parseCheckpoint(audit.checkpoint)
      return { incarnation: logNamed(origin).incarnation, size, root }
    },
    rootAt: (size) => audit.rootAt(size),
    beginAnew: async (known) => {
      const { size, root } = known
      const { peer, incarnation } = logNamed(audit.origin)
      const last = await lastIncarnation(folder, ownerOf(peer))
      const next = Math.max(last, incarnation, known.incarnation) + 1
      const facts = { after: "restored", incarnation: next, size, root: encodeHex(root) }
      const aside = `${folder}.restored-${clock.now()}`
      const begun: Event = { event: "log.begun", facts }
      await audit.beginAnew({ aside, begun, incarnation: next })
    },
    note: (event) => audit.note(event),
  }
}

/** Notes that this node came into a fleet, and each list that it accepts. */
export function noteFleet({ undo }: Pick<World, "undo">, audit: NodeLog, fleet: FleetHolder): void {
  let known = fleet.membership?.fleet
  let digest = fleet.membership?.access()?.list.digest
  const forget = fleet.onChange(() => {
    const { membership } = fleet
    if (membership === undefined) return
    if (known !== membership.fleet) {
      known = membership.fleet
      audit.note({ event: "fleet.entered", facts: { fleet: known } })
    }
    const list = membership.access()?.list
    if (list === undefined || list.digest === digest) return
    digest = list.digest
    const facts = { version: list.version, digest, nodes: list.members.size }
    audit.note({ event: "access.accepted", facts })
  })
  undo.defer(forget)
}
