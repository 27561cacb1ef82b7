/**
 * `sealift fleet join`, `fleet show`: coming into a fleet, looking at it.
 * @module
 */
import type { JoinRequest } from "../../api/fleet-api.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { readLocalFile } from "../../cli/local-file.ts"
import { textOf } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { momentText } from "../../cli/time-text.ts"
import { systemClock } from "../../core/clock.ts"
import type { FleetReport } from "../../fleet/fleet-desk.ts"
import { FLEET_FILES_BYTES_MAX } from "../../fleet/fleet-files.ts"
import { AWAY_ROLES } from "../../fleet/role-holding.ts"

/** Nodes that are shown to people; with `--json` all are. */
const NODES_SHOWN_MAX = 100
const PLANS_NOTE =
  "plans of rollouts may run here what rollout.allow says: everything in a fleet of one person, " +
  'nothing in any other, unless it is set ("sealift config" shows it)'
const ALONE_NOTE =
  "no other node is connected: none can be reached, or this node was taken out of the fleet"

export const fleetJoinCommand: CommandSpec = {
  define: (command) =>
    command.option("--files <file>", "join FLEETID by this file of `fleet export`; nobody is met"),
  examples: [
    "sealift fleet join sealift-invite-1.…",
    "sealift fleet join FLEETID@/ip4/192.0.2.7/tcp/7071/p2p/12D3KooW…",
    "sealift fleet join FLEETID --files lab.fleet",
  ],
  runsNode: true,
  async work({ args, options, out, connect }) {
    const path = textOf(options.files)
    const files = path === undefined ? undefined : await readLocalFile(path, FLEET_FILES_BYTES_MAX)
    const node = await connect()
    const report =
      files === undefined
        ? await joinBy(node, { token: args[0]! })
        : await node.ask<FleetReport>(
            "POST",
            `/v1/fleet/join-files?${new URLSearchParams({ fleet: args[0]! })}`,
            files,
          )
    out.answer(report, report.fingerprint)
    out.note(`joined fleet ${report.name} (${report.fleet}) as ${report.peer}`)
    const groups = report.nodes.find(({ peer }) => peer === report.peer)?.groups ?? []
    if (groups.length > 0) out.note(`groups: ${groups.join(", ")}`)
    out.note(PLANS_NOTE)
    out.note(
      'next: compare the fingerprint with what whoever invited you expects; "sealift fleet show" repeats it',
    )
  },
}

function joinBy(node: ControlClient, request: JoinRequest): Promise<FleetReport> {
  return node.ask<FleetReport>("POST", "/v1/fleet/join", request)
}

export const fleetShowCommand: CommandSpec = {
  examples: ["sealift fleet show", "sealift fleet show --qr", "sealift fleet show --json"],
  define: (command) => command.option("--qr", "show peer id and fingerprint as a QR code too"),
  async work({ options, out, connect }) {
    const node = await connect()
    const report = await node.ask<FleetReport>("GET", "/v1/fleet")
    out.result(report, () => describe(report, systemClock.now()))
    if (options.qr === true) out.note(await qrCodeOf(`${report.peer} ${report.fingerprint}`))
    for (const { role, expiresAtMs, warning } of report.lifetimes) {
      if (warning === undefined) continue
      out.note(`${role}: ${warning}, ends ${momentText(expiresAtMs, systemClock.now())}`)
    }
    for (const warning of report.warnings) out.note(`WARNING: ${warning}`)
    if (isAlone(report)) out.note(ALONE_NOTE)
    out.note(`next: ${nextStep(report)}`)
  },
}

/** Whether the fleet has other nodes, and none of them is connected. */
function isAlone({ nodes, peer }: FleetReport): boolean {
  const others = nodes.filter((node) => node.peer !== peer)
  return others.length > 0 && !others.some(({ isConnected }) => isConnected)
}

/** Drawn with half blocks, for a terminal of 60 columns. */
async function qrCodeOf(text: string): Promise<string> {
  const { renderUnicodeCompact } = await import("uqr")
  return renderUnicodeCompact(text)
}

function nextStep({ isEnrolled, roles, holders, lifetimes, peer }: FleetReport): string {
  const aging = lifetimes.filter(({ warning }) => warning !== undefined).map(({ role }) => role)
  const isElsewhere = holders.some(({ role, threshold, here }) => {
    return AWAY_ROLES.some((away) => away === role) && here < threshold && aging.includes(role)
  })
  if (isElsewhere && roles.includes("desk")) {
    return '"sealift fleet renew --draft FILE" drafts what the keys elsewhere sign'
  }
  if (aging.some((role) => roles.includes(role))) {
    return '"sealift fleet renew" signs anew what this node has the keys for'
  }
  if (!isEnrolled) return `"sealift fleet admit ${peer}" on the node that has the access key`
  if (roles.includes("access")) return '"sealift fleet invite" prints a token for the next node'
  return '"sealift releases" lists what the fleet has released'
}

function describe(report: FleetReport, nowMs: number): string {
  const { nodes, groups, revoked, lifetimes } = report
  const shown = nodes.slice(0, NODES_SHOWN_MAX)
  const sections = [
    columns([
      ["fleet", `${report.name}  ${report.fleet}`],
      ["this node", `${report.peer}${report.isEnrolled ? "" : "  NOT ENROLLED"}`],
      ["fingerprint", report.fingerprint],
      [
        "access list",
        `${report.accessVersion}${report.isStale ? "  STALE: nothing new counts" : ""}`,
      ],
      ["roles here", report.roles.length === 0 ? "none" : report.roles.join(", ")],
      ...report.holders.filter(({ keys }) => keys.length > 1).map(holderCells),
      ...(report.gateDevice === undefined ? [] : [["gate's device", report.gateDevice]]),
    ]),
    columns([["node", "", "groups", "labels"], ...shown.map(nodeCells)]),
  ]
  const hiddenCount = nodes.length - shown.length
  if (hiddenCount > 0) sections.push(`… and ${hiddenCount} more nodes (--json lists all)`)
  const cells = groups.map(({ name, epoch, size }) => [name, `epoch ${epoch}`, `${size} nodes`])
  if (groups.length > 0) sections.push(columns([["group", "", ""], ...cells]))
  if (revoked.length > 0) sections.push(columns(revoked.map((peer) => ["revoked", peer])))
  const lives = lifetimes.map(({ role, expiresAtMs }) => [role, momentText(expiresAtMs, nowMs)])
  if (lives.length > 0) sections.push(columns([["signed by", "until"], ...lives]))
  return sections.join("\n\n")
}

function holderCells({ role, threshold, keys, here }: FleetReport["holders"][number]): string[] {
  return [role, `${threshold} of ${keys.length} keys, ${here} here`]
}

function nodeCells(node: FleetReport["nodes"][number]): string[] {
  const marks = [node.isAnchor ? "anchor" : "", node.isConnected ? "connected" : ""]
  const labels = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`)
  return [
    node.peer,
    marks.filter((mark) => mark !== "").join(", "),
    node.groups.join(", "),
    labels.join(", "),
  ]
}
