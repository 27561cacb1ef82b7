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
  fleet: "the nodes that belong together: make a fleet, let nodes in, take them out",
  "fleet group": "named sets of nodes that releases are for",
  "fleet rule": "who may do what in which namespace",
  "fleet policy": "whose approval the releases of a namespace need",
  "fleet witness": "nodes that cosign the fleet's logs, and say what time it is",
  "fleet desk": "the one node that says what is newest",
  "fleet node-key": "keys of nodes by file, for those that nobody meets",
  party: "keys of those whose approval a release needs",
  release: "carry a release by file",
  rollout: "bring a release to the nodes wave by wave",
  gate: "the gate's share by hand, for a site with no contact",
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
    usage: "log",
    summary:
      "show what happened on this node, follow it, verify it, have it cosigned, prove an entry",
    load: async () => (await import("./command/log.ts")).logCommand,
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
    summary:
      "fetch an image, an open release, or a public torrent by magnet link or file; write it with -o",
    load: async () => (await import("./command/get.ts")).getCommand,
  },
  {
    usage: "stage <ref...>",
    summary: "bring images and releases to this node and verify every byte; open nothing",
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
    usage: "usage",
    summary: "show what this node gave to others and took from them, by the records in its log",
    load: async () => (await import("./command/usage.ts")).usageCommand,
  },
  {
    usage: "torrent <ref>",
    summary:
      "print the magnet links of an image, a release or a blob, write .torrent files, make it public",
    load: async () => (await import("./command/torrent.ts")).torrentCommand,
  },
  {
    group: "fleet",
    usage: "init",
    summary: "make a fleet with all keys on this node, or draft one for keys that lie elsewhere",
    load: async () => (await import("./command/fleet-init.ts")).fleetInitCommand,
  },
  {
    group: "fleet",
    usage: "show",
    summary: "show the fleet as this node knows it, and this node's fingerprint",
    load: async () => (await import("./command/fleet.ts")).fleetShowCommand,
  },
  {
    group: "fleet",
    usage: "invite",
    summary: "print a one-time token by which a new node joins",
    load: async () => (await import("./command/fleet-members.ts")).fleetInviteCommand,
  },
  {
    group: "fleet",
    usage: "join <token>",
    summary: "join a fleet by a token, whether or not a node runs here",
    load: async () => (await import("./command/fleet.ts")).fleetJoinCommand,
  },
  {
    group: "fleet",
    usage: "admit <peerid>",
    summary: "let a node in by its fingerprint, without an invite",
    load: async () => (await import("./command/fleet-members.ts")).fleetAdmitCommand,
  },
  {
    group: "fleet",
    usage: "revoke <peerid...>",
    summary: "take nodes out of the fleet",
    load: async () => (await import("./command/fleet-members.ts")).fleetRevokeCommand,
  },
  {
    group: "fleet group",
    usage: "add <group> <peerid...>",
    summary: "put nodes into a group",
    load: async () => (await import("./command/fleet-members.ts")).fleetGroupAddCommand,
  },
  {
    group: "fleet group",
    usage: "remove <group> <peerid...>",
    summary: "take nodes out of a group",
    load: async () => (await import("./command/fleet-members.ts")).fleetGroupRemoveCommand,
  },
  {
    group: "fleet rule",
    usage: "list",
    summary: "show who may do what, where",
    load: async () => (await import("./command/fleet-rule.ts")).fleetRuleListCommand,
  },
  {
    group: "fleet rule",
    usage: "add",
    summary: "allow something",
    load: async () => (await import("./command/fleet-rule.ts")).fleetRuleAddCommand,
  },
  {
    group: "fleet rule",
    usage: "remove <number>",
    summary: "take a rule out; what it alone allowed is denied",
    load: async () => (await import("./command/fleet-rule.ts")).fleetRuleRemoveCommand,
  },
  {
    group: "fleet policy",
    usage: "set <namespace>",
    summary: "say which parties must approve what is released in a namespace",
    load: async () => (await import("./command/fleet-policy.ts")).fleetPolicySetCommand,
  },
  {
    group: "fleet policy",
    usage: "show <namespace>",
    summary: "show which parties must approve",
    load: async () => (await import("./command/fleet-policy.ts")).fleetPolicyShowCommand,
  },
  {
    group: "fleet",
    usage: "renew",
    summary: "sign the fleet's files anew before they run out",
    load: async () => (await import("./command/fleet-upkeep.ts")).fleetRenewCommand,
  },
  {
    group: "fleet",
    usage: "rotate <role>",
    summary: "give a role a new key: desk, access, plan, releases.NS, targets or root",
    load: async () => (await import("./command/fleet-upkeep.ts")).fleetRotateCommand,
  },
  {
    group: "fleet",
    usage: "key <role>",
    summary: "make this node's own key for a role, and print its public half",
    load: async () => (await import("./command/fleet-draft.ts")).fleetKeyCommand,
  },
  {
    group: "fleet",
    usage: "hold <role...>",
    summary: "draft who signs for roles: several people for root, a stand-by for desk and access",
    load: async () => (await import("./command/fleet-draft.ts")).fleetHoldCommand,
  },
  {
    group: "fleet",
    usage: "sign <draft>",
    summary: "show what a draft changes, and sign it; no node is needed",
    load: async () => (await import("./command/fleet-draft.ts")).fleetSignCommand,
  },
  {
    group: "fleet",
    usage: "submit <draft...>",
    summary: "publish a draft that enough keys have signed",
    load: async () => (await import("./command/fleet-draft.ts")).fleetSubmitCommand,
  },
  {
    group: "fleet witness",
    usage: "set",
    summary: "name the nodes that are the fleet's witnesses",
    load: async () => (await import("./command/fleet-witness.ts")).fleetWitnessSetCommand,
  },
  {
    group: "fleet witness",
    usage: "show",
    summary: "show the fleet's witnesses",
    load: async () => (await import("./command/fleet-witness.ts")).fleetWitnessShowCommand,
  },
  {
    group: "fleet witness",
    usage: "key",
    summary: "print the key by which this node cosigns, if it is named a witness",
    load: async () => (await import("./command/fleet-witness.ts")).fleetWitnessKeyCommand,
  },
  {
    group: "fleet desk",
    usage: "take",
    summary: "make this node the desk",
    load: async () => (await import("./command/fleet-upkeep.ts")).fleetDeskTakeCommand,
  },
  {
    group: "fleet",
    usage: "export",
    summary: "write the fleet's files into one",
    load: async () => (await import("./command/fleet-upkeep.ts")).fleetExportCommand,
  },
  {
    group: "fleet",
    usage: "import <file>",
    summary: "take in what is newer of the fleet's files",
    load: async () => (await import("./command/fleet-upkeep.ts")).fleetImportCommand,
  },
  {
    group: "fleet node-key",
    usage: "export",
    summary: "write this node's key into a file, for whoever seals to it without contact",
    load: async () => (await import("./command/fleet-node-key.ts")).nodeKeyExportCommand,
  },
  {
    group: "fleet node-key",
    usage: "import <file>",
    summary: "take in keys of nodes that this fleet has no contact with",
    load: async () => (await import("./command/fleet-node-key.ts")).nodeKeyImportCommand,
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
    usage: "publish <name> [path...]",
    summary: "make a release of files, of folders, or of an image (oci:REF)",
    load: async () => (await import("./command/publish.ts")).publishCommand,
  },
  {
    usage: "inspect [ref]",
    summary: "show what a party would sign",
    load: async () => (await import("./command/inspect.ts")).inspectCommand,
  },
  {
    usage: "approve [ref]",
    summary: "sign a release as a party, through a node or apart by files",
    load: async () => (await import("./command/approve.ts")).approveCommand,
  },
  {
    usage: "releases [ref]",
    summary: "list the releases that this node knows, and how far each is",
    load: async () => (await import("./command/releases.ts")).releasesCommand,
  },
  {
    group: "release",
    usage: "export <ref>",
    summary: "write a release into a file, with all that an offline device needs",
    load: async () => (await import("./command/release-files.ts")).releaseExportCommand,
  },
  {
    group: "release",
    usage: "import <file>",
    summary: "take in a release by file",
    load: async () => (await import("./command/release-files.ts")).releaseImportCommand,
  },
  {
    usage: "open <ref>",
    summary: "decrypt what is staged and approved by every party",
    load: async () => (await import("./command/open.ts")).openCommand,
  },
  {
    usage: "verify <ref>",
    summary:
      "say who signed a release, or named an image, which rule was met, whether every byte is right",
    load: async () => (await import("./command/verify.ts")).verifyCommand,
  },
  {
    usage: "withdraw <ref>",
    summary: "take a release back: no honest node opens it any more",
    load: async () => (await import("./command/withdraw.ts")).withdrawCommand,
  },
  {
    group: "gate",
    usage: "grant <ref>",
    summary: "write the gate's share for one node into a file",
    load: async () => (await import("./command/gate.ts")).gateGrantCommand,
  },
  {
    group: "gate",
    usage: "key",
    summary: "write the public file of this node's device of the gate, which is made, or brought",
    load: async () => (await import("./command/gate.ts")).gateKeyCommand,
  },
  {
    group: "gate",
    usage: "import <file>",
    summary: "take in the gate's share by file",
    load: async () => (await import("./command/gate.ts")).gateImportCommand,
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
  {
    group: "rollout",
    usage: "create [plan]",
    summary: "make a plan from a YAML file or by flags; --dry-run shows who would get what when",
    load: async () => (await import("./command/rollout.ts")).rolloutCreateCommand,
  },
  {
    group: "rollout",
    usage: "sign <draft...>",
    summary: "show what a plan would do, and sign it; no node is needed",
    load: async () => (await import("./command/rollout-draft.ts")).rolloutSignCommand,
  },
  {
    group: "rollout",
    usage: "submit <draft...>",
    summary: "publish a plan that enough keys have signed",
    load: async () => (await import("./command/rollout-draft.ts")).rolloutSubmitCommand,
  },
  {
    group: "rollout",
    usage: "start <name>",
    summary: "freeze the waves and release the first one",
    load: async () => (await import("./command/rollout.ts")).rolloutStartCommand,
  },
  {
    group: "rollout",
    usage: "status [name]",
    summary: "show how far rollouts are; --follow draws a live table",
    load: async () => (await import("./command/rollout-status.ts")).rolloutStatusCommand,
  },
  {
    group: "rollout",
    usage: "pause <name>",
    summary: "let nothing new begin",
    load: async () => (await import("./command/rollout.ts")).rolloutPauseCommand,
  },
  {
    group: "rollout",
    usage: "resume <name>",
    summary: "go on; nodes that failed try once more",
    load: async () => (await import("./command/rollout.ts")).rolloutResumeCommand,
  },
  {
    group: "rollout",
    usage: "abort <name>",
    summary: "end it; nodes stay as they are",
    load: async () => (await import("./command/rollout.ts")).rolloutAbortCommand,
  },
  {
    group: "rollout",
    usage: "rollback <name>",
    summary: "end it; nodes go back to what they ran before",
    load: async () => (await import("./command/rollout.ts")).rolloutRollbackCommand,
  },
]
