/**
 * How Kraken's three programs are set: as the configurations that come with v0.1.4 say, but for what
 * stands here with a reason. Files are JSON, which YAML includes.
 * @module
 */
import { join, relative } from "node:path"

/** Hosts have a network of their own each, so ports are the same on all. */
export const KRAKEN_PORTS = {
  redis: 6379,
  tracker: 15003,
  origin: 15002,
  originPeer: 15001,
  agent: 16002,
  agentPeer: 16001,
  agentRegistry: 16000,
} as const

/**
 * A namespace that Kraken knows by itself: an origin keeps what is uploaded to it, and asks no storage
 * behind it.
 */
export const KRAKEN_NAMESPACE = "__noop__"

/** Its pieces, of blobs of any size; its "MB" are MiB. */
export const KRAKEN_PIECES = "4MB"

/** Where Kraken always makes a folder for nginx's files, whatever it is told. */
export const KRAKEN_NGINX_FOLDER = "/tmp/nginx"

/** The name of an empty file that has to lie in the folder of every program. */
export const EMPTY_TEMPLATE = "nginx.template"

type Settings = Readonly<Record<string, unknown>>

/** The settings of the program on each fetching host; all its files lie in `folder`. */
export function agentSettings(folder: string, { tracker }: { tracker: string }): Settings {
  return {
    ...shared(folder),
    tracker: { hosts: { static: [`${tracker}:${KRAKEN_PORTS.tracker}`] } },
    // It must be named, and is asked for tags alone. Nothing listens there.
    build_index: { hosts: { static: [`${tracker}:1`] } },
    peer_id_factory: "addr_hash",
    scheduler: {
      log: { timeEncoder: "iso8601" },
      torrentlog: {
        service_name: "kraken-agent",
        path: join(folder, "torrent.log"),
        encoding: "json",
        timeEncoder: "epoch",
      },
      dispatch: { piece_request_policy: "rarest_first" },
      conn: { bandwidth: { enable: true } },
    },
    store: {
      download_dir: join(folder, "download"),
      cache_dir: join(folder, "cache"),
      download_cleanup: { ttl: "24h" },
      cache_cleanup: { ttl: "24h" },
    },
    // The door for container clients, which are not measured.
    registry: {
      docker: {
        version: "0.1",
        log: { level: "error" },
        http: { net: "tcp", addr: `127.0.0.1:${KRAKEN_PORTS.agentRegistry}` },
      },
    },
  }
}

/** The settings of the one tracker, which keeps its peers in the Redis beside it. */
export function trackerSettings(folder: string, address: string): Settings {
  return {
    ...shared(folder),
    peerstore: { redis: { addr: `127.0.0.1:${KRAKEN_PORTS.redis}` } },
    origin: { hosts: { static: [`${address}:${KRAKEN_PORTS.origin}`] } },
    peerhandoutpolicy: { priority: "completeness" },
    trackerserver: { listener: listenAt(address, KRAKEN_PORTS.tracker) },
  }
}

/**
 * The settings of the one origin, which seeds.
 * @param pieceLength - such as {@link KRAKEN_PIECES}
 */
export function originSettings(folder: string, address: string, pieceLength: string): Settings {
  return {
    ...shared(folder),
    cluster: { static: [`${address}:${KRAKEN_PORTS.origin}`] },
    metainfogen: { piece_lengths: { 0: pieceLength } },
    peer_id_factory: "addr_hash",
    scheduler: { log: { timeEncoder: "iso8601" }, torrentlog: { disable: true } },
    localdb: { source: join(folder, "origin.db") },
    castore: { upload_dir: join(folder, "upload"), cache_dir: join(folder, "cache") },
    blobserver: { listener: listenAt(address, KRAKEN_PORTS.origin) },
  }
}

/** Gives the place of a complete blob in the folder of an agent. @param digest - `sha256:…` */
export function krakenBlobPath(folder: string, digest: string): string {
  const hex = digest.slice(digest.indexOf(":") + 1)
  return join(folder, "cache", hex.slice(0, 2), hex.slice(2, 4), hex, "data")
}

function shared(folder: string): Settings {
  const log = [join(folder, "kraken.log")]
  return {
    zap: {
      level: "info",
      encoding: "console",
      disableStacktrace: true,
      encoderConfig: { messageKey: "message", levelKey: "level", levelEncoder: "capital" },
      outputPaths: log,
      errorOutputPaths: log,
    },
    tls: { server: { disabled: true }, client: { disabled: true } },
    nginx: {
      // By "sudo", of which the search path of the program has one that waits.
      root: true,
      template_path: join(folder, EMPTY_TEMPLATE),
      // It is joined to Kraken's own folder, in which all hosts would write the same file.
      name: relative(KRAKEN_NGINX_FOLDER, join(folder, "nginx.conf")),
      cache_dir: folder,
      log_dir: folder,
    },
  }
}

const listenAt = (address: string, port: number) => ({ net: "tcp", addr: `${address}:${port}` })
