/**
 * `sealift fleet renew`, `fleet rotate`, `fleet desk take`, `fleet export`, `fleet import`: keeping a
 * fleet alive.
 * @module
 */
import type { RotateRequest } from "../../api/fleet-api.ts"
import { writeDraft } from "../../cli/command/fleet-draft.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { onDisk, readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText } from "../../cli/option.ts"
import type { FleetReceipt, FleetReport, RotationReceipt } from "../../fleet/fleet-desk.ts"
import { FLEET_FILES_BYTES_MAX, parseFleetFiles } from "../../fleet/fleet-files.ts"
import { writeWebFolder } from "../../fleet/web-folder.ts"

export const fleetRenewCommand: CommandSpec = {
  examples: ["sealift fleet renew", "sealift fleet renew --draft next.draft"],
  define: (command) =>
    command.option("--draft <file>", "write root and targets as a draft that others sign"),
  async work(invocation) {
    const { options, out, connect } = invocation
    if (options.draft !== undefined) return await writeDraft(invocation, { act: "renew" })
    const node = await connect()
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/renew")
    out.result(receipt, () => `signed anew: access list ${receipt.accessVersion}`)
    out.note('next: "sealift fleet show" says until when each file is good')
  },
}

export const fleetRotateCommand: CommandSpec = {
  examples: ["sealift fleet rotate releases.acme", "sealift fleet rotate access --lost"],
  define: (command) =>
    command.option("--lost", "the key before is nowhere any more; needs that of targets or root"),
  async work({ args, options, out, connect }) {
    const isLost = options.lost === true
    const request: RotateRequest = { role: args[0]!, ...(isLost && { isLost }) }
    const node = await connect()
    const receipt = await node.ask<RotationReceipt>("POST", "/v1/fleet/rotate", request)
    out.result(receipt, () => `role ${receipt.role} has a new key: ${receipt.key}`)
    if (receipt.role === "targets") {
      out.note(
        "what the old key withdrew stays withdrawn where that is known; nodes that join later",
      )
      out.note('do not believe it: "sealift withdraw" those releases again')
    }
    out.note("the old key is worth nothing where this has arrived")
    out.note('next: "sealift fleet show" says until when each file is good')
  },
}

export const fleetDeskTakeCommand: CommandSpec = {
  examples: ["sealift fleet desk take"],
  async work({ out, connect }) {
    const node = await connect()
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/desk")
    out.result(receipt, () => `this node is the desk of fleet ${receipt.fleet}`)
    out.note("next: stop the desk that was, if it still runs; two of them undo each other's work")
  },
}

export const fleetExportCommand: CommandSpec = {
  examples: ["sealift fleet export --out lab.fleet", "sealift fleet export --folder /srv/www/lab"],
  define: (command) =>
    command
      .option("-o, --out <file>", "file that is written")
      .option("--folder <dir>", "folder for a web server: what is new is added to it"),
  async work({ options, out, connect }) {
    if ((options.out === undefined) === (options.folder === undefined)) {
      throw new CliError("USAGE_INVALID", "give one of --out FILE and --folder DIR")
    }
    const node = await connect()
    const bundle = await node.file("GET", "/v1/fleet/files")
    if (options.folder !== undefined) {
      const folder = requiredText(options.folder, "--folder")
      const written = await onDisk(folder, () => writeWebFolder(folder, parseFleetFiles(bundle)))
      out.result({ folder, ...written }, () => `${folder}: ${written.newFiles} new files`)
      out.note("next: have a web server give this folder, and name its URL to the nodes by")
      out.note('"sealift node --fleet-mirror URL"; run this again when something was signed')
      return
    }
    const path = requiredText(options.out, "--out")
    await writeLocalFile(path, bundle)
    out.result({ file: path, sizeBytes: bundle.length }, () => `wrote ${path}`)
    out.note(`next, on a node that no network reaches: "sealift fleet import ${path}"`)
  },
}

export const fleetImportCommand: CommandSpec = {
  examples: ["sealift fleet import lab.fleet"],
  async work({ args, out, connect }) {
    const bundle = await readLocalFile(args[0]!, FLEET_FILES_BYTES_MAX)
    const node = await connect()
    const report = await node.ask<FleetReport>("POST", "/v1/fleet/files", bundle)
    out.result(report, () => `fleet ${report.name}: access list ${report.accessVersion}`)
    out.note('next: "sealift fleet show"')
  },
}
