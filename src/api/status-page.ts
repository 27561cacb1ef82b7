/**
 * The status page of the front door: one HTML document without script and without outside resources.
 * @module
 */
import { createHash } from "node:crypto"
import type { StatusReport } from "./api.ts"

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 46rem; padding: 0 1rem }
h1 { font-size: 1.3rem } table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .35rem .5rem; text-align: left }
th { font-weight: 500; width: 12rem } td { font-family: ui-monospace, monospace; word-break: break-all }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #dde2e6 } }
`
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64")
/** Content-Security-Policy of the page: nothing but its own style. */
export const STATUS_PAGE_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ")

const REFRESH_SECONDS = 3
const MIB = 1024 * 1024

/** Writes the page. */
export function statusPage(status: StatusReport): string {
  const rows: readonly (readonly [string, string])[] = [
    ["node", status.peerId],
    ["version", status.version],
    ["ready", status.isReady ? "yes" : "no"],
    ...status.blocked.map(({ message }) => ["blocked", message] as const),
    ...status.warnings.map(({ message }) => ["warning", message] as const),
    ["up", `${status.uptimeSeconds} s`],
    ["front door", status.http],
    ["addresses", status.p2p.join(" ")],
    ["peers", String(status.peerCount)],
    [
      "blobs",
      `${status.store.blobCount}, ${mib(status.store.usedBytes)} of ${mib(status.store.quotaBytes)}`,
    ],
    ["flights", String(status.flightCount)],
    ["from peers", mib(status.swarm.downloadedBytes)],
    ["to peers", mib(status.swarm.uploadedBytes)],
    ["memory", mib(status.rssBytes)],
  ]
  const body = rows.map(
    ([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sealift node</title>
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<style>${STYLE}</style></head>
<body><h1>Sealift node</h1><table>${body.join("\n")}</table></body></html>
`
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
