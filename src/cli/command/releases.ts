/**
 * `sealift releases [REF]`: the releases that this node knows, and how far each is.
 * @module
 */
import type { ReleasesReport } from "../../api/release-api.ts"
import { openingText, releaseCells } from "../../cli/command/release-text.ts"
import { blockedLine } from "../../cli/command/status.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { systemClock } from "../../core/clock.ts"

export const releasesCommand: CommandSpec = {
  examples: [
    "sealift releases",
    "sealift releases acme/model",
    "sealift releases acme/model@1 --json",
  ],
  async work({ args, out, connect }) {
    const node = await connect()
    const [ref] = args
    const query = ref === undefined ? "" : `?${new URLSearchParams({ ref })}`
    const report = await node.ask<ReleasesReport>("GET", `/v1/releases${query}`)
    const { releases, isTruncated, blocked } = report
    out.result(report, () =>
      releases.length === 0
        ? "no releases"
        : columns(releases.map((release) => releaseCells(release, systemClock.now()))),
    )
    for (const one of blocked) {
      out.note(`this node opens none of them now: ${blockedLine(one)}`)
    }
    if (isTruncated) out.note("there are more releases than are listed")
    out.note(`next: ${nextStep(releases[0])}`)
  },
}

function nextStep(newest: ReleasesReport["releases"][number] | undefined): string {
  if (newest === undefined) return '"sealift publish NAMESPACE/NAME PATH" makes one'
  const { ref, state, decision } = newest
  if (state === "opened") return `"sealift verify ${ref} --deep" says who signed it`
  if (decision === "approved") return openingText(newest)
  return `"sealift inspect ${ref}" shows what a party signs`
}
