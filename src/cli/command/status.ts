/**
 * `sealift status`: what this node is and holds.
 * @module
 */
import type { Blocked, StatusReport, Warning } from "../../api/api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { humanSize } from "../../daemon/unit.ts"

export const statusCommand: CommandSpec = {
  examples: ["sealift status", "sealift status --json --data /srv/sealift"],
  async work({ out, connect }) {
    const node = await connect()
    const status = await node.ask<StatusReport>("GET", "/v1/status")
    out.result(status, () => describe(status))
  },
}

function describe(status: StatusReport): string {
  const { store, swarm } = status
  const used = `${humanSize(store.usedBytes)} of ${humanSize(store.quotaBytes)}`
  const moved = `${humanSize(swarm.downloadedBytes)} received, ${humanSize(swarm.uploadedBytes)} sent`
  return columns([
    ["node", status.peerId],
    ["version", `${status.version}, process ${status.pid}, up ${status.uptimeSeconds} s`],
    ["ready", status.isReady ? "yes" : "no"],
    ...status.blocked.map((blocked) => ["blocked", blockedLine(blocked)]),
    ...status.warnings.map((warning) => ["warning", blockedLine(warning)]),
    ["front door", status.http],
    ...status.p2p.map((address) => ["address", address]),
    ["data", status.data],
    ["store", `${store.blobCount} blobs, ${used}`],
    ["peers", `${status.peerCount} connected, ${moved}`],
    ["flights", `${status.flightCount} under way`],
    ["public", describePublic(status.public)],
    ["memory", humanSize(status.rssBytes)],
  ])
}

/** Gives why a node begins nothing, or what is to be looked at, as one line. */
export function blockedLine({ code, message }: Blocked | Warning): string {
  return `${message} [${code}]`
}

function describePublic({ torrentCount, port }: StatusReport["public"]): string {
  if (torrentCount === 0) return "nothing"
  return `${torrentCount} torrents, ${port === undefined ? "none seeded now" : `on port ${port}`}`
}
