/**
 * Progress of images on standard error: a bar per image on a terminal, silence elsewhere.
 * @module
 */
import type { ProgressLine } from "../api/api.ts"
import { humanSize } from "../daemon/unit.ts"
import type { Output } from "./output.ts"

/** Shows how far one piece of work is. */
export interface ProgressBar extends Disposable {
  update(doneBytes: number, totalBytes: number, remark: string): void
}

const REF_CHARS_MAX = 40
const NO_BAR: ProgressBar = { update: () => {}, [Symbol.dispose]: () => {} }

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
    [Symbol.dispose]: () => bar.stop(),
  }
}

/** Shows a line of progress of an image. */
export function showImageProgress(bar: ProgressBar, line: ProgressLine): void {
  const { fromPeersBytes, fromOriginBytes } = line
  const remark = `peers ${humanSize(fromPeersBytes)}, origin ${humanSize(fromOriginBytes)}`
  bar.update(line.doneBytes, line.totalBytes, remark)
}

function shortLabel(label: string): string {
  return label.length <= REF_CHARS_MAX ? label : `…${label.slice(1 - REF_CHARS_MAX)}`
}
