/**
 * `sealift publish NAME PATH… | oci:REF`: make a release of files, or of an image.
 * @module
 */
import { resolve } from "node:path"
import type { PublishBody, PublishLine } from "../../api/release-api.ts"
import { describeReceipt } from "../../cli/command/fleet-policy.ts"
import { partiesOf } from "../../cli/command/party-files.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { readLocalFile } from "../../cli/local-file.ts"
import {
  collect,
  countOf,
  durationOf,
  labelsOf,
  listOf,
  refuseTogether,
  textOf,
} from "../../cli/option.ts"
import { followWork } from "../../cli/progress.ts"
import { PLAN_FILE_BYTES_MAX, parsePlanDocument } from "../../daemon/plan-document.ts"
import { humanSize } from "../../daemon/unit.ts"

const IMAGE_PREFIX = "oci:"

export const publishCommand: CommandSpec = {
  examples: [
    "sealift publish acme/model ./model --seal --audience edge",
    "sealift publish acme/model ./common --variant arch=arm64:./arm --variant arch=amd64:./amd",
    "sealift publish acme/tools ./tools.tar.gz --unpack",
    "sealift publish acme/app oci:registry.example/team/app:1",
    "sealift publish acme/app oci:registry.example/team/app:1 --activation podman.yaml",
    "sealift publish acme/model --reissue 1",
  ],
  define: (command) =>
    command
      .option("--seal", "encrypt it: it opens once every party has approved")
      .option("--audience <group>", "group, or node:PEERID, that may open it; repeatable", collect)
      .option("--hold", "let nobody open it before a rollout says so")
      .option("--no-gate", "leave the gate out, if the policy allows that; nodes only, no groups")
      .option("--public", "let it be given, unencrypted, to every BitTorrent client")
      .option("--party <name=file>", "write the policy with this party if there is none", collect)
      .option("--inspector <recipient>", "inspector of the policy that may look inside", collect)
      .option("--life <duration>", "how long it may be approved and opened, such as 90d")
      .option("--floor <n>", "no release below this number may become active any more")
      .option(
        "--requires <name@n>",
        "release that must be active before it, such as acme/base@3; repeatable",
        collect,
      )
      .option("--slot <key=value>", "label of the nodes that these files are for", collect)
      .option(
        "--variant <labels:path>",
        "files for nodes with these labels, as in arch=arm64,zone=lab:./arm; repeatable",
        collect,
      )
      .option("--unpack", "have nodes unpack the tar files in it (.tar, .tar.gz, .tgz)")
      .option("--activation <file>", "have nodes make it run so, in the place of a plan's activate")
      .option("--reissue <n>", "issue the files of this number anew, after a party was lost"),
  async work(invocation) {
    const { out, connect } = invocation
    const body = await bodyOf(invocation)
    refuseWithoutAudience(body)
    const node = await connect()
    const published = await followWork<PublishLine>(node, out, {
      path: "/v1/releases",
      body,
      label: body.name,
      onLine(line) {
        if (line.type !== "policy") return
        const { type: _line, ...policy } = line
        out.note(describeReceipt(policy))
      },
    })
    out.answer(published, published.ref)
    for (const remark of remarksOf(body, published)) out.note(remark)
    if (body.visibility === "public") {
      out.note(
        `PUBLIC: once all have approved, "sealift torrent ${published.ref} --public" gives it to every BitTorrent client`,
      )
    }
    out.note(
      `next: "sealift inspect ${published.ref}", then each party: "sealift approve ${published.ref} --key FILE"`,
    )
  },
}

async function bodyOf({ args, options }: Invocation): Promise<PublishBody> {
  const [name, ...sources] = args as readonly [string, ...string[]]
  const reissues = countOf(options.reissue, "--reissue")
  // What is issued anew is sealed: of other files nobody lost a share.
  const isSealed = options.seal === true || reissues !== undefined
  refuseTogether({ "--seal": isSealed, "--public": options.public === true })
  refuseTogether({ "--hold": options.hold === true, "--no-gate": options.gate === false })
  refuseTogether({
    "--slot": options.slot !== undefined,
    "--variant": options.variant !== undefined,
  })
  const audience = listOf(options.audience)
  if (!isSealed) refuseUnsealed(options)
  const parties = await partiesOf(options.party, new Map())
  const inspectors = listOf(options.inspector)
  const activation = await activationOf(options.activation)
  return {
    name,
    ...sourcesOf(sources, { reissues, variants: variantsOf(options.variant) }),
    visibility: isSealed ? "sealed" : options.public === true ? "public" : "fleet",
    audience,
    gate: options.hold === true ? "hold" : options.gate === false ? "none" : "open",
    lifeMs: durationOf(options.life, "--life"),
    floor: countOf(options.floor, "--floor"),
    ...(options.requires !== undefined && { requires: listOf(options.requires) }),
    reissues,
    ...(options.unpack === true && { unpack: true }),
    ...(activation !== undefined && { activation }),
    ...(options.variant === undefined && { slots: labelsOf(options.slot, "--slot") }),
    ...(inspectors.length > 0 ? { inspectors } : {}),
    ...(parties.length > 0 ? { parties } : {}),
  }
}

/** Reads the file of an activation; what it says is checked by the node. */
async function activationOf(option: unknown): Promise<PublishBody["activation"]> {
  const file = textOf(option)
  if (file === undefined) return undefined
  const path = resolve(file)
  const bytes = await readLocalFile(path, PLAN_FILE_BYTES_MAX)
  return parsePlanDocument(path, Buffer.from(bytes).toString("utf8"), "activation")
}

/** Who may open it is for the publisher to say; what is issued anew goes to whom it went before. */
function refuseWithoutAudience({ visibility, audience, reissues }: PublishBody): void {
  if (visibility !== "sealed" || (audience ?? []).length > 0 || reissues !== undefined) return
  throw new CliError("USAGE_INVALID", "--seal needs --audience GROUP, or --audience node:PEERID")
}

/** What only a sealed release has must not be silently without effect. */
function refuseUnsealed(options: Invocation["options"]): void {
  const given = {
    "--audience": options.audience !== undefined,
    "--hold": options.hold === true,
    "--no-gate": options.gate === false,
    "--inspector": options.inspector !== undefined,
  }
  const [flag] = Object.entries(given).find(([, isGiven]) => isGiven) ?? []
  if (flag !== undefined) throw new CliError("USAGE_INVALID", `${flag} is for releases with --seal`)
}

function sourcesOf(
  sources: readonly string[],
  { reissues, variants }: Pick<PublishBody, "reissues" | "variants">,
): Pick<PublishBody, "paths" | "image" | "variants"> {
  if (reissues !== undefined) {
    if (sources.length === 0 && variants === undefined) return {}
    throw new CliError("USAGE_INVALID", "--reissue reads no files; leave the paths out")
  }
  const images = sources.filter((source) => source.startsWith(IMAGE_PREFIX))
  if (images.length === 0 && (sources.length > 0 || variants !== undefined)) {
    return { paths: sources.map((source) => resolve(source)), ...(variants && { variants }) }
  }
  if (images.length === 1 && sources.length === 1 && variants === undefined) {
    return { image: images[0]!.slice(IMAGE_PREFIX.length) }
  }
  const message = "name files and folders, or one image as oci:REF, and not both"
  throw new CliError("USAGE_INVALID", message)
}

/** `LABELS:PATH` each; those with the same labels are one variant. No label has a colon in it. */
function variantsOf(option: unknown): PublishBody["variants"] {
  if (option === undefined) return undefined
  const variants = new Map<string, { slots: Readonly<Record<string, string>>; paths: string[] }>()
  for (const text of listOf(option)) {
    const at = text.indexOf(":")
    const path = text.slice(at + 1)
    if (at < 0 || path === "") {
      const message = `--variant is "${text.slice(0, 80)}"; allowed: KEY=VALUE,…:PATH`
      throw new CliError("USAGE_INVALID", message)
    }
    const labels = text.slice(0, at).split(",").filter(Boolean).toSorted()
    const variant = variants.get(labels.join()) ?? {
      slots: labelsOf(labels, "--variant"),
      paths: [],
    }
    variant.paths.push(resolve(path))
    variants.set(labels.join(), variant)
  }
  return [...variants.values()]
}

type Published = Omit<Extract<PublishLine, { readonly type: "result" }>, "type">

function remarksOf(body: PublishBody, published: Published): readonly string[] {
  const { files, sizeBytes, reusedFiles, parties, audience, gate, isPostQuantum } = published
  const reused = reusedFiles === 0 ? "" : `, ${reusedFiles} as in the release before`
  const lines = [
    `${files} files, ${humanSize(sizeBytes)}${reused}; ${parties.join(", ")} must approve`,
  ]
  if (body.activation !== undefined)
    lines.push("nodes make it run as it says itself; no plan says otherwise")
  if (body.visibility !== "sealed") return lines
  lines.push(`sealed for ${audience.slice(0, 8).join(", ")}${audience.length > 8 ? " …" : ""}`)
  if (!isPostQuantum) lines.push("NOT POST-QUANTUM: a device's recipient is a classical one")
  if (gate === "none")
    lines.push("NO GATE: revoking a node later does not keep it from opening this")
  if (gate === "hold") lines.push("held: nobody opens it before a rollout releases it")
  if ((body.inspectors ?? []).length > 0)
    lines.push(`${body.inspectors?.length} INSPECTORS may look inside`)
  return lines
}
