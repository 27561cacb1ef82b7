/**
 * `sealift node`: run a node in the foreground.
 * @module
 */
import process from "node:process"
import type { NodeDescription } from "../../api/api.ts"
import { addNodeOptions, flagsOf } from "../../cli/command/node-options.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { setEngineFlags } from "../../daemon/engine-flags.ts"

/** A node that has not stopped by then is left to die. */
const STOP_MS_MAX = 9_500
const EXIT_INTERRUPTED = 130
const EXIT_FORCED = 1

export const nodeCommand: CommandSpec = {
  examples: [
    "sealift node",
    "sealift node --lan --peer /ip4/192.0.2.7/tcp/7071/p2p/12D3KooW…",
    "sealift node --data /srv/sealift --http 127.0.0.1:0 --quota 100GiB",
  ],
  define: addNodeOptions,
  work: runNode,
}

async function runNode(invocation: Invocation): Promise<void> {
  const { host, options, out } = invocation
  setEngineFlags()
  const stopping = Promise.withResolvers<"interrupted" | "terminated">()
  let signalCount = 0
  const onTerminate = () => {
    // The second one waits for nothing, as the second Ctrl-C does not.
    if (++signalCount > 1) process.exit(EXIT_FORCED)
    stopping.resolve("terminated")
  }
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, onTerminate)
  host.signal.addEventListener("abort", () => stopping.resolve("interrupted"), { once: true })

  // First the configuration: its errors need not wait for the rooms to load.
  const { loadConfig } = await import("../../daemon/config.ts")
  const loaded = await loadConfig({ flags: flagsOf(options), env: host.env })
  const { createLog } = await import("../../daemon/log.ts")
  const { startNode } = await import("../../daemon/node.ts")
  const isDebug = host.env.SEALIFT_DEBUG === "1"
  const log = createLog(host.stderr, { ...loaded.config.log, isDebug })
  const node = await startNode(loaded, { log, env: host.env })
  out.result(node.description, () => describe(node.description, invocation))

  const reason = await stopping.promise
  await bounded(node.stop())
  host.exitCode = reason === "interrupted" ? EXIT_INTERRUPTED : 0
}

async function bounded(stop: Promise<void>): Promise<void> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    timeout.reject(new CliError("NODE_GONE", `the node did not stop within ${STOP_MS_MAX} ms`))
  }, STOP_MS_MAX)
  try {
    await Promise.race([stop, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The addresses, the dashboard, and the three commands a newcomer needs next. */
function describe(node: NodeDescription, { host, options, data }: Invocation): string {
  const isFromNpm = host.env.npm_lifecycle_event === "start"
  const command = isFromNpm ? "npx --no-install sealift" : "sealift"
  const suffix = options.data === undefined ? "" : ` --data ${data}`
  return [
    `sealift ${node.version} is ready`,
    columns([
      ["  front door", node.http],
      ["  dashboard", `${node.http}/ui/`],
      ...node.p2p.map((address) => ["  address", address]),
      ["  data", data],
    ]),
    "next:",
    columns([
      [`  ${command} get quay.io/podman/hello:latest -o ./hello${suffix}`, "fetch an image"],
      [`  ${command} setup containerd${suffix}`, "let a container engine pull through this node"],
      [`  ${command} status${suffix}`, "see what this node holds and whom it knows"],
    ]),
  ].join("\n")
}
