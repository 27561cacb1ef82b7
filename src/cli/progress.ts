/**
 * Progress of images on standard error: a bar per image on a terminal, silence elsewhere.
 * @module
 */
import type { ProgressLine } from "../api/api.ts"
import type { ReleaseProgressLine } from "../api/release-api.ts"
import { humanSize } from "../daemon/unit.ts"
import type { ControlClient } from "./control-client.ts"
import type { Output } from "./output.ts"

/** Shows how far one piece of work is. */
export interface ProgressBar extends Disposable {
  update(doneBytes: number, totalBytes: number, remark: string): void
  /** Of what is counted, and not measured in bytes. */
  count(doneCount: number, totalCount: number): void
}

const REF_CHARS_MAX = 40
const NO_BAR: ProgressBar = { update: () => {}, count: () => {}, [Symbol.dispose]: () => {} }

/** Opens a bar; one that shows nothing unless standard error is a terminal. */
export async function openProgress(out: Output, label: string): Promise<ProgressBar> {
  if (out.isJson || out.isQuiet || out.stderr.isTTY !== true) return NO_BAR
  const { default: progress } = await import("cli-progress")
  const bar = new progress.SingleBar(
    {
      format: "{label} {bar} {percentage}%  {done} of {total}  {remark}",
      stream: out.stderr as NodeJS.WriteStream,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
    },
    progress.Presets.rect,
  )
  const shown = { label: shortLabel(label), done: "0 B", total: "?", remark: "" }
  bar.start(1, 0, shown)
  return {
    update(doneBytes, totalBytes, remark) {
      bar.setTotal(Math.max(1, totalBytes))
      bar.update(doneBytes, {
        ...shown,
        done: humanSize(doneBytes),
        total: humanSize(totalBytes),
        remark,
      })
    },
    count(doneCount, totalCount) {
      bar.setTotal(Math.max(1, totalCount))
      bar.update(doneCount, { ...shown, done: `${doneCount}`, total: `${totalCount}` })
    },
    [Symbol.dispose]: () => bar.stop(),
  }
}

/** Shows a line of progress of an image. */
export function showImageProgress(bar: ProgressBar, line: ProgressLine): void {
  const { fromPeersBytes, fromOriginBytes } = line
  const remark = `peers ${humanSize(fromPeersBytes)}, origin ${humanSize(fromOriginBytes)}`
  bar.update(line.doneBytes, line.totalBytes, remark)
}

/** What becomes of long work on a release, without its type. */
type ResultOf<Line> = Omit<Extract<Line, { readonly type: "result" }>, "type">

/**
 * Asks for long work on a release and shows how far it is.
 * @param request.onLine - gets what is neither progress nor the result
 * @returns the result
 */
export async function followWork<Line extends { readonly type: string }>(
  node: ControlClient,
  out: Output,
  request: {
    readonly path: string
    readonly body: unknown
    readonly label: string
    readonly onLine?: (line: Line) => void
  },
): Promise<ResultOf<Line>> {
  using bar = await openProgress(out, request.label)
  for await (const line of node.lines<Line>("POST", request.path, request.body)) {
    const { type, ...rest } = line as { readonly type: string }
    if (type === "result") return rest as ResultOf<Line>
    if (type === "progress") showWork(bar, rest as Omit<ReleaseProgressLine, "type">)
    else request.onLine?.(line)
  }
  // The client throws for an answer without a result.
  throw new TypeError("an answer of lines ends with its result")
}

function showWork(bar: ProgressBar, line: Omit<ReleaseProgressLine, "type">): void {
  bar.update(line.doneBytes, line.totalBytes, line.phase)
}

function shortLabel(label: string): string {
  return label.length <= REF_CHARS_MAX ? label : `…${label.slice(1 - REF_CHARS_MAX)}`
}
