/**
 * `sealift open REF [-o PATH]`: decrypt what is staged and approved by every party.
 * @module
 */
import { resolve } from "node:path"
import type { OpenLine } from "../../api/release-api.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { followWork } from "../../cli/progress.ts"

export const openCommand: CommandSpec = {
  examples: [
    "sealift open acme/model@1",
    "sealift open acme/model@1 -o ./model",
    "sealift open acme/model@1 --unpack",
    "sealift open acme/model@1 -o /srv/model --group inference",
  ],
  define: (command) =>
    command
      .option(
        "-o, --output <path>",
        "folder to make (default: opened/NS/NAME/N in the data directory)",
      )
      .option("--unpack", "unpack every tar, and not only what was published with --unpack")
      .option("--no-unpack", "leave archives as they are")
      .option("--group <group>", "group that may read it, by name or number (default: the node's)"),
  async work({ args, options, out, connect }) {
    const node = await connect()
    const ref = args[0]!
    // The node writes it, in its own working directory.
    const path = typeof options.output === "string" ? { path: resolve(options.output) } : {}
    const opened = await followWork<OpenLine>(node, out, {
      path: "/v1/release/open",
      body: {
        ...{ ref, ...path },
        ...(options.unpack !== undefined && { unpack: options.unpack }),
        ...(options.group !== undefined && { group: options.group }),
      },
      label: ref,
    })
    out.result(opened, () => `${opened.path}: ${opened.files} files of ${opened.ref}`)
    if (opened.closed !== undefined) {
      out.note(`the group ${opened.group} cannot reach it: ${opened.closed} is closed to it`)
    }
    out.note(`next: "sealift verify ${opened.ref} --deep" says who signed it and checks every byte`)
  },
}
