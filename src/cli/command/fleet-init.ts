/**
 * `sealift fleet init`: making a fleet, with all keys on this node, or drafting one whose keys of root and
 * targets lie elsewhere.
 * @module
 */
import type { FleetInitRequest, HoldingRequest } from "../../api/fleet-api.ts"
import { holderKey, writeDraft } from "../../cli/command/fleet-draft.ts"
import { thresholdsOf } from "../../cli/command/party-files.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { collect, listOf, pairsOf, requiredText } from "../../cli/option.ts"
import type { FleetReport } from "../../fleet/fleet-desk.ts"

const ONE_PERSON_WARNING = [
  "this node is the fleet's only anchor: the keys of root, targets, desk, access, gate and groups",
  "lie on this one machine. Whoever takes it over can change who belongs to the fleet and who must",
  "approve, and can give the gate's share; if it is lost, so is the fleet. What the parties sign",
  "with their own keys, kept elsewhere, it cannot sign.",
].join("\n")

export const fleetInitCommand: CommandSpec = {
  examples: [
    "sealift fleet init --name lab",
    "sealift fleet init --name lab --data /srv/sealift",
    "sealift fleet init --name lab --by root=alice.key.pub --by root=bob.key.pub --by root=carol.key.pub --threshold root=2 -o lab.draft",
  ],
  runsNode: true,
  define: (command) =>
    command
      .option("--name <name>", "what you call the fleet")
      .option(
        "--by <role=key>",
        "a key that lies elsewhere signs for root, targets (default: as root) or plan (default: this node): its public file, or its 64 hex digits; repeatable",
        collect,
      )
      .option(
        "--threshold <role=count>",
        "how many of a role's keys must sign (default: all); repeatable",
        collect,
      )
      .option("-o, --out <file>", "with --by: where the draft is written that these keys sign"),
  async work(invocation) {
    const { options } = invocation
    const name = requiredText(options.name, "--name")
    if (listOf(options.by).length > 0) {
      const held = await heldElsewhere(options.by, options.threshold)
      return await writeDraft(invocation, { act: "found", name, held })
    }
    if (options.threshold !== undefined || options.out !== undefined) {
      const message = "--threshold and --out are for keys that lie elsewhere; give --by for each"
      throw new CliError("USAGE_INVALID", message)
    }
    await foundHere(invocation, { name })
  },
}

async function foundHere({ out, connect }: Invocation, request: FleetInitRequest): Promise<void> {
  const node = await connect()
  const report = await node.ask<FleetReport>("POST", "/v1/fleet/init", request)
  out.answer(report, report.fleet)
  out.note(`${ONE_PERSON_WARNING}\nfingerprint of this node: ${report.fingerprint}`)
  out.note('next: "sealift fleet invite" prints a token for the next node')
}

/** @throws CliError `USAGE_INVALID`; FleetError `DEVICE_INVALID`; TrustError of a key that is none */
async function heldElsewhere(by: unknown, threshold: unknown): Promise<readonly HoldingRequest[]> {
  const keys = new Map<string, string[]>()
  for (const [role, text] of pairsOf(by, "--by")) {
    keys.set(role, [...(keys.get(role) ?? []), await holderKey(text)])
  }
  const counts = new Map(thresholdsOf(threshold))
  const ofRoot = keys.get("root")
  if (ofRoot !== undefined && !keys.has("targets")) {
    keys.set("targets", ofRoot)
    const count = counts.get("targets") ?? counts.get("root")
    if (count !== undefined) counts.set("targets", count)
  }
  const stray = [...counts.keys()].find((role) => !keys.has(role))
  if (stray !== undefined) {
    throw new CliError(
      "USAGE_INVALID",
      `--threshold names ${stray.slice(0, 80)}, and --by no key of it`,
    )
  }
  return [...keys].map(([role, list]) => {
    return { roles: [role], keys: list, threshold: counts.get(role) ?? list.length }
  })
}
