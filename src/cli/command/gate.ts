/**
 * `sealift gate grant`, `gate import`: the gate's share by hand, for a site with no contact;
 * `gate key`: the device that a keeper gives it with.
 * @module
 */
import type { ImportReceipt } from "../../api/release-api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText, textOf } from "../../cli/option.ts"
import { PASSPHRASE_OPTION, readDevice } from "../../cli/passphrase.ts"
import { encodeDeviceKey, parseDevicePublic } from "../../fleet/device.ts"
import { ENVELOPE_BYTES_MAX } from "../../trust/envelope.ts"

export const gateGrantCommand: CommandSpec = {
  examples: ["sealift gate grant acme/model@1 --node 12D3KooW… --out gate.grant"],
  define: (command) =>
    command
      .option("--node <peer id>", "the one node that it is for")
      .option("-o, --out <file>", "file that is written"),
  async work({ args, options, out, connect }) {
    const peer = requiredText(options.node, "--node")
    const path = requiredText(options.out, "--out")
    const ref = args[0]!
    const node = await connect()
    const grant = await node.file("POST", "/v1/release/gate-grant", { ref, node: peer })
    await writeLocalFile(path, grant)
    out.result({ ref, node: peer, file: path }, () => `wrote ${path}`)
    out.note(`next, on ${peer}, within seven days: "sealift gate import ${path}"`)
  },
}

export const gateImportCommand: CommandSpec = {
  examples: ["sealift gate import gate.grant"],
  async work({ args, out, connect }) {
    const grant = await readLocalFile(args[0]!, ENVELOPE_BYTES_MAX)
    const node = await connect()
    const receipt = await node.ask<ImportReceipt>("POST", "/v1/release/gate-grant/import", grant)
    out.answer(receipt, receipt.ref)
    out.note(`next: "sealift open ${receipt.ref}"`)
  },
}

export const gateKeyCommand: CommandSpec = {
  examples: [
    "sealift gate key --out keeper2.key.pub",
    "sealift gate key --import recovery.key --passphrase-file phrase.txt --out recovery.key.pub",
  ],
  define: (command) =>
    command
      .option("-o, --out <file>", "file that is written, for whoever sets the policy")
      .option(
        "--import <file>",
        "key file of a device that was made elsewhere and is kept here now",
      )
      .option(...PASSPHRASE_OPTION),
  async work(invocation) {
    const { options, out, connect } = invocation
    const path = requiredText(options.out, "--out")
    const source = textOf(options.import)
    const brought = source === undefined ? undefined : await readDevice(invocation, source)
    const node = await connect()
    const file =
      brought === undefined
        ? await node.file("POST", "/v1/fleet/gate-key", {})
        : await node.file("POST", "/v1/fleet/gate-key/import", encodeDeviceKey(brought))
    const { key } = parseDevicePublic(file)
    await writeLocalFile(path, file)
    out.result({ key, file: path }, () => `wrote ${path}: this node's device of the gate, ${key}`)
    out.note(
      `next, where policies are set, with every party and every other keeper: "sealift fleet policy set NAMESPACE --party … --gate ${path} --gate …"`,
    )
    if (source !== undefined) out.note(`${source} is a copy of what the node keeps now: destroy it`)
  },
}
