/**
 * `sealift store verify`: hash everything that the store holds.
 * @module
 */
import type { VerifyLine } from "../../api/api.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { openProgress } from "../../cli/progress.ts"
import { humanSize } from "../../daemon/unit.ts"

export const storeVerifyCommand: CommandSpec = {
  examples: ["sealift store verify", "sealift store verify --repair"],
  define: (command) =>
    command.option("--repair", "drop wrong bytes, so that the next fetch brings them anew"),
  async work({ options, out, connect }) {
    const node = await connect()
    const repair = options.repair === true
    using bar = await openProgress(out, "verify")
    for await (const line of node.lines<VerifyLine>("POST", "/v1/verify", { repair })) {
      if (line.type === "finding") {
        bar.update(line.doneBytes, line.totalBytes, "")
        if (line.kind !== "ok") out.result(line, () => `${line.digest} ${line.kind}`)
        continue
      }
      bar[Symbol.dispose]()
      const { type: _type, ...sums } = line
      const { blobCount, faultCount, checkedBytes } = sums
      const mended = faultCount > 0 && repair ? ", repaired" : ""
      out.result(sums, () => {
        return `${blobCount} blobs, ${humanSize(checkedBytes)}: ${faultCount} faults${mended}`
      })
      if (faultCount > 0 && !repair) throw corrupt(faultCount)
    }
  },
}

function corrupt(faultCount: number): CliError {
  return new CliError(
    "STORE_CORRUPT",
    `the store has ${faultCount} faults; "sealift store verify --repair" drops the wrong bytes`,
    { details: { faultCount } },
  )
}
