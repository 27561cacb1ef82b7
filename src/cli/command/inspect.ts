/**
 * `sealift inspect REF`, `inspect --release FILE`: what a party would sign, through a node or apart.
 * @module
 */
import type { ReleaseDetails } from "../../api/release-api.ts"
import { summaryText } from "../../cli/command/approval-text.ts"
import { detailsText, openingText } from "../../cli/command/release-text.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { readLocalFile } from "../../cli/local-file.ts"
import { textOf } from "../../cli/option.ts"
import { PASSPHRASE_OPTION, readDevice } from "../../cli/passphrase.ts"
import { systemClock } from "../../core/clock.ts"

export const inspectCommand: CommandSpec = {
  examples: [
    "sealift inspect acme/model@1",
    "sealift inspect --release m.release --key legal.key",
    "sealift inspect acme/model --json",
  ],
  define: (command) =>
    command
      .option("--release <file>", "show what this file brings; no node is needed")
      .option("--key <file>", "with --release: key file of the device that would sign")
      .option(...PASSPHRASE_OPTION)
      .option("--fleet <id>", "with --release: id of the fleet, for a device that knows none yet"),
  async work(invocation) {
    const [ref] = invocation.args
    const path = textOf(invocation.options.release)
    if ((ref === undefined) === (path === undefined)) {
      throw new CliError("USAGE_INVALID", "give one of a release and --release FILE")
    }
    if (path !== undefined) await inspectApart(invocation, path)
    else await inspectThrough(invocation, ref!)
  },
}

async function inspectThrough({ out, connect }: Invocation, ref: string): Promise<void> {
  const node = await connect()
  const query = new URLSearchParams({ ref })
  const details = await node.ask<ReleaseDetails>("GET", `/v1/release?${query}`)
  out.answer(details, detailsText(details, systemClock.now()))
  out.note(`next: ${nextStep(details)}`)
}

async function inspectApart(invocation: Invocation, path: string): Promise<void> {
  const { options, out, signal } = invocation
  const { BUNDLE_BYTES_MAX } = await import("../../release/release-bundle.ts")
  const { inspectBundle } = await import("../../release/approving.ts")
  const bundle = await readLocalFile(path, BUNDLE_BYTES_MAX)
  const key = textOf(options.key)
  const summary = await inspectBundle({
    bundle,
    device: key === undefined ? undefined : await readDevice(invocation, key),
    home: await deviceHome(key),
    nowMs: systemClock.now(),
    expectedFleet: textOf(options.fleet),
    signal,
  })
  out.answer(summary, summaryText(summary))
  out.note(`next: "sealift approve --release ${path} --key FILE --out FILE.approval"`)
}

/** Without a key there is nothing that the device has seen before. */
async function deviceHome(
  key: string | undefined,
): Promise<import("../../release/device-pin.ts").DeviceHome> {
  const { deviceFolderOf, openDeviceHome } = await import("../../release/device-pin.ts")
  if (key !== undefined) return openDeviceHome(deviceFolderOf(key))
  const { memoryFiles } = await import("../../trust/tuf/memory-files.ts")
  return { state: memoryFiles(), fleet: memoryFiles() }
}

function nextStep(details: ReleaseDetails): string {
  const { ref, decision, missing } = details
  if (decision === "approved") return openingText(details)
  if (missing.length === 0) return '"sealift releases" lists the others'
  return `"sealift approve ${ref} --key FILE", by ${missing.join(", ")}`
}
