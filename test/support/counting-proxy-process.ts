/**
 * The counting proxy as a program of its own, for a namespace of the lab:
 * `node counting-proxy-process.ts TARGET LISTEN_ADDRESS`. Says where it listens on its first line, and
 * after that, on each SIGUSR2, how many blob bytes it passed on.
 * @module
 */
import { startCountingProxy } from "./counting-proxy.ts"

const [target, listenHost] = process.argv.slice(2) as [string, string]
const proxy = await startCountingProxy(target, { listenHost })
process.on("SIGUSR2", () => process.stdout.write(`bytes ${proxy.blobBytes()}\n`))
process.stdout.write(`listening ${proxy.host}\n`)
