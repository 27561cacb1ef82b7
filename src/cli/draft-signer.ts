/**
 * Who signs a draft on the command line: a key file, or a program; and where it is remembered what it
 * signed.
 * @module
 */
import type { Command } from "commander"
import type { SigningPlace } from "../fleet/draft-reading.ts"
import { fleetSignedBy } from "../fleet/signed-memory.ts"
import { deviceFolderOf, openDeviceHome } from "../release/device-pin.ts"
import type { Signer } from "../trust/signing-key.ts"
import { firstRootOf } from "../trust/tuf/joining.ts"
import { memoryFiles } from "../trust/tuf/memory-files.ts"
import { CliError } from "./errors.ts"
import type { Invocation } from "./invocation.ts"
import { requiredText, textOf } from "./option.ts"
import { openSigner } from "./outside-signer.ts"
import { PASSPHRASE_OPTION, readDevice } from "./passphrase.ts"

/** Adds the options of a command that signs drafts. @param dryRun - what `--dry-run` does */
export function addSigningOptions(command: Command, dryRun: string): Command {
  return command
    .option("--key <file>", "key file that signs")
    .option(...PASSPHRASE_OPTION)
    .option("--signer <program>", "program that signs, run as PROGRAM public and PROGRAM sign")
    .option("--state <dir>", "with --signer: where it is kept what it signed")
    .option("--fleet <id>", "id of the fleet, for a key that knows none yet")
    .option("--again", "sign although this key has signed other words of the same version")
    .option("--dry-run", dryRun)
    .option("-o, --out <file>", "where the signed draft is written")
}

/** A look at a draft leaves nothing behind. */
export function apart(expectedFleet: string | undefined): SigningPlace {
  return { fleet: memoryFiles(), state: memoryFiles(), expectedFleet }
}

/**
 * Opens the signer that the options name.
 * @param fleet - of the draft
 * @throws CliError `USAGE_INVALID` when it knows no fleet and none is named
 */
export async function openDraftSigner(
  invocation: Invocation,
  fleet: string,
): Promise<{ readonly signer: Signer; readonly home: ReturnType<typeof openDeviceHome> }> {
  const found = await signerOf(invocation)
  const { home } = found
  if (invocation.options.fleet !== undefined) return found
  // What does not fit is refused by whoever reads the draft.
  if ((await firstRootOf(home.fleet)) !== undefined) return found
  if ((await fleetSignedBy(home.state)) !== undefined) return found
  const message = `this key knows no fleet yet; compare ${fleet} with what its node says ("sealift fleet show", or "fleet init" that drafted it), and give it by --fleet`
  throw new CliError("USAGE_INVALID", message)
}

async function signerOf(invocation: Invocation): ReturnType<typeof openDraftSigner> {
  const { options, signal } = invocation
  const [key, program] = [textOf(options.key), textOf(options.signer)]
  if ((key === undefined) === (program === undefined)) {
    throw new CliError("USAGE_INVALID", "give one of --key FILE, --signer PROGRAM and --dry-run")
  }
  if (program !== undefined) {
    const home = openDeviceHome(requiredText(options.state, "--state"))
    return { signer: await openSigner(program, signal), home }
  }
  const { signing } = await readDevice(invocation, key!)
  return { signer: signing, home: openDeviceHome(deviceFolderOf(key!)) }
}
