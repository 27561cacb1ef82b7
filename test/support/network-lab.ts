/**
 * A network on one machine: hosts in namespaces of their own, joined by a bridge, each with a rate
 * limit up and down (TBF). Needs root and iproute2.
 * @module
 */
import { run } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** One host. */
export interface LabHost {
  readonly namespace: string
  /** Its IPv4 address on the bridge. */
  readonly address: string
}

const QUEUE_LATENCY = "50ms"
const BURST = "64kb"
const HOSTS_MAX = 200
const NETWORK = "10.77.0.0/16"

/** The programs that it needs; see `missingTools`. */
export const LAB_TOOLS: readonly string[] = ["root", "ip", "tc"]

// The process id keeps labs of two runs apart.
const prefix = `sl${process.pid}`

/** The namespace of the bridge that joins the hosts. */
export const HUB: string = `${prefix}sw`

/**
 * Builds the network; the workspace takes it down.
 * @param options.rateMbit - of each host, each way; hosts named in `unlimited` have none
 */
export async function openLab(
  workspace: Workspace,
  options: {
    readonly hostsCount: number
    readonly rateMbit: number
    readonly unlimited?: readonly number[]
  },
): Promise<readonly LabHost[]> {
  if (options.hostsCount > HOSTS_MAX) throw new Error(`at most ${HOSTS_MAX} hosts`)
  const hub = HUB
  await run(["ip", "netns", "add", hub])
  workspace.defer(() => run(["ip", "netns", "del", hub]))
  await batch(hub, ["link add br0 type bridge", "link set br0 up", "link set lo up"])
  const hosts: LabHost[] = []
  for (let index = 0; index < options.hostsCount; index++) {
    const isLimited = options.unlimited?.includes(index) !== true
    const rateMbit = isLimited ? options.rateMbit : undefined
    hosts.push(await addHost(workspace, { hub, index, rateMbit }))
  }
  await introduce(hosts)
  return hosts
}

/**
 * Tells each host the link address of each other. All namespaces share one table of neighbours that
 * were found by asking, and 32 hosts that all talk to each other overflow it.
 */
async function introduce(hosts: readonly LabHost[]): Promise<void> {
  for (const { namespace } of hosts) {
    const others = [...hosts.entries()].filter(([, host]) => host.namespace !== namespace)
    const lines = others.map(([index, { address }]) => {
      return `neigh add ${address} lladdr ${linkAddress(index)} dev eth0 nud permanent`
    })
    await batch(namespace, lines)
  }
}

/** A locally administered MAC address. */
function linkAddress(index: number): string {
  return `02:00:0a:4d:00:${(index + 1).toString(16).padStart(2, "0")}`
}

async function addHost(
  workspace: Workspace,
  options: {
    readonly hub: string
    readonly index: number
    readonly rateMbit: number | undefined
  },
): Promise<LabHost> {
  const { hub, index, rateMbit } = options
  const namespace = `${prefix}h${index}`
  const address = `10.77.0.${index + 1}`
  await run(["ip", "netns", "add", namespace])
  workspace.defer(() => run(["ip", "netns", "del", namespace]))
  const place = ["address", linkAddress(index), "netns", namespace]
  const link = ["link", "add", "eth0", ...place, "type", "veth"]
  await run(["ip", ...link, "peer", "name", `p${index}`, "netns", hub])
  await batch(namespace, [
    `addr add ${address}/16 dev eth0`,
    "link set eth0 up",
    "link set lo up",
    // mDNS needs a way out for multicast.
    "route add default dev eth0",
    // Linux's own default, whatever this machine's is: BBR takes a short link's first burst for its rate.
    `route change ${NETWORK} dev eth0 proto kernel scope link src ${address} congctl cubic`,
  ])
  await batch(hub, [`link set p${index} master br0 up`])
  if (rateMbit !== undefined) {
    await limitRate(namespace, "eth0", rateMbit)
    await limitRate(hub, `p${index}`, rateMbit)
  }
  return { namespace, address }
}

const batch = (namespace: string, lines: readonly string[]) =>
  run(["ip", "-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` })

const limitRate = (namespace: string, device: string, rateMbit: number) =>
  run([
    ...["tc", "-n", namespace, "qdisc", "add", "dev", device, "root", "tbf"],
    ...["rate", `${rateMbit}mbit`, "burst", BURST, "latency", QUEUE_LATENCY],
  ])
