/**
 * `sealift gc`: sweep the least recently used blobs.
 * @module
 */
import type { GcReport } from "../../api/api.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { humanSize, parseSize, SIZE_ALLOWED } from "../../daemon/unit.ts"

export const gcCommand: CommandSpec = {
  examples: ["sealift gc", "sealift gc --to 10GiB"],
  define: (command) => command.option("--to <size>", "use at most this much, such as 10GiB"),
  async work({ options, out, connect }) {
    const targetBytes = options.to === undefined ? undefined : parseSize(String(options.to))
    if (options.to !== undefined && targetBytes === undefined) {
      throw new CliError("USAGE_INVALID", `--to is "${options.to}"; allowed: ${SIZE_ALLOWED}`)
    }
    const node = await connect()
    const report = await node.ask<GcReport>("POST", "/v1/gc", { targetBytes })
    out.result(report, () => {
      const { removed, freedBytes, usage } = report
      const left = `${humanSize(usage.usedBytes)} of ${humanSize(usage.quotaBytes)} used`
      return `removed ${removed.length} blobs, ${humanSize(freedBytes)}; ${left}`
    })
  },
}
