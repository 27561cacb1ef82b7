/**
 * A delay for all that a bridge forwards, without netem: every packet waits in a queue of the packet
 * filter for a program of our own, which is compiled when it is needed.
 * @module
 */
import { join } from "node:path"
import { run } from "../test/support/process.ts"
import type { Workspace } from "../test/support/workspace.ts"
import { packageFile } from "./package-file.ts"
import { PeerProcess } from "./peer-process.ts"

/** The programs that it needs beside those of the lab; see `missingTools`. */
export const DELAY_TOOLS: readonly string[] = ["gcc", "iptables", "sysctl"]

const SOURCE = packageFile("bench/tools/link-delay.c")
const QUEUE = "0"

/** Gives the path of the program, or why there is none. */
export async function compileDelay(
  workspace: Workspace,
): Promise<{ readonly program: string; readonly missing: readonly string[] }> {
  const program = join(await workspace.folder("link-delay"), "link-delay")
  const command = ["gcc", "-O2", "-o", program, SOURCE, "-lnetfilter_queue", "-lmnl"]
  const { code } = await run(command, { mayFail: true })
  const missing = code === 0 ? [] : ["libnetfilter-queue-dev and libmnl-dev"]
  return { program, missing }
}

/** Delays what the bridge in a namespace forwards, each way; the workspace ends it. */
export async function delayBridge(
  workspace: Workspace,
  options: { readonly namespace: string; readonly program: string; readonly delayMs: number },
): Promise<void> {
  const { namespace, program, delayMs } = options
  const command = ["netns", "exec", namespace, program, QUEUE, String(delayMs)]
  const { signal } = new AbortController()
  const delay = new PeerProcess("link-delay", ["ip", ...command], { signal })
  workspace.defer(() => delay.stop())
  await delay.next("ready")
  await run(["sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1"], { namespace })
  // Without the program packets go on at once, rather than nowhere.
  const rule = ["-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", QUEUE, "--queue-bypass"]
  await run(["iptables", ...rule], { namespace })
}
