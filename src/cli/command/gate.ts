/**
 * `sealift gate grant`, `gate import`: the gate's share by hand, for a site with no contact.
 * @module
 */
import type { ImportReceipt } from "../../api/release-api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText } from "../../cli/option.ts"
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
