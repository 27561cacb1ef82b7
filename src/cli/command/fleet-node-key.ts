/**
 * `sealift fleet node-key export`, `node-key import`: keys of nodes by file, so that those who meet
 * nobody can be sealed to.
 * @module
 */
import type { CommandSpec } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText } from "../../cli/option.ts"
import {
  NODE_KEYS_BYTES_MAX,
  type NodeKeysReceipt,
  parseNodeKeys,
} from "../../fleet/node-key-file.ts"

export const nodeKeyExportCommand: CommandSpec = {
  examples: [
    "sealift fleet node-key export --out site.nodekeys",
    "sealift fleet node-key export --all --out site.nodekeys",
  ],
  define: (command) =>
    command
      .option("-o, --out <file>", "file that is written")
      .option("--all", "the keys of all other nodes too that are known here or can be asked"),
  async work({ options, out, connect }) {
    const path = requiredText(options.out, "--out")
    const node = await connect()
    const isAll = options.all === true
    const file = await node.file("GET", `/v1/fleet/node-keys${isAll ? "?all=true" : ""}`)
    await writeLocalFile(path, file)
    const { length } = parseNodeKeys(file).statements
    out.result({ file: path, nodes: length }, () => `wrote ${path}: keys of ${nodesText(length)}`)
    out.note("a key is good for two weeks at most; no secret is in the file")
    out.note(
      `next, while it is good, on a node that exports releases: "sealift fleet node-key import ${path}"`,
    )
  },
}

export const nodeKeyImportCommand: CommandSpec = {
  examples: ["sealift fleet node-key import site.nodekeys"],
  async work({ args, out, connect }) {
    const file = await readLocalFile(args[0]!, NODE_KEYS_BYTES_MAX)
    const node = await connect()
    const receipt = await node.ask<NodeKeysReceipt>("POST", "/v1/fleet/node-keys", file)
    const { peers, refused } = receipt
    out.result(receipt, () => peers.join("\n"))
    if (refused.length > 0) {
      out.note(`${nodesText(refused.length)} left out: ${[...new Set(refused)].join(", ")}`)
    }
    out.note('next: "sealift release export NAME@N --out FILE" carries them to the parties, and')
    out.note('"sealift gate grant NAME@N --node PEERID --out FILE" gives the gate\'s share')
  },
}

function nodesText(count: number): string {
  return count === 1 ? "one node" : `${count} nodes`
}
