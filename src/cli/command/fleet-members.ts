/**
 * `sealift fleet invite`, `admit`, `revoke`, `group add`, `group remove`: who belongs to the fleet.
 * @module
 */
import type { NodeDescription } from "../../api/api.ts"
import type {
  AdmitRequest,
  GroupRequest,
  InviteRequest,
  RevokeRequest,
} from "../../api/fleet-api.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { collect, durationOf, labelsOf, listOf, textOf } from "../../cli/option.ts"
import { momentText } from "../../cli/time-text.ts"
import { systemClock } from "../../core/clock.ts"
import { fingerprintOf } from "../../fleet/fingerprint.ts"
import type { FleetReceipt, FleetReport, InviteReceipt } from "../../fleet/fleet-desk.ts"

export const fleetInviteCommand: CommandSpec = {
  examples: [
    "sealift fleet invite",
    "sealift fleet invite --group edge --label arch=arm64 --expires 1h",
  ],
  define: (command) =>
    command
      .option("--group <name>", "group that the new node comes into; made if there is none")
      .option("--label <key=value>", "label of the new node; repeatable", collect)
      .option("--expires <duration>", "how long the token is good (default: 1h)"),
  async work({ options, out, connect }) {
    const request: InviteRequest = {
      group: textOf(options.group),
      labels: labelsOf(options.label, "--label"),
      lifeMs: durationOf(options.expires, "--expires"),
    }
    const node = await connect()
    const receipt = await node.ask<InviteReceipt>("POST", "/v1/fleet/invite", request)
    out.answer(receipt, receipt.token)
    if (receipt.isNewGroup === true) {
      out.note(`there is no group ${request.group} yet: it is made when the node joins`)
    }
    const until = momentText(receipt.expiresAtMs, systemClock.now())
    out.note(`good once, until ${until}, and only while this node runs and can be reached`)
    out.note('next, on the new node: "sealift fleet join TOKEN"')
  },
}

export const fleetAdmitCommand: CommandSpec = {
  examples: [
    "sealift fleet admit 12D3KooW…",
    "sealift fleet admit 12D3KooW… --group edge --label arch=arm64",
  ],
  define: (command) =>
    command
      .option("--group <name>", "group that it comes into; repeatable", collect)
      .option("--label <key=value>", "label of the node; repeatable", collect)
      .option("--anchor", "let it keep the secrets of groups"),
  async work({ args, options, out, connect }) {
    const peer = args[0]!
    const request: AdmitRequest = {
      peer,
      groups: listOf(options.group),
      labels: labelsOf(options.label, "--label"),
      ...(options.anchor === true ? { isAnchor: true } : {}),
    }
    const node = await connect()
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/admit", request)
    const fingerprint = fingerprintOf(receipt.fleet, peer)
    out.result({ ...receipt, peer, fingerprint }, () => {
      return `admitted ${peer}: access list ${receipt.accessVersion}\nfingerprint ${fingerprint}`
    })
    if (options.anchor === true) {
      const { warnings } = await node.ask<FleetReport>("GET", "/v1/fleet")
      for (const warning of warnings) out.note(`WARNING: ${warning}`)
    }
    const { p2p } = await node.ask<NodeDescription>("GET", "/v1/id")
    const place = `${receipt.fleet}@${p2p.join(",")}`
    out.note(`next, on that node: "sealift fleet join ${place}", and compare the fingerprint`)
  },
}

export const fleetRevokeCommand: CommandSpec = {
  examples: ["sealift fleet revoke 12D3KooW…"],
  async work({ args, out, connect }) {
    const request: RevokeRequest = { peers: args }
    const node = await connect()
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/revoke", request)
    out.result({ ...receipt, peers: args }, () => {
      return `revoked ${args.join(", ")}: access list ${receipt.accessVersion}`
    })
    out.note("what was opened there before stays there; nothing that is released later opens there")
    out.note('next: "sealift fleet show" lists who is left')
  },
}

export const fleetGroupAddCommand: CommandSpec = {
  examples: ["sealift fleet group add edge 12D3KooW…"],
  work: (invocation) => changeGroup(invocation, "add"),
}

export const fleetGroupRemoveCommand: CommandSpec = {
  examples: ["sealift fleet group remove edge 12D3KooW…"],
  work: (invocation) => changeGroup(invocation, "remove"),
}

async function changeGroup(
  { args, out, connect }: Invocation,
  action: GroupRequest["action"],
): Promise<void> {
  const [group, ...peers] = args as readonly [string, ...string[]]
  const request: GroupRequest = { action, group, peers }
  const node = await connect()
  const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/group", request)
  const [done, whereto] = action === "add" ? ["added", "to"] : ["removed", "from"]
  out.result({ ...receipt, ...request }, () => {
    return `${done} ${peers.join(", ")} ${whereto} ${group}: access list ${receipt.accessVersion}`
  })
  out.note('next: "sealift fleet show" lists groups and their epochs')
}
