/**
 * `sealift verify REF [--deep]`: who signed, which rule was met, whether every byte is right; of an image:
 * whose word its name is, and whether every byte is right.
 * @module
 */
import type { ImageVerifyReport } from "../../api/api.ts"
import type { ImageVerifyLine, Named, ReleaseVerifyLine } from "../../api/release-api.ts"
import { addPlatformOptions, imageRequestOf } from "../../cli/command/image.ts"
import { isRelease } from "../../cli/command/reference-kind.ts"
import { approvalText } from "../../cli/command/release-text.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { followWork } from "../../cli/progress.ts"
import { CodedError } from "../../core/errors.ts"
import { humanSize } from "../../daemon/unit.ts"
import type { VerifyReport } from "../../release/releases.ts"

export const verifyCommand: CommandSpec = {
  examples: [
    "sealift verify acme/model@1",
    "sealift verify acme/model@1 --deep",
    "sealift verify docker.io/library/alpine:3.20",
  ],
  define: (command) =>
    addPlatformOptions(command).option(
      "--deep",
      "open a release's files too and check what comes out; nothing is written",
    ),
  async work(invocation) {
    const { args, options, out, connect } = invocation
    const node = await connect()
    const ref = args[0]!
    if (!(await isRelease(node, ref))) return await verifyImage(node, invocation)
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

async function verifyImage(node: ControlClient, { args, options, out }: Invocation): Promise<void> {
  if (options.deep === true) throw new CliError("USAGE_INVALID", "--deep is for releases")
  const report = await followWork<ImageVerifyLine>(node, out, {
    path: "/v1/image/verify",
    body: imageRequestOf(args[0]!, options),
    label: args[0]!,
  })
  out.result(report, () => describeImage(report))
  const { ref, missing, wrong, parts } = report
  if (wrong.length === 0 && missing.length === 0) return
  const shown = `${ref}: of ${parts} parts ${missing.length} are not here, ${wrong.length} are wrong`
  throw new CliError("VERIFY_FAILED", shown, { details: { missing, wrong } })
}

/** What is said of each way in which a name came to mean a digest. */
const NAMED_BY: Readonly<Record<ImageVerifyReport["namedBy"], string>> = {
  digest: "named by its digest",
  upstream: "the registry says what this tag is",
  "own-claim": "this node has said what this tag is: it was pushed here, or its registry is away",
  "peer-claims": "peers of this fleet have signed what this tag is",
}

function describeImage({ digest, isWhole, namedBy, ...report }: ImageVerifyReport): string {
  const { ref, parts, totalBytes, missing, wrong } = report
  const rightCount = parts - missing.length - wrong.length
  const what = isWhole ? "" : ", without its other platforms"
  return [
    `${ref} ${digest}`,
    columns([
      ["ok", NAMED_BY[namedBy]],
      [
        rightCount === parts ? "ok" : "NOT MET",
        `every byte is here and right: ${rightCount} of ${parts} parts, ${humanSize(totalBytes)}${what}`,
      ],
      ...wrong.map((one) => ["WRONG", one]),
      ...missing.map((one) => ["MISSING", one]),
    ]),
  ].join("\n")
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
