/**
 * `sealift peers`: whom this node talks to, and whom it has banned.
 * @module
 */
import type { PeersReport } from "../../api/api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"

export const peersCommand: CommandSpec = {
  examples: ["sealift peers", "sealift peers --json"],
  async work({ out, connect }) {
    const node = await connect()
    const report = await node.ask<PeersReport>("GET", "/v1/peers")
    out.result(report, () => describe(report))
  },
}

function describe({ peers, bans }: PeersReport): string {
  const connected = peers.map((peer) => [
    peer.id,
    peer.roundTripMs === undefined ? "-" : `${peer.roundTripMs.toFixed(1)} ms`,
    peer.sources.join(","),
    peer.zone === undefined ? peer.trafficClass : `${peer.trafficClass} ${peer.zone}`,
    peer.addresses[0] ?? "",
  ])
  const banned = bans.map(({ peer, reason, untilMs }) => {
    return [peer, "banned", `until ${new Date(untilMs).toISOString()}`, reason]
  })
  const rows = [...connected, ...banned]
  return rows.length === 0 ? "no peers" : columns(rows)
}
