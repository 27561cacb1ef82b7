/**
 * `sealift id`: this node's peer id and the addresses that others dial.
 * @module
 */
import type { NodeDescription } from "../../api/api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"

export const idCommand: CommandSpec = {
  examples: ["sealift id", "sealift node --peer $(sealift id | tail -1)"],
  async work({ out, connect }) {
    const node = await connect()
    const id = await node.ask<NodeDescription>("GET", "/v1/id")
    out.answer(id, [id.peerId, ...id.p2p].join("\n"))
  },
}
