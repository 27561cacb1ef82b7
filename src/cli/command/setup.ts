/**
 * `sealift setup CLIENT`: point a client at this node, idempotently and reversibly.
 * @module
 */
import { homedir } from "node:os"
import { isAbsolute, join, resolve } from "node:path"
import { getuid } from "node:process"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { collect } from "../../cli/option.ts"
import type { SetupPlace, SetupPlan } from "../../cli/setup/client.ts"
import type { ChangeOutcome } from "../../cli/setup/file-change.ts"
import { isRepository, parseRegistryHost } from "../../core/reference.ts"
import { parseHttpAddress } from "../../daemon/config-value.ts"
import { readNodeFile } from "../../daemon/node-file.ts"

const DEFAULT_HTTP = "http://127.0.0.1:7070"
/** Registries that podman and CRI-O get a mirror for when none is named. */
const REGISTRIES: readonly string[] = [
  "docker.io",
  "quay.io",
  "ghcr.io",
  "gcr.io",
  "registry.k8s.io",
  "mcr.microsoft.com",
  "public.ecr.aws",
]

type Planner = (place: SetupPlace) => Promise<SetupPlan>
const PLANNERS: Readonly<Record<string, () => Promise<Planner>>> = {
  containerd: async () => (await import("../../cli/setup/containerd.ts")).planContainerd,
  docker: async () => (await import("../../cli/setup/docker.ts")).planDocker,
  podman: async () => (await import("../../cli/setup/podman.ts")).planPodman,
  crio: async () => (await import("../../cli/setup/podman.ts")).planCrio,
  huggingface: async () => (await import("../../cli/setup/huggingface.ts")).planHuggingface,
}
const CLIENTS = Object.keys(PLANNERS).join("|")

export const setupCommand: CommandSpec = {
  examples: [
    "sealift setup containerd",
    "sealift setup podman --registry quay.io --registry registry.example",
    "sealift setup docker --print",
    "sealift setup docker --undo",
  ],
  define: (command) =>
    command
      .option("--undo", "restore what was there before")
      .option("--print", "print what would be written, write nothing")
      .option("--http <host:port>", "front door of the node (default: the running node's)")
      .option("--registry <name>", "registry to mirror (podman, crio); repeatable", collect)
      .option("--root <dir>", "write below this directory instead of /"),
  work: setUp,
}

async function setUp(invocation: Invocation): Promise<void> {
  const { args, options, out } = invocation
  const client = args[0]!
  const planner = Object.hasOwn(PLANNERS, client) ? PLANNERS[client] : undefined
  if (planner === undefined) {
    throw new CliError("USAGE_INVALID", `unknown client "${client}"; allowed: ${CLIENTS}`)
  }
  if (options.undo === true && options.print === true) {
    throw new CliError("USAGE_INVALID", "--undo and --print exclude each other")
  }
  const place = await placeOf(invocation)
  const plan = await (await planner())(place)
  if (options.print === true) return await printPlan(invocation, plan)
  if (client === "huggingface" && options.undo !== true) {
    await (await import("../../cli/setup/huggingface.ts")).checkHub(place)
  }
  const { applyChange, undoChange } = await import("../../cli/setup/file-change.ts")
  const files: { path: string; outcome: ChangeOutcome }[] = []
  for (const change of plan.changes) {
    const act = options.undo === true ? undoChange : applyChange
    files.push({ path: change.path, outcome: await act(change) })
  }
  const notes = options.undo === true ? [] : plan.notes
  out.result({ client, http: place.http, files, notes }, () =>
    files.map(({ path, outcome }) => `${outcome}: ${path}`).join("\n"),
  )
  for (const note of notes) out.note(note)
}

async function printPlan({ out, args }: Invocation, plan: SetupPlan): Promise<void> {
  const { readText } = await import("../../cli/setup/file-change.ts")
  const files: { path: string; content: string }[] = []
  for (const { path, content } of plan.changes) {
    files.push({ path, content: content(await readText(path)) })
  }
  out.answer(
    { client: args[0], files, notes: plan.notes },
    files.map(({ path, content }) => `# ${path}\n${content}`).join("\n"),
  )
  for (const note of plan.notes) out.note(note)
}

async function placeOf({ options, data, host }: Invocation): Promise<SetupPlace> {
  const root = typeof options.root === "string" ? resolve(options.root) : undefined
  const own = host.env.XDG_CONFIG_HOME ?? ""
  const userConfig = isAbsolute(own) ? own : join(homedir(), ".config")
  const isRoot = getuid?.() === 0 || root !== undefined
  return {
    http: await httpOf(options.http, data),
    at: (path) => (root === undefined ? path : join(root, path)),
    data,
    userConfig: isRoot ? undefined : userConfig,
    registries: registriesOf(options.registry),
  }
}

async function httpOf(given: unknown, data: string): Promise<string> {
  if (given === undefined) return (await readNodeFile(data))?.http ?? DEFAULT_HTTP
  if (parseHttpAddress(String(given)) !== undefined) return `http://${String(given)}`
  throw new CliError("USAGE_INVALID", `--http is "${given}"; allowed: HOST:PORT`)
}

function registriesOf(given: unknown): readonly string[] {
  if (!Array.isArray(given)) return REGISTRIES
  for (const name of given.map(String)) {
    // The name becomes a part of an image path, which allows no port (docs: give it a key).
    if (parseRegistryHost(name) !== undefined && isRepository(name)) continue
    throw new CliError("USAGE_INVALID", `--registry is "${name}"; allowed: a name such as quay.io`)
  }
  return given.map(String)
}
