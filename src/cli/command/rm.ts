/**
 * `sealift rm`: remove images or blobs from this node.
 * @module
 */
import type { RemovalReport } from "../../api/api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { humanSize } from "../../daemon/unit.ts"

export const rmCommand: CommandSpec = {
  examples: ["sealift rm docker.io/library/alpine:3.20", "sealift rm sha256:…"],
  async work({ args, out, connect }) {
    const node = await connect()
    for (const ref of args) {
      const path = ref.startsWith("sha256:")
        ? `/v1/blobs/${encodeURIComponent(ref)}`
        : `/v1/images?ref=${encodeURIComponent(ref)}`
      const report = await node.ask<RemovalReport>("DELETE", path)
      out.result(report, () => describe(report))
    }
  },
}

function describe({ ref, removed, kept, freedBytes }: RemovalReport): string {
  const stayed = kept.length === 0 ? "" : `, ${kept.length} blobs stay: they are needed elsewhere`
  return `removed ${ref}: ${removed.length} blobs, ${humanSize(freedBytes)}${stayed}`
}
