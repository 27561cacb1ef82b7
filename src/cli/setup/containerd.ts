/**
 * containerd, nerdctl and dockerd with the containerd image store: `certs.d/_default/hosts.toml`
 * (containerd, docs/hosts.md).
 * @module
 */
import { readdir } from "node:fs/promises"
import { mark, type SetupPlace, type SetupPlan } from "../../cli/setup/client.ts"
import { readText } from "../../cli/setup/file-change.ts"

const CERTS = "/etc/containerd/certs.d"
const CONFIG = "/etc/containerd/config.toml"

/** Plans the change. */
export async function planContainerd(place: SetupPlace): Promise<SetupPlan> {
  const path = place.at(`${CERTS}/_default/hosts.toml`)
  return {
    changes: [{ path, content: (before) => hostsToml(place.http, before) }],
    notes: [...(await configPathNote(place)), ...(await ownHostsNote(place))],
  }
}

/** Puts the node before the hosts that were there: they stay as what is tried next. */
function hostsToml(http: string, before = ""): string {
  const table = [
    mark("containerd"),
    `[host."${http}"]`,
    '  capabilities = ["pull", "resolve"]',
    "",
  ].join("\n")
  const lines = before.split("\n")
  // Keys of the file itself (server = …) must stand before the first table.
  const at = lines.findIndex((line) => line.trimStart().startsWith("["))
  if (before === "" || at < 0) return `${before}${table}`
  return [...lines.slice(0, at), table, ...lines.slice(at)].join("\n")
}

async function configPathNote(place: SetupPlace): Promise<string[]> {
  const config = await readText(place.at(CONFIG)).catch(() => undefined)
  if (config !== undefined && /^\s*config_path\s*=\s*["'][^"']*certs\.d/m.test(config)) return []
  return [
    `For Kubernetes (CRI), ${CONFIG} must name the directory: config_path = "${CERTS}" in [plugins."io.containerd.grpc.v1.cri".registry] (containerd 1.x) or [plugins."io.containerd.cri.v1.images".registry] (2.x); then restart containerd. ctr takes --hosts-dir ${CERTS}, nerdctl reads it by itself.`,
  ]
}

/** A registry's own directory wins over `_default`, so the node would not be asked for it. */
async function ownHostsNote(place: SetupPlace): Promise<string[]> {
  const names = await readdir(place.at(CERTS)).catch(() => [] as string[])
  const own = names.filter((name) => name !== "_default")
  if (own.length === 0) return []
  return [`These registries have hosts of their own, which win: ${own.join(", ")}.`]
}
