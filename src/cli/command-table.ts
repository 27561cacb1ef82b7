/**
 * All commands: name, arguments and summary of each, and the file that knows the rest. Only the one
 * that is used is loaded, so that the command line answers at once.
 * @module
 */
import type { CommandSpec } from "./invocation.ts"

/** A command as the overview shows it. */
export interface CommandEntry {
  /** Group that holds it (`store`), if any. */
  readonly group?: string
  /** Name and arguments in commander's notation, `get <ref>`. */
  readonly usage: string
  readonly summary: string
  readonly load: () => Promise<CommandSpec>
}

/** Groups and their summaries. */
export const GROUPS: Readonly<Record<string, string>> = {
  store: "check the store",
  party: "keys of those whose approval a release needs",
}

/** In the order in which the overview shows them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    usage: "node",
    summary: "run a node in the foreground (what npm start runs)",
    load: async () => (await import("./command/node.ts")).nodeCommand,
  },
  {
    usage: "status",
    summary: "show what this node is, holds and does",
    load: async () => (await import("./command/status.ts")).statusCommand,
  },
  {
    usage: "peers",
    summary: "list connected peers and bans",
    load: async () => (await import("./command/peers.ts")).peersCommand,
  },
  {
    usage: "id",
    summary: "print this node's peer id and the addresses for another node's --peer",
    load: async () => (await import("./command/id.ts")).idCommand,
  },
  {
    usage: "config",
    summary: "print the effective configuration of the running node, or of one started like this",
    load: async () => (await import("./command/config.ts")).configCommand,
  },
  {
    usage: "get <ref>",
    summary: "fetch an image, or a public torrent by magnet link or file; write it with -o",
    load: async () => (await import("./command/get.ts")).getCommand,
  },
  {
    usage: "stage <ref...>",
    summary: "bring images to this node and verify every byte; start nothing",
    load: async () => (await import("./command/stage.ts")).stageCommand,
  },
  {
    usage: "ls",
    summary: "list the images of this node; its blobs, pins or public torrents instead",
    load: async () => (await import("./command/ls.ts")).lsCommand,
  },
  {
    usage: "pin <ref>",
    summary: "keep an image here until it is unpinned; fetches what is missing",
    load: async () => (await import("./command/pin.ts")).pinCommand,
  },
  {
    usage: "unpin <name>",
    summary: "let the sweep take an image again",
    load: async () => (await import("./command/pin.ts")).unpinCommand,
  },
  {
    usage: "rm <ref...>",
    summary: "remove images, or blobs by digest; never what is pinned or being read",
    load: async () => (await import("./command/rm.ts")).rmCommand,
  },
  {
    usage: "gc",
    summary: "remove the least recently used blobs until the quota, or --to, holds",
    load: async () => (await import("./command/gc.ts")).gcCommand,
  },
  {
    group: "store",
    usage: "verify",
    summary: "hash every blob of the store; with --repair drop what is wrong",
    load: async () => (await import("./command/store-verify.ts")).storeVerifyCommand,
  },
  {
    usage: "limits",
    summary: "show the limits of the traffic, or set them while the node runs",
    load: async () => (await import("./command/limits.ts")).limitsCommand,
  },
  {
    usage: "torrent <ref>",
    summary: "print the magnet links of an image or a blob, write .torrent files, make it public",
    load: async () => (await import("./command/torrent.ts")).torrentCommand,
  },
  {
    group: "party",
    usage: "init <name>",
    summary: "make the keys of a party's device, anywhere; writes NAME.key and NAME.key.pub",
    load: async () => (await import("./command/party.ts")).partyInitCommand,
  },
  {
    group: "party",
    usage: "show <file>",
    summary: "show whose key file or public file this is, and whether it is sound",
    load: async () => (await import("./command/party.ts")).partyShowCommand,
  },
  {
    usage: "setup <client>",
    summary: "write a client's own configuration: containerd, docker, podman, crio or huggingface",
    load: async () => (await import("./command/setup.ts")).setupCommand,
  },
  {
    usage: "bench [words...]",
    summary: "measure: run a scenario of the benchmark suite, or list them",
    load: async () => (await import("./command/bench.ts")).benchCommand,
  },
]
