/**
 * `sealift approve`: sign a release as a party. Through a node it does what it does apart by files: the
 * device verifies a bundle from the fleet that it trusts, and gives an approval back.
 * @module
 */
import type { ApprovalReceipt } from "../../api/release-api.ts"
import { summaryText } from "../../cli/command/approval-text.ts"
import { openingText } from "../../cli/command/release-text.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText, textOf } from "../../cli/option.ts"
import { PASSPHRASE_OPTION, readDevice } from "../../cli/passphrase.ts"
import { openProgress } from "../../cli/progress.ts"
import { systemClock } from "../../core/clock.ts"
import type { FleetReport } from "../../fleet/fleet-desk.ts"
import { APPROVAL_FILE_BYTES_MAX, encodeApprovalFile } from "../../release/approval-file.ts"
import { approveBundle, type MadeApproval } from "../../release/approving.ts"
import { formatAssetVersion } from "../../release/asset-name.ts"
import { deviceFolderOf, openDeviceHome } from "../../release/device-pin.ts"
import { BUNDLE_BYTES_MAX } from "../../release/release-bundle.ts"

export const approveCommand: CommandSpec = {
  examples: [
    "sealift approve acme/model@1 --key safety.key",
    "sealift approve --release m.release --key legal.key --out legal.approval",
    "sealift approve --import legal.approval",
  ],
  define: (command) =>
    command
      .option("--key <file>", "key file of the party's device")
      .option(...PASSPHRASE_OPTION)
      .option("--fleet <id>", "with --release: id of the fleet, for a device that knows none yet")
      .option("--release <file>", "approve what this file brings; no node is needed")
      .option("-o, --out <file>", "with --release: where the approval is written")
      .option(
        "--all",
        "when you have approved before: seal for all again, and not for the rest only",
      )
      .option("--import <file>", "take in an approval that was made elsewhere"),
  async work(invocation) {
    const { args, options } = invocation
    const ways = [args[0], options.release, options.import].filter((way) => way !== undefined)
    if (ways.length !== 1) {
      const message = "give one of a release, --release FILE and --import FILE"
      throw new CliError("USAGE_INVALID", message)
    }
    if (options.import !== undefined) await importApproval(invocation)
    else if (options.release !== undefined) await approveApart(invocation)
    else await approveThrough(invocation, args[0]!)
  },
}

async function approveThrough(invocation: Invocation, ref: string): Promise<void> {
  const path = requiredText(invocation.options.key, "--key")
  const node = await invocation.connect()
  const bundle = await node.file("GET", `/v1/release/bundle?${new URLSearchParams({ ref })}`)
  // Whoever asks through a node means its fleet; a device that trusts another one says so.
  const { fleet } = await node.ask<FleetReport>("GET", "/v1/fleet")
  const made = await approve(invocation, path, { bundle, fleet })
  await hand(invocation, node, encodeApprovalFile(made))
}

async function approveApart(invocation: Invocation): Promise<void> {
  const { options, out } = invocation
  const path = requiredText(options.key, "--key")
  const target = requiredText(options.out, "--out")
  const bundle = await readLocalFile(requiredText(options.release, "--release"), BUNDLE_BYTES_MAX)
  const made = await approve(invocation, path, { bundle, fleet: textOf(options.fleet) })
  await writeLocalFile(target, encodeApprovalFile(made))
  const ref = formatAssetVersion(made.summary.asset)
  out.result({ ref, file: target, party: made.summary.party }, () => `wrote ${target}`)
  out.note(`next, where a node of the fleet is: "sealift approve --import ${target}"`)
}

async function importApproval(invocation: Invocation): Promise<void> {
  const path = requiredText(invocation.options.import, "--import")
  const file = await readLocalFile(path, APPROVAL_FILE_BYTES_MAX)
  await hand(invocation, await invocation.connect(), file)
}

async function approve(
  invocation: Invocation,
  path: string,
  { bundle, fleet }: { readonly bundle: Uint8Array; readonly fleet: string | undefined },
): Promise<MadeApproval> {
  const { out, signal } = invocation
  const device = await readDevice(invocation, path)
  using bar = await openProgress(out, "grants")
  const made = await approveBundle({
    bundle,
    device,
    home: openDeviceHome(deviceFolderOf(path)),
    nowMs: systemClock.now(),
    expectedFleet: fleet,
    isWhole: invocation.options.all === true,
    signal,
    onProgress: (doneCount, totalCount) => bar.count(doneCount, totalCount),
  })
  bar[Symbol.dispose]()
  out.note(summaryText(made.summary))
  return made
}

async function hand(invocation: Invocation, node: ControlClient, file: Uint8Array): Promise<void> {
  const { out } = invocation
  const receipt = await node.ask<ApprovalReceipt>("POST", "/v1/release/approval", file)
  const { ref, party, missing, gate } = receipt
  out.result(receipt, () => `${party} approved ${ref}`)
  const next =
    missing.length > 0
      ? `waiting for ${missing.join(" and ")}: "sealift approve ${ref} --key FILE"`
      : `every party has approved: ${openingText({ ref, gate })}`
  out.note(next)
}
