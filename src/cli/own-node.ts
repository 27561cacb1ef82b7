/**
 * A node that one command runs in its own process, for what must be done before the first start.
 * @module
 */
import { silentLogger } from "../core/log.ts"
import { setEngineFlags } from "../daemon/engine-flags.ts"
import type { RunningNode } from "../daemon/node.ts"
import type { Invocation } from "./invocation.ts"

/** Nobody is told of these addresses: free ports, so that it is in no other node's way. */
const PLACES = { http: "127.0.0.1:0", p2p: ["/ip4/127.0.0.1/tcp/0"], mdns: false }

/** Starts a node on the data directory of a command; stop it. @throws as `startNode` */
export async function startOwnNode({ data, host }: Invocation): Promise<RunningNode> {
  setEngineFlags()
  const { env } = host
  const { loadConfig } = await import("../daemon/config.ts")
  const loaded = await loadConfig({ flags: { data, ...PLACES }, env })
  const { createLog } = await import("../daemon/log.ts")
  const { startNode } = await import("../daemon/node.ts")
  const isDebug = env.SEALIFT_DEBUG === "1"
  const log = isDebug ? createLog(host.stderr, { ...loaded.config.log, isDebug }) : silentLogger
  return await startNode(loaded, { log, env })
}
