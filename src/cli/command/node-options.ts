/**
 * The flags of `sealift node`, and which key of the configuration each sets.
 * @module
 */
import type { Command } from "commander"
import { collect } from "../../cli/option.ts"

/** Adds the flags. */
export function addNodeOptions(command: Command): Command {
  return command
    .option("--config <file>", "configuration file (default: config.yaml in the data directory)")
    .option("--http <host:port>", "address of the front door (default: 127.0.0.1:7070)")
    .option("--p2p <multiaddr>", "address for other nodes; repeatable", collect)
    .option("--lan", "listen on all interfaces and find peers by mDNS")
    .option("--peer <multiaddr>", "a peer to keep connected to; repeatable", collect)
    .option("--mdns", "find peers on the LAN by mDNS")
    .option("--no-mdns", "do not use mDNS, not even with --lan")
    .option(
      "--via <multiaddr>",
      "a relay through which others reach this node; repeatable",
      collect,
    )
    .option("--relay", "relay for the peers of --relay-for, so that they reach each other")
    .option("--relay-for <peer id>", "a peer that this node relays for; repeatable", collect)
    .option("--relay-rate <size>", "most bytes a second through relays (default: 2MiB)")
    .option(
      "--fleet-mirror <url>",
      "web server with the fleet's files (fleet export --folder); repeatable",
      collect,
    )
    .option("--quota <size>", "most that the store may use, such as 50GiB")
    .option("--audit-quota <size>", "most that the node's log may use (default: 1GiB)")
    .option("--opened-group <group>", "group that may read what is opened, by name or number")
    .option("--up-limit <rate>", "most that goes to other nodes, such as 10MiB/s")
    .option("--down-limit <rate>", "most that comes from other nodes and from registries")
    .option("--metered", "fetch from the LAN only: the way out is paid by the byte")
    .option("--zone <name>", "label of the place where this node stands")
    .option("--default-upstream <registry>", "registry of names without one, such as docker.io")
    .option("--upstreams-only", "contact no registry but those of the file")
    .option("--trust-lan-tags", "believe tags of peers found by mDNS")
    .option(
      "--host <name>",
      "another name by which clients reach the front door; repeatable",
      collect,
    )
    .option(
      "--public-port <port>",
      "port for BitTorrent clients, open only while something is public (default: 7072)",
    )
    .option("--tracker <url>", "tracker of what is public: http, udp or wss; repeatable", collect)
    .option("--dht", "find and be found in the mainline DHT, for what is public only")
    .option(
      "--rollout-allow <word>",
      "what plans may do here: auto, all or nothing (default: auto)",
    )
    .option("--stage-only", "bring what plans name; open and activate nothing by them")
    .option("--log-level <level>", "debug, info, warn, error or silent")
    .option("--log-format <format>", "auto, json or pretty")
}

/** Options whose name is not the key they set. */
const KEYS: Readonly<Record<string, string>> = {
  peer: "peers",
  host: "hosts",
  via: "relays",
  fleetMirror: "fleetMirrors",
  publicPort: "public.port",
  tracker: "public.trackers",
  dht: "public.dht",
  upLimit: "limits.up",
  downLimit: "limits.down",
  rolloutAllow: "rollout.allow",
  stageOnly: "rollout.stageOnly",
  logLevel: "log.level",
  logFormat: "log.format",
}
const NO_SETTINGS: readonly string[] = ["json", "quiet"]

/** Gives what was given, by key of the configuration. */
export function flagsOf(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = Object.entries(options).filter(([name]) => !NO_SETTINGS.includes(name))
  return Object.fromEntries(given.map(([name, value]) => [KEYS[name] ?? name, value]))
}
