/**
 * The log of this node, and what goes into it (protocol/audit-log.md).
 * @module
 */
import { rename } from "node:fs/promises"
import { join } from "node:path"
import { NodeLog, type NodeLogDeps } from "../audit/node-log.ts"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { FleetHolder } from "../fleet/fleet-holder.ts"
import { type Identity, isSigned } from "../net/identity.ts"
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
  try {
    const audit = await NodeLog.open(deps, options)
    if (audit.size === 0) audit.note({ event: "log.begun", facts: { after: "nothing" } })
    return audit
  } catch (error) {
    const code = codeOf(error) ?? ""
    if (!["LOG_CORRUPT", "LOG_CHECKPOINT_INVALID"].includes(code)) throw error
    const aside = `${options.folder}.broken-${deps.clock.now()}`
    await rename(options.folder, aside)
    const fields = { code, error: messageOf(error), aside }
    deps.log.error(fields, "the log is not what this node signed: it was put aside")
    const audit = await NodeLog.open(deps, options)
    audit.note({ event: "log.begun", facts: { after: code } })
    return audit
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
