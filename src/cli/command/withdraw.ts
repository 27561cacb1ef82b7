/**
 * `sealift withdraw REF`: take a release back, by a party's device or by the targets role of the node.
 * @module
 */
import type { ReleaseDetails } from "../../api/release-api.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { requiredText, textOf } from "../../cli/option.ts"
import { PASSPHRASE_OPTION, readDevice } from "../../cli/passphrase.ts"
import { encodeBase64 } from "../../core/byte-text.ts"
import { withdrawByDevice } from "../../release/approving.ts"
import { deviceFolderOf, openDeviceHome } from "../../release/device-pin.ts"

export const withdrawCommand: CommandSpec = {
  examples: [
    'sealift withdraw acme/model@1 --reason "a wrong licence" --key safety.key',
    'sealift withdraw acme/model@1 --reason "a wrong licence"',
  ],
  define: (command) =>
    command
      .option("--reason <text>", "what everybody is told")
      .option("--key <file>", "key file of a party's device (default: this node's targets role)")
      .option(...PASSPHRASE_OPTION),
  async work(invocation) {
    const { args, options, out, connect } = invocation
    const reason = requiredText(options.reason, "--reason")
    const node = await connect()
    const query = new URLSearchParams({ ref: args[0]! })
    const details = await node.ask<ReleaseDetails>("GET", `/v1/release?${query}`)
    const envelope = await byDevice(invocation, details, reason)
    const { ref } = details
    const body = { ref, reason, ...(envelope && { envelope: encodeBase64(envelope) }) }
    const report = await node.ask("POST", "/v1/release/withdraw", body)
    out.result(report, () => `withdrew ${ref}`)
    out.note(`next: "sealift releases ${ref}" on the other nodes, which open it no more`)
  },
}

async function byDevice(
  invocation: Invocation,
  { fleet, asset, digest }: ReleaseDetails,
  reason: string,
): Promise<Uint8Array | undefined> {
  const path = textOf(invocation.options.key)
  if (path === undefined) return undefined
  const device = await readDevice(invocation, path)
  const home = openDeviceHome(deviceFolderOf(path))
  return await withdrawByDevice({ fleet, release: { asset, digest }, reason, device, home })
}
