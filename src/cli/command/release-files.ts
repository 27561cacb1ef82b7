/**
 * `sealift release export`, `release import`: releases by file, for parties and sites without a network.
 * @module
 */
import type { ImportReceipt } from "../../api/release-api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText } from "../../cli/option.ts"
import { BUNDLE_BYTES_MAX } from "../../release/release-bundle.ts"

export const releaseExportCommand: CommandSpec = {
  examples: ["sealift release export acme/model@1 --out m.release"],
  define: (command) => command.option("-o, --out <file>", "file that is written"),
  async work({ args, options, out, connect }) {
    const path = requiredText(options.out, "--out")
    const ref = args[0]!
    const node = await connect()
    const query = new URLSearchParams({ ref })
    const bundle = await node.file("GET", `/v1/release/bundle?${query}`)
    await writeLocalFile(path, bundle)
    out.result({ ref, file: path, sizeBytes: bundle.length }, () => `wrote ${path}`)
    out.note(
      `next, on a machine without a network: "sealift approve --release ${path} --key FILE --out FILE.approval"`,
    )
  },
}

export const releaseImportCommand: CommandSpec = {
  examples: ["sealift release import m.release"],
  async work({ args, out, connect }) {
    const bundle = await readLocalFile(args[0]!, BUNDLE_BYTES_MAX)
    const node = await connect()
    const receipt = await node.ask<ImportReceipt>("POST", "/v1/release/bundle", bundle)
    out.answer(receipt, receipt.ref)
    out.note(`next: "sealift stage ${receipt.ref}" brings its files`)
  },
}
