/**
 * Debian's `docker-registry` with a configuration of its own, and the counting proxy in front of it.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type CountingProxy, startCountingProxy } from "./counting-proxy.ts"
import { freePort, type Program, start } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** A real registry. */
export interface DockerRegistry {
  /** `127.0.0.1:port` of the registry itself, past the counter. */
  readonly directHost: string
  /** `127.0.0.1:port` of the counter: what nodes and clients are told. */
  readonly host: string
  readonly proxy: CountingProxy
  /** Kills it and its proxy for good: connections are refused from now on. */
  kill(): Promise<void>
}

/** Starts a registry that keeps its content in the workspace and is stopped with it. */
export async function startDockerRegistry(
  workspace: Workspace,
  name = "registry",
): Promise<DockerRegistry> {
  const program = await startServer(workspace, name)
  const proxy = await startCountingProxy(program.host)
  const kill = async () => {
    await proxy.close()
    await program.program.stop()
  }
  workspace.defer(kill)
  return { directHost: program.host, host: proxy.host, proxy, kill }
}

/** The bare registry, on the loopback or on an address of a network namespace. */
export async function startServer(
  workspace: Workspace,
  name: string,
  options: {
    readonly address?: string
    readonly namespace?: string
    /** Base URL of the registry for which it is a pull-through cache. */
    readonly proxyOf?: string
  } = {},
): Promise<{ readonly host: string; readonly program: Program }> {
  const folder = await workspace.folder(name)
  const host = `${options.address ?? "127.0.0.1"}:${await freePort()}`
  const config = join(folder, "config.yml")
  await writeFile(config, describeConfig(join(folder, "content"), host, options.proxyOf))
  const program = await start(["docker-registry", "serve", config], {
    namespace: options.namespace,
    isReady: ({ output }) => output().includes("listening on"),
  })
  workspace.defer(() => program.stop())
  return { host, program }
}

function describeConfig(folder: string, host: string, proxyOf: string | undefined): string {
  const config = {
    version: 0.1,
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
    http: { addr: host },
    ...(proxyOf === undefined ? {} : { proxy: { remoteurl: proxyOf } }),
  }
  // YAML is a superset of JSON.
  return JSON.stringify(config)
}
