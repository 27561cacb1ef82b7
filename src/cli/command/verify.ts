/**
 * `sealift verify REF [--deep]`: who signed, which rule was met, whether every byte is right.
 * @module
 */
import type { Named, ReleaseVerifyLine } from "../../api/release-api.ts"
import { approvalText } from "../../cli/command/release-text.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { followWork } from "../../cli/progress.ts"
import { CodedError } from "../../core/errors.ts"
import type { VerifyReport } from "../../release/releases.ts"

export const verifyCommand: CommandSpec = {
  examples: ["sealift verify acme/model@1", "sealift verify acme/model@1 --deep"],
  define: (command) =>
    command.option("--deep", "open the files too and check what comes out; nothing is written"),
  async work({ args, options, out, connect }) {
    const node = await connect()
    const ref = args[0]!
    const report = await followWork<ReleaseVerifyLine>(node, out, {
      path: "/v1/release/verify",
      body: { ref, isDeep: options.deep === true },
      label: ref,
    })
    out.result(report, () => describe(report))
    const fault = faultOf(report)
    if (fault !== undefined) throw fault
    out.note(nextStep(report, options.deep === true))
  },
}

function describe(report: Named<VerifyReport>): string {
  const { ref, state, rules, wrongFiles } = report
  const rows = rules.map(({ rule, isMet, by }) => [isMet ? "ok" : "NOT MET", rule, by])
  const wrong = wrongFiles.map((file) => ["WRONG", file, ""])
  return [`${ref}: ${state}, ${approvalText(report)}`, columns([...rows, ...wrong])].join("\n")
}

function nextStep({ ref, state }: Named<VerifyReport>, isDeep: boolean): string {
  if (!isDeep) return `next: "sealift verify ${ref} --deep" opens its files too, and writes nothing`
  if (state === "opened") return `nothing is left to do: ${ref} was opened here`
  return `next: "sealift open ${ref}"`
}

/** Who verifies in a script asks for the exit code. */
function faultOf(report: Named<VerifyReport>): CodedError | undefined {
  const { ref, decision, missing, wrongFiles, rules } = report
  const details = { ref }
  switch (decision) {
    case "missing":
      return new CodedError("APPROVALS_MISSING", `${ref} waits for ${missing.join(", ")}`, {
        details,
      })
    case "withdrawn":
      return new CodedError("RELEASE_WITHDRAWN", `${ref} was taken back`, { details })
    case "expired":
      return new CodedError("RELEASE_EXPIRED", `${ref} has ended`, { details })
    case "policy-not-current":
      return new CodedError("POLICY_NOT_CURRENT", `${ref} is under an earlier policy`, { details })
    case "approved": {
      const unmet = rules.filter(({ isMet }) => !isMet).map(({ rule }) => rule)
      const reasons = [...unmet, ...wrongFiles]
      if (reasons.length === 0) return undefined
      const shown = reasons.slice(0, 5).join(", ")
      return new CliError("VERIFY_FAILED", `${ref}: not met on this node: ${shown}`, { details })
    }
  }
}
