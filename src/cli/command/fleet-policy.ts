/**
 * `sealift fleet policy set NS`, `fleet policy show NS`: whose approval releases need.
 * @module
 */

import type { PartyReport, PolicyReport, PolicySetRequest } from "../../api/fleet-api.ts"
import { writeDraft } from "../../cli/command/fleet-draft.ts"
import { devicesOf, encodedDevice, partiesOf, thresholdsOf } from "../../cli/command/party-files.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { collect, listOf } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { counted } from "../../core/counted.ts"
import { codeOf } from "../../core/errors.ts"
import { GATE } from "../../core/name.ts"
import type { FleetReport, PolicyReceipt } from "../../fleet/fleet-desk.ts"

const RECIPIENT_SHOWN_CHARS = 24

export const fleetPolicySetCommand: CommandSpec = {
  examples: [
    "sealift fleet policy set acme --party owner=owner.key.pub --party safety=safety.key.pub",
    "sealift fleet policy set acme --party owner=a.key.pub --party owner=b.key.pub --threshold owner=2",
  ],
  define: (command) =>
    command
      .option("--party <name=file>", "public file of a party's device; repeatable", collect)
      .option("--threshold <name=count>", "how many devices of a party must approve", collect)
      .option("--gate <file>", "public file of a gate's device (default: as it is)", collect)
      .option(
        "--recovery <name=file>",
        "public file of a further device, of a party or the gate, that is kept apart; repeatable",
        collect,
      )
      .option("--inspector <recipient>", "age recipient that may be given release keys", collect)
      .option("--allow-classical", "allow recipients that are not post-quantum")
      .option("--allow-no-gate", "allow releases without a gate")
      .option("--keep-openable", "keep what was approved under the policy before openable")
      .option("--draft <file>", "write a draft that the keys of targets sign elsewhere"),
  async work(invocation) {
    const { args, options, out, connect } = invocation
    const request = await requestOf(invocation)
    if (options.draft !== undefined) {
      return await writeDraft(invocation, { act: "policy", ...request })
    }
    const node = await connect()
    const before = await policyBefore(node, request.namespace)
    const receipt = await node.ask<PolicyReceipt>("POST", "/v1/fleet/policy", request)
    out.result(receipt, () => describeReceipt(receipt))
    const keepsOpenable = request.keepsOpenable === true
    for (const remark of remarksOn(receipt, before, keepsOpenable)) out.note(remark)
    const { warnings } = await node.ask<FleetReport>("GET", "/v1/fleet")
    for (const warning of warnings) out.note(`WARNING: ${warning}`)
    out.note(`next: "sealift publish ${args[0]}/NAME PATH --seal --audience GROUP"`)
  },
}

export const fleetPolicyShowCommand: CommandSpec = {
  examples: ["sealift fleet policy show acme"],
  async work({ args, out, connect }) {
    const node = await connect()
    const query = new URLSearchParams({ namespace: args[0]! })
    const report = await node.ask<PolicyReport>("GET", `/v1/fleet/policy?${query}`)
    out.answer(report, describe(report))
    out.note(`next: "sealift releases" shows what was released under it`)
  },
}

/** Says what was written for a namespace. */
export function describeReceipt({
  namespace,
  version,
  parties,
  gateDevices,
}: PolicyReceipt): string {
  const gate = gateDevices === 0 ? "no gate" : `a gate of ${counted(gateDevices, "device")}`
  return `policy ${version} of ${namespace}: ${parties.join(", ")} must approve; ${gate}`
}

/** Gives the policy that is about to be replaced, if there is one. */
async function policyBefore(
  node: ControlClient,
  namespace: string,
): Promise<PolicyReport | undefined> {
  try {
    const query = new URLSearchParams({ namespace })
    return await node.ask<PolicyReport>("GET", `/v1/fleet/policy?${query}`)
  } catch (error) {
    if (codeOf(error) === "POLICY_MISSING") return undefined
    throw error
  }
}

/** A policy replaces the one before as a whole: who is no longer in it, and what opens no more. */
function remarksOn(
  { namespace, version, parties }: PolicyReceipt,
  before: PolicyReport | undefined,
  keepsOpenable: boolean,
): readonly string[] {
  if (before === undefined || before.version === version) return []
  const gone = before.parties.map(({ name }) => name).filter((name) => !parties.includes(name))
  const remarks = gone.length === 0 ? [] : [`NO LONGER ASKED: ${gone.join(", ")}`]
  const earlier = `what was released under policy ${before.version}`
  remarks.push(
    keepsOpenable
      ? `${earlier} opens where it was approved before, and is approved nowhere else`
      : `${earlier} opens no more (--keep-openable keeps it); "sealift publish ${namespace}/NAME --reissue N" issues it anew`,
  )
  return remarks
}

async function requestOf({ args, options }: Invocation): Promise<PolicySetRequest> {
  const thresholds = thresholdsOf(options.threshold)
  const recovery = await devicesOf(options.recovery, "--recovery")
  const parties = await partiesOf(options.party, thresholds, recovery)
  if (parties.length === 0) {
    throw new CliError("USAGE_INVALID", "no party is named; give --party NAME=FILE.pub for each")
  }
  const gate = await Promise.all(listOf(options.gate).map(encodedDevice))
  const names = [...parties.map(({ name }) => name), ...(gate.length > 0 ? [GATE] : [])]
  const stray = [...thresholds.keys()].find((name) => !names.includes(name))
  if (stray !== undefined) {
    throw new CliError("USAGE_INVALID", `--threshold names "${stray}", of which no device is given`)
  }
  const apart = [...recovery.keys()].find((name) => !names.includes(name))
  if (apart !== undefined) {
    const message = `--recovery names "${apart}", of which no other device is given`
    throw new CliError("USAGE_INVALID", message)
  }
  const inspectors = listOf(options.inspector)
  const keepers = {
    ...{ devices: gate, threshold: thresholds.get(GATE) },
    ...(recovery.has(GATE) && { recovery: recovery.get(GATE) }),
  }
  return {
    namespace: args[0]!,
    parties,
    ...(gate.length > 0 ? { gate: keepers } : {}),
    ...(inspectors.length > 0 ? { inspectors } : {}),
    ...(options.allowClassical === true ? { allowsClassical: true } : {}),
    ...(options.allowNoGate === true ? { allowsNoGate: true } : {}),
    ...(options.keepOpenable === true ? { keepsOpenable: true } : {}),
  }
}

function describe(report: PolicyReport): string {
  const holders = [...report.parties, ...(report.gate === undefined ? [] : [report.gate])]
  const rows = [
    ["policy", `${report.version} of ${report.namespace}${report.isStale ? "  STALE" : ""}`],
    ["digest", report.digest],
    ...holders.flatMap(holderCells),
    ...report.inspectors.map((one) => ["inspector", `${one.slice(0, RECIPIENT_SHOWN_CHARS)}…`]),
    ["classical recipients", report.allowsClassical ? "allowed" : "not allowed"],
    ["no gate", report.allowsNoGate ? "allowed" : "not allowed"],
  ]
  if (report.openable.length > 0) rows.push(["openable before", report.openable.join(", ")])
  return columns(rows)
}

function holderCells({ name, threshold, devices }: PartyReport): string[][] {
  const counting = devices.filter(({ state }) => state !== "retired").length
  return [
    [name === GATE ? name : `party ${name}`, `${threshold} of ${counting} devices`],
    ...devices.map(({ key, state }) => ["", `${key}  ${state}`]),
  ]
}
