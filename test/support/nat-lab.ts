/**
 * Two hosts, each behind a router of its own that translates addresses, and a third in the open between
 * them. Needs root, iproute2 and iptables.
 * @module
 */
import type { LabHost } from "./network-lab.ts"
import { run } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** The programs that it needs; see `missingTools`. */
export const NAT_LAB_TOOLS: readonly string[] = ["root", "ip", "iptables", "sysctl"]

/** What a router does beyond translating. */
export interface RouterOptions {
  /** A port of its own for each connection, so that none can be foretold. */
  readonly isRandom?: boolean
}

export interface NatLab {
  readonly relay: LabHost
  /** Both see each other only as their routers' addresses, 203.0.113.11 and 203.0.113.12. */
  readonly left: LabHost
  readonly right: LabHost
  /** From now on the routers keep the ports of those inside, for new connections. */
  calm(): Promise<void>
}

const OPEN = "203.0.113"
const RELAY = `${OPEN}.1`

/** Builds the network; the workspace takes it down. */
export async function openNatLab(
  workspace: Workspace,
  options: RouterOptions = {},
): Promise<NatLab> {
  // The process id keeps labs of two runs apart; the counter those of one run.
  const prefix = `sn${process.pid}x${nextLab++}`
  const hub = `${prefix}w`
  await addNamespace(workspace, hub)
  await batch(hub, ["link add br0 type bridge", "link set br0 up"])
  const relay = { namespace: `${prefix}r`, address: RELAY }
  await addOpenHost(workspace, hub, relay)
  const [left, right] = [11, 12].map((number) => ({ prefix, hub, number, options }))
  return {
    relay,
    left: await addHidden(workspace, left!),
    right: await addHidden(workspace, right!),
    calm: async () => {
      for (const { number } of [left!, right!]) {
        const inside = ["ip", "netns", "exec", routerOf(prefix, number)]
        const rule = ["POSTROUTING", "-o", "wan", "-j", "MASQUERADE"]
        await run([...inside, "iptables", "-w", "-t", "nat", "-I", ...rule])
      }
    },
  }
}

const routerOf = (prefix: string, number: number): string => `${prefix}n${number}`

let nextLab = 0

async function addNamespace(workspace: Workspace, namespace: string): Promise<void> {
  await run(["ip", "netns", "add", namespace])
  workspace.defer(() => run(["ip", "netns", "del", namespace]))
  await batch(namespace, ["link set lo up"])
}

/** A host, or a router, on the net that everybody sees. */
async function addOpenHost(workspace: Workspace, hub: string, host: LabHost): Promise<void> {
  const port = `p${host.address.split(".")[3]}`
  await addNamespace(workspace, host.namespace)
  const link = ["link", "add", "wan", "netns", host.namespace, "type", "veth"]
  await run(["ip", ...link, "peer", "name", port, "netns", hub])
  await batch(hub, [`link set ${port} master br0 up`])
  await batch(host.namespace, [`addr add ${host.address}/24 dev wan`, "link set wan up"])
}

async function addHidden(
  workspace: Workspace,
  place: { prefix: string; hub: string; number: number; options: RouterOptions },
): Promise<LabHost> {
  const { prefix, hub, number, options } = place
  const router = routerOf(prefix, number)
  await addOpenHost(workspace, hub, { namespace: router, address: `${OPEN}.${number}` })
  const namespace = `${prefix}h${number}`
  const net = `192.168.${number}`
  await addNamespace(workspace, namespace)
  const link = ["link", "add", "eth0", "netns", namespace, "type", "veth"]
  await run(["ip", ...link, "peer", "name", "lan", "netns", router])
  await batch(router, [`addr add ${net}.1/24 dev lan`, "link set lan up"])
  await batch(namespace, [
    `addr add ${net}.2/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${net}.1`,
  ])
  await translate(router, options)
  return { namespace, address: `${net}.2` }
}

/** From inside everything goes out; from outside comes only what was asked for. */
async function translate(router: string, options: RouterOptions): Promise<void> {
  const inside = ["ip", "netns", "exec", router]
  await run([...inside, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
  const random = options.isRandom === true ? ["--random-fully"] : []
  const known = ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"]
  const rules = [
    ["-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE", ...random],
    ["-A", "FORWARD", "-i", "wan", ...known],
    ["-A", "FORWARD", "-i", "wan", "-j", "DROP"],
    ["-A", "INPUT", "-i", "wan", ...known],
    ["-A", "INPUT", "-i", "wan", "-j", "DROP"],
  ]
  for (const rule of rules) await run([...inside, "iptables", "-w", ...rule])
}

const batch = (namespace: string, lines: readonly string[]) =>
  run(["ip", "-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` })
